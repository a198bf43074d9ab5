"""The models that this worker serves, each with its engine, and what it says of itself."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from shared.errors import HiveError
from shared.protocol.messages import Capabilities, Hardware, ModelOffer, Task
from worker.engine.face import Engine
from worker.engine.process import Engine as Process
from worker.measured import lookup
from worker.models import LocalModel, planned_context
from worker.remote.engine import RemoteEngine
from worker.settings import Settings


class ServeError(HiveError):
    """A model cannot be offered; the message says why."""

    code = "model"
    retryable = False


class Served(msgspec.Struct, frozen=True):
    """A model with its engine; `context` is tokens for each slot as planned, `need` its bytes in memory (0 where another
    program holds it), `tasks` what it can be asked as far as is known before the engine says."""

    model: LocalModel
    engine: Engine
    context: int
    need: int
    tasks: tuple[Task, ...] = ("generate",)

    @property
    def loaded(self) -> bool:
        """Whether its engine has the model in memory now."""
        return self.engine.loaded is not None

    @property
    def warm(self) -> bool:
        """Whether it is in memory, or on its way there."""
        return not self.engine.parked

    @property
    def busy(self) -> bool:
        """Whether it answers something."""
        return self.engine.busy

    def park(self) -> None:
        """Lets it leave the memory once it is idle."""
        self.engine.park()

    def wake(self) -> None:
        """Has it in memory again."""
        self.engine.wake()


def serve(
    model: LocalModel,
    chosen: Settings,
    changed: Callable[[], None],
    before: Callable[[], Awaitable[None]] | None = None,
) -> Served:
    """A model with an engine of our own that is not started yet; `changed` is called when it is loaded and when it is
    gone, and it is loaded once `before` is done."""
    context = planned_context(model.context, chosen.context)
    engine = Process(
        Path(model.path),
        slots=chosen.slots,
        context=context,
        threads=chosen.threads,
        max_tps=chosen.max_tps,
        gpu_bytes=chosen.limits.vram,
        changed=changed,
        before=before,
    )
    need = model.need.of(context, chosen.slots) if model.need is not None else model.size_bytes
    return Served(model, engine, context, need, model.tasks)


def serve_others(chosen: Settings, here: Mapping[str, LocalModel], changed: Callable[[], None]) -> dict[str, Served]:
    """The models that other servers of the owner's hold, by their ids here; raises ServeError for one whose vocabulary
    is not on this machine."""
    found = {}
    for upstream in chosen.openai:
        for name in upstream.models:
            model = here.get(name)
            if model is None:
                raise ServeError(
                    f"{name} of {upstream.url} is counted with its own vocabulary, and there is no file of it here; "
                    f"`hive worker models fetch {name}` fetches it"
                )
            vocabulary = Path(upstream.vocabulary.get(name) or model.path)
            engine = RemoteEngine(
                upstream, upstream.models[name], vocabulary, context=model.context, changed=changed
            )  # fmt: skip
            found[name] = Served(model, engine, upstream.context or model.context, 0)
    return found


def capabilities(
    home: Path, served: Iterable[Served], chosen: Settings, probe: Hardware, *, is_open: bool
) -> Capabilities:
    """What the worker brings, for a hello or an inventory."""
    served = list(served)
    loaded = [s.engine.loaded for s in served if s.engine.loaded is not None]
    return Capabilities(
        cell=chosen.cell,
        slots=chosen.slots,
        models=[_offered(home, s) for s in served],
        hardware=msgspec.structs.replace(probe, gpus=loaded[0].gpus if loaded else []),
        engine_build=engine_build(served),
        agent=f"hive/{_version()}",
        handle=chosen.handle,
        jobs=is_open,
        price_floor=chosen.policy.price_floor,
    )


def engine_build(served: Iterable[Served]) -> str:
    """The build of the engines; empty while none of them has loaded its model."""
    return next((s.engine.loaded.engine_build for s in served if s.engine.loaded is not None), "")


def _offered(home: Path, served: Served) -> ModelOffer:
    model, loaded = served.model, served.engine.loaded
    speed = lookup(home, model.digest, loaded) if loaded is not None else None
    return ModelOffer(
        id=model.id,
        digest=model.digest,
        context=loaded.context if loaded is not None else min(served.context, model.context or served.context),
        size_bytes=model.size_bytes,
        loaded=loaded is not None,
        verifiability=served.engine.verifiability,
        loading=loaded is None and served.warm,
        prompt_mtps=speed.prompt_mtps if speed is not None else 0,
        mtps=speed.mtps if speed is not None else 0,
        tasks=loaded.tasks if loaded is not None else served.tasks,
        vision=loaded is not None and loaded.vision,
    )


def _version() -> str:
    try:
        return version("hive-swarm")
    except PackageNotFoundError:
        return "0"
