"""The models that this worker serves, each with its engine process, and what it says of itself."""

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from shared.protocol.messages import Capabilities, Hardware, ModelOffer
from worker.engine.process import Engine
from worker.models import LocalModel
from worker.settings import Settings


class Served(msgspec.Struct, frozen=True):
    """A model with its engine."""

    model: LocalModel
    engine: Engine

    @property
    def loaded(self) -> bool:
        """Whether its engine has the model in memory now."""
        return self.engine.loaded is not None


def serve(model: LocalModel, chosen: Settings, changed: Callable[[], None]) -> Served:
    """A model with an engine that is not started yet; `changed` is called when it is loaded and when it is gone."""
    engine = Engine(
        Path(model.path),
        slots=chosen.slots,
        context=chosen.context,
        threads=chosen.threads,
        max_tps=chosen.max_tps,
        changed=changed,
    )
    return Served(model, engine)


def capabilities(served: Iterable[Served], chosen: Settings, probe: Hardware, *, is_open: bool) -> Capabilities:
    """What the worker brings, for a hello or an inventory."""
    served = list(served)
    loaded = [s.engine.loaded for s in served if s.engine.loaded is not None]
    return Capabilities(
        cell=chosen.cell,
        slots=chosen.slots,
        models=[_offered(s, chosen) for s in served],
        hardware=msgspec.structs.replace(probe, gpus=loaded[0].gpus if loaded else []),
        engine_build=engine_build(served),
        agent=f"hive/{_version()}",
        handle=chosen.handle,
        jobs=is_open,
    )


def engine_build(served: Iterable[Served]) -> str:
    """The build of the engines; empty while none of them has loaded its model."""
    return next((s.engine.loaded.engine_build for s in served if s.engine.loaded is not None), "")


def _offered(served: Served, chosen: Settings) -> ModelOffer:
    model = served.model
    loaded = served.engine.loaded
    planned = min(chosen.context, model.context) if chosen.context else model.context
    context = loaded.context if loaded is not None else planned
    return ModelOffer(model.id, model.digest, context, model.size_bytes, loaded is not None)


def _version() -> str:
    try:
        return version("hive-swarm")
    except PackageNotFoundError:
        return "0"
