"""Which workers have read the beginning of a prompt before: told by keyed hashes alone, for as long as they may have it in
their cache. Only a preference ever comes of it."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from itertools import chain
from typing import Final
from uuid import UUID

import msgspec

from coordinator.submit.request import JobRequest

BLOCK: Final = 1024
"""A hash is taken each so many bytes of a message or a prompt, and at its end."""

MOST_MARKS: Final = 256
"""So many hashes are taken of one prompt at most; what comes after them is not looked at."""

MOST: Final = 65_536
"""So many hashes are remembered at most, the last used ones."""

HOLDERS: Final = 4
"""Of so many workers it is remembered that they read one beginning, the last ones."""

KEPT: Final = 4096
"""So many tokens of ended requests stay in a worker's cache, and those of the newest in any case (worker.engine.cache)."""

KEPT_MS: Final = 1_800_000
"""For so long a beginning is taken for read, whatever else was read since."""


class Marks(msgspec.Struct, frozen=True):
    """The hashes of a prompt's beginnings, each with the byte at which it ends, and how many bytes it has in all."""

    ends: list[tuple[int, bytes]]
    size: int


class _Reader:
    """A worker since it joined, and how many tokens it has read and made for one model."""

    __slots__ = ("pk", "tokens")

    def __init__(self, pk: str) -> None:
        self.pk, self.tokens = pk, 0


class _Read(msgspec.Struct, frozen=True):
    """That a beginning of so many `tokens` was read, at `at` (ms), when its reader had come to `upto`."""

    reader: _Reader
    tokens: int
    upto: int
    at: int


class Affinity:
    """What the workers of one coordinator have read; `secret` makes its hashes worthless to anybody else."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._read: OrderedDict[bytes, tuple[_Read, ...]] = OrderedDict()
        self._readers: dict[str, dict[str, _Reader]] = {}
        self._accounts: OrderedDict[UUID, int] = OrderedDict()

    def knows(self, account_id: UUID, now: int) -> bool:
        """Whether anything may be remembered of this account at `now` (ms): where not, no marks are needed."""
        return self._accounts.get(account_id, -KEPT_MS) + KEPT_MS > now

    def marks(self, account_id: UUID, request: JobRequest) -> Marks:
        """The marks of a request; none for what makes no use of a cache."""
        if request.task != "generate" or request.images:
            return Marks([], 0)
        head = msgspec.msgpack.encode((account_id.bytes, request.model, request.tools))
        hashed = hashlib.blake2b(head, key=self._secret, digest_size=16)
        ends: list[tuple[int, bytes]] = []
        size = 0
        for block in _blocks(request):
            size += len(block)
            if len(ends) < MOST_MARKS:
                hashed.update(block)
                ends.append((size, hashed.copy().digest()))
        return Marks(ends, size)

    def note(self, account_id: UUID, model: str, pk: str, marks: Marks, *, tokens: int, fed: int, now: int) -> None:
        """A worker has read a prompt of so many `tokens`; `fed` tokens, made ones too, came into its cache for it."""
        reader = self._readers.setdefault(pk, {}).setdefault(model, _Reader(pk))
        reader.tokens += fed
        for end, name in _kept(marks):
            read = _Read(reader, tokens * end // marks.size, reader.tokens, now)
            others = (one for one in self._read.pop(name, ()) if one.reader is not reader and self._holds(one, now))
            self._read[name] = (read, *others)[:HOLDERS]
        if marks.ends:
            self._accounts[account_id] = now
            self._accounts.move_to_end(account_id)
        while len(self._read) > MOST:
            self._read.popitem(last=False)
        while len(self._accounts) > MOST:
            self._accounts.popitem(last=False)

    def readers(self, marks: Marks, tokens: int, now: int) -> dict[str, int]:
        """The workers that have read a beginning of a prompt of so many `tokens`, and how many of them it has."""
        found: dict[str, int] = {}
        for end, name in reversed(marks.ends):
            for read in self._read.get(name, ()):
                if read.reader.pk not in found and self._holds(read, now):
                    found[read.reader.pk] = tokens * end // marks.size
        return found

    def left(self, pk: str) -> None:
        """The worker's session is over, or a new one begins: nothing that it read counts any more."""
        self._readers.pop(pk, None)

    def _holds(self, read: _Read, now: int) -> bool:
        """Whether a worker may still have what it read in its cache."""
        since = read.reader.tokens - read.upto
        here = any(read.reader is reader for reader in self._readers.get(read.reader.pk, {}).values())
        return here and now - read.at < KEPT_MS and (not since or since + read.tokens <= KEPT)


def _blocks(request: JobRequest) -> Iterator[bytes]:
    """A prompt's bytes in blocks, none over two messages."""
    parts = (
        [request.prompt.encode()] if request.prompt is not None else map(msgspec.json.encode, request.messages or [])
    )
    return chain.from_iterable((part[at : at + BLOCK] for at in range(0, len(part), BLOCK)) for part in parts)


def _kept(marks: Marks) -> list[tuple[int, bytes]]:
    """The marks that are worth remembering: the first of each power of two, and the last."""
    first = {end.bit_length(): (end, name) for end, name in reversed(marks.ends)}
    return list({name: (end, name) for end, name in (*first.values(), *marks.ends[-1:])}.values())
