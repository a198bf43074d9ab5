"""What one turn at a batch works with, and how long it lasts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar, cast

import msgspec

from coordinator.api.face import Face
from coordinator.batch.endpoints import Endpoint, Header
from coordinator.batch.recording import OvertakenError
from coordinator.batch.telling import Place
from coordinator.store import batch_lines, batches
from coordinator.store.batch_lines import LineRow
from coordinator.store.batches import BatchRow
from coordinator.store.engine import Engine, alone

TURN: Final = timedelta(seconds=5)
"""So long nobody else goes on with a batch whose turn was claimed, or prolonged: whoever has it prolongs it while it lasts."""

GROUP: Final = 32
GROUP_BYTES: Final = 16 * 2**20
One = TypeVar("One")


@dataclass(slots=True)
class Work:
    """A turn: the batch as it stands after what the turn did, and when the turn began."""

    face: Face
    batch: BatchRow
    now: datetime
    header: Header = field(init=False)

    def __post_init__(self) -> None:
        self.header = msgspec.json.decode(self.batch.headers, type=dict[str, str]).get

    @property
    def engine(self) -> Engine:
        """The way to the database."""
        return self.face.hive.engine

    @property
    def endpoint(self) -> Endpoint:
        """What the lines are sent to."""
        return cast("Endpoint", self.batch.endpoint)

    def place(self, line: int, custom_id: str) -> Place:
        """A line, as it is told of."""
        return Place(self.batch.id, line, custom_id)

    async def renew(self) -> None:
        """Prolongs the turn; raises OvertakenError where it is over, Away."""
        async with alone(self.engine) as conn:
            if not await batches.renew(conn, self.batch, self.face.hive.clock() + TURN):
                raise OvertakenError

    async def untold(self) -> list[LineRow]:
        """The lines that were read and are not told of yet."""
        async with alone(self.engine) as conn:
            return await batch_lines.untold(conn, self.batch.id)


def by_size(lines: Sequence[LineRow]) -> Iterator[list[LineRow]]:
    """The lines in parts of which the bodies, and what becomes of them, are in memory at once; each has one at least."""
    part: list[LineRow] = []
    size = 0
    for line in lines:
        if part and (len(part) == GROUP or size + line.size > GROUP_BYTES):
            yield part
            part, size = [], 0
        part.append(line)
        size += line.size
    if part:
        yield part


def in_parts(whole: Sequence[One], size: int) -> Iterator[Sequence[One]]:
    """All of it, in parts of this size."""
    return (whole[start : start + size] for start in range(0, len(whole), size))
