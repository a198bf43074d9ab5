"""A worker's request over plain HTTP, signed with its identity: who asks, what for, of whom and when."""

from typing import Final

from nacl.signing import SigningKey

from shared.crypto import Context, sign, verifies

HEADER: Final = "x-hive-worker"
SKEW_MS: Final = 120_000


def signed(key: SigningKey, method: str, host: str, path: str, now: int) -> str:
    """The header's value at `now` (ms since 1970): the time, a point and a signature of 128 hex digits; `host` is the
    coordinator as the address names it (with its port, if any), `path` begins with a slash and has no query."""
    return f"{now}.{sign(key, Context.WORKER_REQUEST, _body(method, host, path, now))}"


def verified(pk: str, header: str, method: str, host: str, path: str, now: int) -> bool:
    """Whether `header` is by `pk`, for this very request, and at most two minutes from `now` (ms); never raises."""
    time, _, signature = header.partition(".")
    if not (time.isascii() and time.isdigit() and len(time) <= 15) or time != str(int(time)):
        return False
    if abs(int(time) - now) > SKEW_MS:
        return False
    return verifies(pk, Context.WORKER_REQUEST, _body(method, host, path, int(time)), signature)


def _body(method: str, host: str, path: str, now: int) -> dict[str, object]:
    return {"method": method.upper(), "path": path, "time": now, "host": host.lower()}
