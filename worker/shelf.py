"""The models of a running worker: their engines, which of them are in memory, and what is added on the way."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import psutil
import structlog

from shared.errors import HiveError
from shared.protocol.messages import Capabilities, Hardware, Wanted
from worker.demand import Demand
from worker.engine.process import Engine as Process
from worker.models import LocalModel, checked, local_models
from worker.served import Served, capabilities, serve, serve_others
from worker.settings import Settings
from worker.warmth import Warmth

MEMORY_SHARE: Final = 0.8
"""How much of the free memory models may take where the owner named no limit."""
_LOG: Final = structlog.get_logger("worker.models")


class Shelf:
    """What is served. `changed` is called when a model is loaded, gone, or new; `taken` tells what jobs were accepted for."""

    def __init__(
        self,
        home: Path,
        chosen: Settings,
        models: list[LocalModel],
        changed: Callable[[], None],
        taken: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._home, self._chosen, self._changed = home, chosen, changed
        self.served = {model.id: self._own(model) for model in models}
        self.served |= serve_others(chosen, local_models(home) if chosen.openai else {}, changed)
        memory = chosen.limits.memory or int(psutil.virtual_memory().available * MEMORY_SHARE)
        self._warmth = Warmth(self.served, lambda: memory, taken)
        self._demand = Demand(home, chosen, self, memory)
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.away = False
        """Whether all models were told to leave the memory."""

    async def run(self) -> None:
        """Does what is wanted, for ever."""
        await self._demand.run()

    def start(self, group: asyncio.TaskGroup) -> None:
        """Runs every engine as a task of this group."""
        self._group = group
        self._warmth.begin()
        self._tasks += [group.create_task(served.engine.run()) for served in self.served.values()]

    def cancel(self) -> None:
        """Gives up the tasks of the engines."""
        for task in self._tasks:
            task.cancel()

    def offer(self, model: LocalModel) -> None:
        """Serves one more model from now on, in place of an older file of that name; it waits on the disk until it is
        used."""
        assert self._group is not None
        if (before := self.served.get(model.id)) is not None:
            self._tasks.append(self._group.create_task(before.engine.stop()))
        served = self.served[model.id] = self._own(model)
        served.park()
        self._tasks.append(self._group.create_task(self._serve(served)))
        self._changed()

    def use(self, name: str) -> bool:
        """Has a served model in memory; False where busy ones leave too little of it."""
        return self._warmth.use(name)

    def wanted(self, wish: Wanted) -> None:
        """The coordinator wants a model."""
        self._demand.wanted(wish)

    def park(self, away: bool) -> None:
        """Lets all models leave the memory, or has those back that fit."""
        self.away = away
        for served in self.served.values():
            served.park() if away else served.wake()
        if not away:
            self._warmth.begin()

    def pids(self) -> list[int]:
        """The process ids of the engines that run."""
        return [pid for served in self.served.values() if (pid := served.engine.pid) is not None]

    def capabilities(self, probe: Hardware, *, is_open: bool) -> Capabilities:
        """What the worker brings."""
        return capabilities(self._home, self.served.values(), self._chosen, probe, is_open=is_open)

    async def stop(self) -> None:
        """Ends every engine."""
        await asyncio.gather(*(served.engine.stop() for served in self.served.values()))

    def _own(self, model: LocalModel) -> Served:
        return serve(model, self._chosen, self._changed, lambda: self._room_for(model))

    async def _room_for(self, model: LocalModel) -> None:
        """A model is about to be loaded: once its file is seen to be the one that was pinned, and the models that make
        room for it are gone. Raises ModelError."""
        await asyncio.to_thread(checked, model)
        engines = [served.engine for served in self.served.values()]
        await asyncio.gather(*(engine.gone() for engine in engines if isinstance(engine, Process)))

    async def _serve(self, served: Served) -> None:
        """Runs the engine of a model that came later; one that cannot be served is not worth the others."""
        try:
            await served.engine.run()
        except HiveError as error:
            _LOG.warning("model_not_served", model=served.model.id, reason=error.message)
            if self.served.get(served.model.id) is served:
                del self.served[served.model.id]
            self._changed()
