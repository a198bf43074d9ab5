"""Why a session ends, and the number of each reason on the websocket."""

from enum import StrEnum
from typing import Final


class CloseCode(StrEnum):
    """Why a session ended; the websocket close code is beside it in `CLOSE_NUMBERS`."""

    NORMAL = "normal"
    PROTOCOL = "protocol"
    UNAUTHENTICATED = "unauthenticated"
    REVOKED = "revoked"
    SILENT = "heartbeat"
    SUPERSEDED = "superseded"
    UPGRADE = "upgrade_required"
    TOO_LARGE = "too_large"
    RATE = "rate"
    RESTART = "restart"
    OVERLOAD = "overload"


CLOSE_NUMBERS: Final = {
    CloseCode.NORMAL: 1000,
    CloseCode.PROTOCOL: 4400,
    CloseCode.UNAUTHENTICATED: 4401,
    CloseCode.REVOKED: 4403,
    CloseCode.SILENT: 4408,
    CloseCode.SUPERSEDED: 4409,
    CloseCode.UPGRADE: 4426,
    CloseCode.TOO_LARGE: 1009,
    CloseCode.RATE: 4429,
    CloseCode.RESTART: 1012,
    CloseCode.OVERLOAD: 1013,
}
