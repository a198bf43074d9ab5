"""Which models are in memory: as many as fit, and the one that was used last before one that was not."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

_LOG = structlog.get_logger("worker.models")


class Held(msgspec.Struct, frozen=True):
    """A model with what it needs in bytes; `used` grows with each use, `busy` while it answers."""

    need: int
    warm: bool
    busy: bool
    used: int


class Warm(Protocol):
    """Of a served model, what its warmth depends on: `worker.served.Served`."""

    @property
    def need(self) -> int: ...

    @property
    def warm(self) -> bool: ...

    @property
    def busy(self) -> bool: ...

    def park(self) -> None: ...

    def wake(self) -> None: ...


def fitting(needs: Sequence[tuple[str, int]], room: int) -> list[str]:
    """The models that fit together, earlier ones first; the first one in any case."""
    chosen, left = list[str](), room
    for name, need in needs:
        if need <= left or not chosen:
            chosen.append(name)
            left -= need
    return chosen


def given_up(name: str, models: Mapping[str, Held], room: int) -> list[str] | None:
    """Which warm models leave the memory so that this one can come in, those that were not used for longest first; None
    where the busy ones leave too little."""
    warm = {other: held for other, held in models.items() if held.warm and other != name}
    left = room - models[name].need - sum(held.need for held in warm.values())
    gone = []
    for other in sorted((o for o, held in warm.items() if not held.busy), key=lambda o: warm[o].used):
        if left >= 0:
            break
        gone.append(other)
        left += warm[other].need
    return None if left < 0 and len(gone) < len(warm) else gone


class Warmth:
    """Wakes and parks the served models; `room` tells how many bytes they may take together, `taken` the models that jobs
    were accepted for, whose engines may not know it yet."""

    def __init__(
        self, served: Mapping[str, Warm], room: Callable[[], int], taken: Callable[[], Collection[str]] = tuple
    ) -> None:
        self._served, self._room, self._taken = served, room, taken
        self._used: dict[str, int] = {}
        self._uses = 0

    def begin(self) -> None:
        """Leaves those out of memory that do not fit beside the ones named before them."""
        warm = fitting([(name, served.need) for name, served in self._served.items()], self._room())
        for name in self._served.keys() - set(warm):
            _LOG.info("model_waits_on_disk", model=name)
            self._served[name].park()

    def use(self, name: str) -> bool:
        """Has a model in memory soon; False where busy ones leave too little memory for it, or another program that holds it
        is away."""
        self._uses += 1
        self._used[name] = self._uses
        served = self._served[name]
        if not served.warm:
            gone = given_up(name, self._held(), self._room())
            if gone is None:
                return False
            for other in gone:
                _LOG.info("model_leaves_memory", model=other, for_model=name)
                self._served[other].park()
            served.wake()
        return served.warm

    def _held(self) -> dict[str, Held]:
        taken = set(self._taken())
        return {
            name: Held(served.need, served.warm, served.busy or name in taken, self._used.get(name, 0))
            for name, served in self._served.items()
        }
