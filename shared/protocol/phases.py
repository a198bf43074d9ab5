"""What may be said when: one closed table of phase and message, the same for both ends."""

from enum import StrEnum
from typing import Final, get_args

import msgspec

from shared.protocol.messages import (
    Accept,
    Ack,
    Cancel,
    Decline,
    Done,
    Drain,
    Failed,
    Heartbeat,
    Inventory,
    Leave,
    Offer,
    Pong,
    Progress,
    Refused,
    ServerHello,
    Share,
    Standing,
    ToCoordinator,
    Tokens,
    ToWorker,
    Wanted,
    Welcome,
    WorkerHello,
)

Kind = type[msgspec.Struct]


class Side(StrEnum):
    """Who speaks."""

    COORDINATOR = "coordinator"
    WORKER = "worker"


class Phase(StrEnum):
    """How far a session has come; an end is in a phase once it has sent or received the message that leads there."""

    START = "start"
    CHALLENGED = "challenged"
    ANSWERED = "answered"
    OPEN = "open"
    CLOSED = "closed"


SENDER: Final[dict[Kind, Side]] = (
    {ServerHello: Side.COORDINATOR, WorkerHello: Side.WORKER, Refused: Side.COORDINATOR}
    | dict.fromkeys(get_args(ToWorker), Side.COORDINATOR)
    | dict.fromkeys(get_args(ToCoordinator), Side.WORKER)
)

NEXT: Final[dict[tuple[Phase, Kind], Phase]] = {
    (Phase.START, ServerHello): Phase.CHALLENGED,
    (Phase.CHALLENGED, WorkerHello): Phase.ANSWERED,
    (Phase.ANSWERED, Welcome): Phase.OPEN,
    (Phase.ANSWERED, Refused): Phase.CLOSED,
    (Phase.OPEN, Refused): Phase.CLOSED,
    (Phase.OPEN, Offer): Phase.OPEN,
    (Phase.OPEN, Cancel): Phase.OPEN,
    (Phase.OPEN, Ack): Phase.OPEN,
    (Phase.OPEN, Pong): Phase.OPEN,
    (Phase.OPEN, Drain): Phase.OPEN,
    (Phase.OPEN, Standing): Phase.OPEN,
    (Phase.OPEN, Wanted): Phase.OPEN,
    (Phase.OPEN, Heartbeat): Phase.OPEN,
    (Phase.OPEN, Inventory): Phase.OPEN,
    (Phase.OPEN, Accept): Phase.OPEN,
    (Phase.OPEN, Decline): Phase.OPEN,
    (Phase.OPEN, Progress): Phase.OPEN,
    (Phase.OPEN, Tokens): Phase.OPEN,
    (Phase.OPEN, Done): Phase.OPEN,
    (Phase.OPEN, Share): Phase.OPEN,
    (Phase.OPEN, Failed): Phase.OPEN,
    (Phase.OPEN, Leave): Phase.OPEN,
}


def after(phase: Phase, sender: Side, kind: Kind) -> Phase | None:
    """The phase that follows when `sender` says a message of this kind; None if it may not say it now."""
    return NEXT.get((phase, kind)) if SENDER[kind] is sender else None


def name(kind: Kind) -> str:
    """What a kind of message is called on the wire."""
    return str(kind.__struct_config__.tag)
