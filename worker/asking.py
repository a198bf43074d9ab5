"""What a worker asks of its coordinator over plain HTTP, signed with its identity. Not for the daemon: httpx is large."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from shared.errors import HiveError
from shared.reach import is_loopback
from shared.worker_request import HEADER, signed
from worker.anywhere import settings_anywhere
from worker.identity import Identity
from worker.report import lives, read_report
from worker.settings import websocket_url

PATIENCE_S: Final = 10.0
MOST_BYTES: Final = 8 << 20
_SOCKET: Final = "/hive/worker"


class AskingError(HiveError):
    """The coordinator did not answer as it should; the message says what to do."""

    code = "asking"


def base_url(coordinator: str) -> str:
    """Where a coordinator answers HTTP, without a slash at the end; raises SettingsError for no address of one."""
    url = websocket_url(coordinator).removesuffix(_SOCKET)
    return "http" + url.removeprefix("ws")


def client(coordinator: str, *, patience_s: float = PATIENCE_S) -> httpx.Client:
    """A client for this coordinator alone: no redirects, and no proxy for one on this machine."""
    url = base_url(coordinator)
    loopback = is_loopback(urlsplit(url).hostname or "")
    return httpx.Client(base_url=url, timeout=patience_s, trust_env=not loopback, follow_redirects=False)


def coordinator_of(home: Path, environment: Mapping[str, str]) -> str:
    """The coordinator of the worker that runs here, else the one that the settings name; raises SettingsError."""
    report = read_report(home)
    if report is not None and lives(report):
        return report.coordinator
    return settings_anywhere(home, environment).coordinator


def ask(coordinator: str, who: Identity, what: str, clock: Callable[[], int]) -> Any:
    """The answer to GET /hive/workers/{pk}/{what} as what JSON holds; raises AskingError."""
    host, path = urlsplit(base_url(coordinator)).netloc, f"/hive/workers/{who.pk}/{what}"
    # A coordinator that lives behind a path sees its own part of it alone, so that is what is signed.
    with client(coordinator) as asking:
        request = asking.build_request("GET", path)
        request.headers[HEADER] = signed(who.key, "GET", request.headers["host"], path, clock())
        try:
            answer = asking.send(request)
        except httpx.HTTPError as error:
            raise AskingError(
                f"the coordinator at {host} does not answer ({type(error).__name__}); `hive worker doctor` says more"
            ) from error
    return _read(answer, host)


def _read(answer: httpx.Response, host: str) -> Any:
    if answer.status_code == 401:
        raise AskingError(
            f"{host} does not accept this worker's signature; is the clock right? `hive worker doctor` says"
        )
    if answer.status_code == 404:
        raise AskingError(f"{host} does not know this worker, or is too old to tell; `hive worker join` makes it known")
    if answer.status_code != 200 or len(answer.content) > MOST_BYTES:
        raise AskingError(f"{host} answered with {answer.status_code}; try again in a moment")
    try:
        return msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AskingError(f"{host} answered with something that is no JSON; is it a coordinator?") from error
