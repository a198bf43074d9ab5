"""The coordinator as this machine sees it: round trips over HTTP, and a hello on the socket that workers use."""

import asyncio
import logging
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import structlog
from nacl.signing import SigningKey

from shared.protocol.messages import VERSION, Capabilities, Hardware, Held, ToWorker, Welcome
from worker.asking import client
from worker.doctor import judge
from worker.doctor.finding import Finding
from worker.known import pinned_key
from worker.link import Link, LinkRefusedError
from worker.settings import Settings, websocket_url

TRIPS: Final = 5
TRIP_S: Final = 3.0
_MET: Final = "met"


def trips(coordinator: str, now: Callable[[], float] = time.time) -> list[Finding]:
    """Reachability over HTTP, the best round trip, and the clock as far as a Date header tells (to the second)."""
    took: list[float] = []
    host = urlsplit(websocket_url(coordinator)).netloc
    with client(coordinator, patience_s=TRIP_S) as asking:
        try:
            for _ in range(TRIPS):
                before = time.perf_counter()
                answer = asking.get("/health")
                took.append((time.perf_counter() - before) * 1000)
        except httpx.HTTPError as error:
            return [Finding("reach", "fail", f"{host} {_why(error)}?")]
    found = [Finding("reach", "ok", f"{host} answers."), judge.round_trip(took)]
    date = answer.headers.get("date")
    if date:
        skew = round((now() - parsedate_to_datetime(date).timestamp()) * 1000)
        if (told := judge.clock(skew, 1000 + round(max(took)))).state != "ok":
            found.append(told)
    return found


class Meeting:
    """The listener of a connection that ends once the coordinator has said its hello; nothing is joined."""

    def __init__(self) -> None:
        self.seen: tuple[str, int] | None = None

    def hello(self) -> tuple[Capabilities, list[Held]]:
        """Never asked for: the meeting is over before this worker says anything."""
        return Capabilities("", 1, [], Hardware("", 0, 0, 0, ""), "", "hive/doctor", jobs=False), []

    def challenged(self, server_pk: str, skew_ms: int) -> str | None:
        """That is what was wanted."""
        self.seen = (server_pk, skew_ms)
        return _MET

    def welcomed(self, welcome: Welcome) -> None:
        """Does not come to that."""

    def heard(self, message: ToWorker) -> None:
        """Does not come to that."""

    def lost(self) -> None:
        """The meeting is over."""


def met(home: Path, chosen: Settings, clock: Callable[[], int]) -> list[Finding]:
    """The socket that workers use, the protocol, the coordinator's key and the clock to the millisecond."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    url = websocket_url(chosen.coordinator)
    host = urlsplit(url).netloc
    meeting = Meeting()
    refused = ""
    try:
        asyncio.run(Link(url, SigningKey.generate(), meeting, clock).one_session())
    except LinkRefusedError as error:
        refused = error.message
    if meeting.seen is None:
        return [_unmet(host, refused)]
    server_pk, skew_ms = meeting.seen
    return [
        Finding("socket", "ok", f"Workers' connections reach {host}, and both sides speak protocol {VERSION}."),
        judge.key(chosen.server_key, pinned_key(home, host), server_pk, host),
        judge.clock(skew_ms, 100),
    ]


def _unmet(host: str, refused: str) -> Finding:
    if refused:
        return Finding("socket", "fail", f"{refused[:1].upper()}{refused[1:].rstrip('.')}.")
    return Finding(
        "socket", "fail",
        f"No websocket to {host} comes about; where a proxy or firewall is in between, let outgoing websockets through.",
    )  # fmt: skip


def _why(error: httpx.HTTPError) -> str:
    cause = str(error)
    if isinstance(error, httpx.TimeoutException):
        return f"does not answer within {TRIP_S:g} s; is the machine online, and does a firewall let it out"
    if "CERTIFICATE" in cause.upper():
        return "shows a certificate that this machine does not trust; is the address right, and the clock"
    if isinstance(error, httpx.ConnectError):
        return "cannot be reached; is the address right, the coordinator up, and this machine online"
    return f"answers with something that is no HTTP ({type(error).__name__}); is the address right"
