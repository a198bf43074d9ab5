"""The interned kinds that this coordinator has met: a kind never changes, so it is read once."""

from collections.abc import Sequence
from typing import Final

import msgspec

from coordinator.queue.order import Lane
from coordinator.store import kinds as store_kinds
from coordinator.store.engine import Connection
from coordinator.store.rows import Kind, KindSpec

__all__ = ["KindCache", "KindSpec", "context_class"]

MAX_CACHED: Final = 16_384
"""Beyond this all is forgotten and read again as it is met: callers can name any cell, and each makes a kind."""


def context_class(tokens: int) -> int:
    """The smallest power of two, at least 256, that holds this many tokens."""
    return max(256, 1 << (max(tokens, 1) - 1).bit_length())


class KindCache:
    """Kinds by what they ask for and by id, filled as they are met."""

    def __init__(self) -> None:
        self._by_spec: dict[KindSpec, Kind] = {}
        self._by_id: dict[int, Kind] = {}

    def known(self, spec: KindSpec) -> Kind | None:
        """The kind that asks exactly for `spec`, if it is in memory."""
        return self._by_spec.get(spec)

    def of(self, id_: int) -> Kind | None:
        """The kind of this id, if it is in memory."""
        return self._by_id.get(id_)

    async def get(self, conn: Connection, spec: KindSpec) -> Kind:
        """The kind that asks exactly for `spec`; it is made if it is new, and stays whatever the caller's transaction
        does only if that commits, so use a transaction of its own."""
        known = self._by_spec.get(spec)
        if known is not None:
            return known
        return self._keep(spec, await store_kinds.find(conn, spec) or await store_kinds.intern(conn, spec))

    async def first(self, conn: Connection) -> list[tuple[Kind, int, Lane]]:
        """The kinds of which at least one job is ready now, by any coordinator, each with the place and the lane of its first."""
        first = await store_kinds.first(conn)
        return [(kind, *first[kind.id]) for kind in await self._of(conn, list(first))]

    async def counts(self, conn: Connection) -> list[tuple[Kind, int]]:
        """The kinds of which jobs are pending now, each with how many; see store.kinds.counts for the bounds."""
        counts = await store_kinds.counts(conn)
        return [(kind, counts[kind.id]) for kind in await self._of(conn, list(counts))]

    async def _of(self, conn: Connection, ids: Sequence[int]) -> list[Kind]:
        known = [self._by_id[id_] for id_ in ids if id_ in self._by_id]
        missing = set(ids).difference(kind.id for kind in known)
        read = await store_kinds.read(conn, sorted(missing)) if missing else []
        return known + [self._keep(_spec(kind), kind) for kind in read]

    def _keep(self, spec: KindSpec, kind: Kind) -> Kind:
        if len(self._by_id) >= MAX_CACHED:
            self._by_spec.clear()
            self._by_id.clear()
        self._by_spec[spec] = self._by_id[kind.id] = kind
        return kind


def _spec(kind: Kind) -> KindSpec:
    fields = msgspec.structs.asdict(kind)
    del fields["id"]
    return KindSpec(**fields | {"countries": None if kind.countries is None else tuple(kind.countries)})
