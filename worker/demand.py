"""The coordinator wants a model: what the owner's policy decides is done, one wish at a time."""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, assert_never

import structlog

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
        """Decides on one wish and does it."""
        decision = await asyncio.to_thread(self._decided, wish)
        match decision:
            case Ignore(reason=why):
                _LOG.info("wish_ignored", model=wish.model_id, reason=why)
            case Load(model=model):
                self._load(model)
            case Fetch():
                await self._fetch(decision)
            case _:
                assert_never(decision)

    def _decided(self, wish: Wanted) -> Load | Fetch | Ignore:
        here = local_models(self._home)
        loaded = {name for name, served in self._host.served.items() if served.loaded}
        on_the_way = {name for name, served in self._host.served.items() if served.warm and not served.loaded}
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
        if model.id not in self._host.served:
            _LOG.info("wish_granted", model=model.id, what="offered")
            self._host.offer(model)
        if self._host.use(model.id):
            _LOG.info("wish_granted", model=model.id, what="loaded")

    async def _fetch(self, decision: Fetch) -> None:
        """Fetches in a process of its own: the library for it is larger than this whole daemon."""
        name = decision.listed.id
        _LOG.info("wish_granted", model=name, what="fetched")
        self._busy.add(name)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "worker.fetch_wanted", name, decision.digest, str(decision.size_bytes),
                stderr=asyncio.subprocess.PIPE, env={**os.environ, "HIVE_HOME": str(self._home)},
            )  # fmt: skip
            _, said = await process.communicate()
        finally:
            self._busy.discard(name)
        if process.returncode != 0:
            _LOG.warning("wish_failed", model=name, reason=said.decode("utf-8", "replace").strip()[-300:])
            return
        model = await asyncio.to_thread(lambda: local_models(self._home).get(name))
        if model is not None:
            self._load(model)
