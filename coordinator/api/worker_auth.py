"""Which worker is asking: its signature over this very request."""

from typing import Final

from coordinator.api.hive import Hive, HttpRequest
from coordinator.dispatch.joining import is_ours
from coordinator.dispatch.offer import in_ms
from shared.errors import Unauthorized
from shared.worker_request import HEADER, verified

_SENT: Final = f"{HEADER}: <time in ms>.<signature>"


def signed_by(hive: Hive, request: HttpRequest, pk: str) -> bool:
    """Whether the worker `pk` (hex) has signed this request, for a name that is ours, within two minutes."""
    header, host = request.headers.get(HEADER) or "", request.headers.get("host") or ""
    if not header or not is_ours(host, hive.settings.public_host):
        return False
    now, path = in_ms(hive.clock()), request.scope["path"]
    return verified(pk, header, request.method, host, path, now)


def require_worker(hive: Hive, request: HttpRequest, pk: str) -> None:
    """Raises Unauthorized unless the worker itself is asking."""
    if not signed_by(hive, request, pk):
        raise Unauthorized(f"Only the worker itself may do this: sign the request with its key ({_SENT}).")
