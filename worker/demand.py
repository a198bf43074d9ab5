"""The coordinator wants a model: what the owner's policy decides is done, one wish at a time."""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, assert_never

import structlog

from shared.errors import HiveError
from shared.protocol.messages import Wanted
from worker.models import FOLDER, LocalModel, local_models
from worker.served import Served
from worker.settings import Settings
from worker.wanting import Fetch, Ignore, Load, Means, decide

_LOG = structlog.get_logger("worker.models")


class Host(Protocol):
    """The daemon, as far as models go."""

    @property
    def served(self) -> Mapping[str, Served]: ...

    @property
    def away(self) -> bool: ...

    def offer(self, model: LocalModel) -> None:
        """Serves a model from now on."""

    def use(self, name: str) -> bool:
        """Has a served model in memory."""


class Demand:
    """Hears what is wanted; `memory` is what models may take in bytes."""

    def __init__(self, home: Path, chosen: Settings, host: Host, memory: int) -> None:
        self._home, self._chosen, self._host, self._memory = home, chosen, host, memory
        self._wishes: asyncio.Queue[Wanted] = asyncio.Queue(16)
        self._busy: set[str] = set()

    def wanted(self, wish: Wanted) -> None:
        """Takes a wish; one too many is dropped, for the coordinator says it again."""
        if not self._wishes.full():
            self._wishes.put_nowait(wish)

    async def run(self) -> None:
        """Does what is decided, for ever."""
        while True:
            await self.one(await self._wishes.get())

    async def one(self, wish: Wanted) -> None:
        """Decides on one wish and does it; what goes wrong with it is logged."""
        served = dict(self._host.served)
        try:
            await self._do(await asyncio.to_thread(self._decided, wish, served))
        except (HiveError, OSError) as error:
            _LOG.warning("wish_failed", model=wish.model_id, reason=str(error))

    async def _do(self, decision: Load | Fetch | Ignore) -> None:
        match decision:
            case Ignore(reason=why):
                _LOG.info("wish_ignored", reason=why)
            case Load(model=model):
                self._load(model)
            case Fetch():
                await self._fetch(decision)
            case _:
                assert_never(decision)

    def _decided(self, wish: Wanted, served: Mapping[str, Served]) -> Load | Fetch | Ignore:
        here = local_models(self._home)
        loaded = {name for name, one in served.items() if one.loaded and name in here and _is(one, here[name])}
        on_the_way = {name for name, one in served.items() if one.warm and not one.loaded}
        return decide(wish, here, loaded, self._busy | on_the_way, self._means(here))

    def _means(self, here: Mapping[str, LocalModel]) -> Means:
        policy = self._chosen.policy
        fetched = sum(model.size_bytes for model in here.values() if model.source == "fetched")
        folder = self._home / FOLDER
        return Means(
            policy=policy.wanted,
            budget=policy.fetch_budget - fetched,
            disk=shutil.disk_usage(folder if folder.exists() else self._home).free,
            memory=self._memory,
            slots=self._chosen.slots,
        )

    def _load(self, model: LocalModel) -> None:
        served = self._host.served.get(model.id)
        if served is None or not _is(served, model):
            _LOG.info("wish_granted", model=model.id, what="offered")
            self._host.offer(model)
        if not self._host.away and self._host.use(model.id):
            _LOG.info("wish_granted", model=model.id, what="loaded")

    async def _fetch(self, decision: Fetch) -> None:
        """Fetches in a process of its own: the library for it is larger than this whole daemon."""
        name = decision.listed.id
        _LOG.info("wish_granted", model=name, what="fetched")
        self._busy.add(name)
        process = None
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "worker.fetch_wanted", name, decision.digest, str(decision.size_bytes),
                stderr=asyncio.subprocess.PIPE, env={**os.environ, "HIVE_HOME": str(self._home)},
            )  # fmt: skip
            _, said = await process.communicate()
        finally:
            self._busy.discard(name)
            if process is not None and process.returncode is None:
                process.kill()
        if process.returncode != 0:
            _LOG.warning("wish_failed", model=name, reason=said.decode("utf-8", "replace").strip()[-300:])
            return
        model = await asyncio.to_thread(lambda: local_models(self._home).get(name))
        if model is not None:
            self._load(model)


def _is(served: Served, model: LocalModel) -> bool:
    """Whether it serves this very file, and not one that had its name before."""
    return served.model.digest == model.digest
