"""Who is calling: API keys, looked up by their keyed hash and remembered for a second."""

from collections.abc import Callable
from time import monotonic
from typing import Final

from coordinator.api.errors import speaks_openai
from coordinator.api.hive import Hive, HttpRequest
from coordinator.api.keys import key_hash, refuse_scope, sent_secret, unauthorized
from coordinator.store import accounts, limits
from coordinator.store.callers import KeyRow
from coordinator.store.engine import alone
from coordinator.submit.limits import headers

REMEMBERED_S: Final = 1.0
"""How long a lookup is believed, so also how long a revoked key may still work."""

RATE_LIMITS: Final = "hive.rate_limits"
"""Where a request's scope holds what makes its `x-ratelimit-…` headers, from when its key is known."""

_MOST: Final = 10_000


class KeyDesk:
    """Looks API keys up for one coordinator."""

    def __init__(self, hive: Hive, now: Callable[[], float] = monotonic) -> None:
        self._hive = hive
        self._now = now
        self._known: dict[str, tuple[float, KeyRow | None]] = {}

    async def caller(self, request: HttpRequest) -> KeyRow:
        """The key that a request was sent with; raises Unauthorized for none, an unknown, an expired or a revoked one, and
        Forbidden for one whose scopes do not hold the request. From now on every answer tells the key's limits."""
        scope = request.scope
        secret, openai = sent_secret(request.headers.get), speaks_openai(scope["path"])
        row = await self._look_up(key_hash(secret, self._hive.secrets.pepper)) if secret else None
        if row is None or row.revoked_at is not None:
            raise unauthorized(secret, openai=openai)
        if row.expires_at is not None and row.expires_at <= self._hive.clock():
            raise unauthorized(secret, openai=openai, expired=True)
        scope[RATE_LIMITS] = lambda: headers(row.limits, self._hive.writer.seen.marks(row.id), self._hive.clock())  # type: ignore[typeddict-unknown-key]
        refuse_scope(row.scopes, scope["method"], scope["path"])
        return row

    async def _look_up(self, hashed: str) -> KeyRow | None:
        now = self._now()
        until, row = self._known.get(hashed, (0.0, None))
        if until > now:
            return row
        async with alone(self._hive.engine) as conn:
            row = await accounts.find_key(conn, hashed)
            if row is not None and (row.limits.requests is not None or row.limits.tokens is not None):
                self._hive.writer.seen.note(row.id, await limits.read(conn, row.id))
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[hashed] = (now + REMEMBERED_S, row)
        return row
