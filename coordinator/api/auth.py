"""Who is calling: API keys, looked up by their keyed hash and remembered for a second."""

from collections.abc import Callable
from time import monotonic
from typing import Final

from coordinator.api.errors import speaks_openai
from coordinator.api.hive import Hive, HttpRequest
from coordinator.api.keys import key_hash, sent_secret, unauthorized
from coordinator.store import accounts
from coordinator.store.engine import alone
from coordinator.store.rows import KeyRow

REMEMBERED_S: Final = 1.0
"""How long a lookup is believed, so also how long a revoked key may still work."""

_MOST: Final = 10_000


class KeyDesk:
    """Looks API keys up for one coordinator."""

    def __init__(self, hive: Hive, now: Callable[[], float] = monotonic) -> None:
        self._hive = hive
        self._now = now
        self._known: dict[str, tuple[float, KeyRow | None]] = {}

    async def caller(self, request: HttpRequest) -> KeyRow:
        """The key that a request was sent with; raises Unauthorized for none, an unknown or a revoked one."""
        secret = sent_secret(request.headers.get)
        row = await self._look_up(key_hash(secret, self._hive.secrets.pepper)) if secret else None
        if row is None or row.revoked_at is not None:
            raise unauthorized(secret, openai=speaks_openai(request.scope["path"]))
        return row

    async def _look_up(self, hashed: str) -> KeyRow | None:
        now = self._now()
        until, row = self._known.get(hashed, (0.0, None))
        if until > now:
            return row
        async with alone(self._hive.engine) as conn:
            row = await accounts.find_key(conn, hashed)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[hashed] = (now + REMEMBERED_S, row)
        return row
