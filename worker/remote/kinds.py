"""Who answers at an address, whether it has the model, and how much context it gives it. Pure, from what it says."""

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from shared.protocol.messages import Task
from worker.remote.asks import Kind
from worker.remote.upstream import UpstreamFailed

MOST_BUILD: Final = 200
USUAL_CONTEXT: Final = 4096
"""What Ollama and LM Studio load a model with where nobody says otherwise."""

_BY_OWNER: Final[dict[str, Kind]] = {
    "llamacpp": "llama-server",
    "vllm": "vllm",
    "organization_owner": "lm-studio",
    "organization-owner": "lm-studio",
}

T = TypeVar("T")


class _Meta(msgspec.Struct, frozen=True):
    n_ctx: int | None = None
    n_ctx_train: int | None = None


class Listed(msgspec.Struct, frozen=True):
    """A model as GET /models lists it."""

    id: str
    owned_by: str = ""
    aliases: list[str] = []
    max_model_len: int | None = None
    meta: _Meta | None = None


class _Models(msgspec.Struct, frozen=True):
    data: list[Listed]


class Version(msgspec.Struct, frozen=True):
    """The answer of /api/version and of /version."""

    version: str = ""


class _Settings(msgspec.Struct, frozen=True):
    n_ctx: int = 0


class _Modalities(msgspec.Struct, frozen=True):
    vision: bool = False


class Props(msgspec.Struct, frozen=True):
    """Of llama-server's GET /props: the context of each slot, its build, and what it takes beside text."""

    default_generation_settings: _Settings = _Settings()
    build_info: str = ""
    modalities: _Modalities = _Modalities()


class Shown(msgspec.Struct, frozen=True):
    """Of Ollama's POST /api/show: the file's header, the parameters of the Modelfile, one a line, where the model runs
    if that is not here, and what it can do (None before version 0.6.4)."""

    model_info: dict[str, msgspec.Raw] = {}
    parameters: str = ""
    remote_host: str = ""
    capabilities: list[str] | None = None


class _Running(msgspec.Struct, frozen=True):
    name: str = ""
    context_length: int = 0


class Running(msgspec.Struct, frozen=True):
    """Of Ollama's GET /api/ps: what is in memory now."""

    models: list[_Running] = []


class Studio(msgspec.Struct, frozen=True):
    """Of LM Studio's GET /api/v0/models/NAME; `type` is llm, vlm or embeddings."""

    max_context_length: int = 0
    loaded_context_length: int = 0
    type: str = ""


class Seen(msgspec.Struct, frozen=True):
    """What one look at an upstream found: context in tokens, 0 where it does not tell; what the model can be asked, and
    whether it sees images."""

    kind: Kind
    name: str
    build: str
    context: int
    tasks: tuple[Task, ...] = ("generate",)
    vision: bool = False


def listed(body: bytes) -> list[Listed]:
    """The models of a GET /models; raises UpstreamFailed."""
    return read(body, _Models).data


def found(models: Sequence[Listed], name: str) -> Listed:
    """The wanted model; raises UpstreamFailed where the upstream has none of that name."""
    for model in models:
        if name in (model.id, *model.aliases) or f"{name}:latest" == model.id:
            return model
    raise UpstreamFailed("the upstream answers and has no model of that name", code="model_not_loaded")


def kind_of(model: Listed, server: str, ollama: Version | None) -> Kind:
    """Who it is: by the model's owner, else the Server header, else by an answer that Ollama alone gives."""
    if model.owned_by in _BY_OWNER:
        return _BY_OWNER[model.owned_by]
    if server.startswith("llama.cpp"):
        return "llama-server"
    return "ollama" if ollama is not None and ollama.version else "server"


def build(kind: Kind, version: str) -> str:
    """What receipts call it, for everybody to read: up to 200 printable characters, and never a file's name."""
    words = f"openai {kind} {version}" if version else f"openai {kind}"
    return "".join(c for c in words if c.isprintable())[:MOST_BUILD].strip()


def ollama_context(shown: Shown | None, running: Running | None, name: str) -> int:
    """What Ollama gives the model: as it is loaded now, else as its Modelfile says, else the usual; never more than the
    model was trained on."""
    loaded = [m.context_length for m in (running.models if running else []) if m.name in (name, f"{name}:latest")]
    words = [line.split() for line in (shown.parameters if shown else "").splitlines()]
    chosen = [int(w[1]) for w in words if len(w) == 2 and w[0] == "num_ctx" and w[1].isdecimal()]
    lengths = [_number(v) for k, v in (shown.model_info if shown else {}).items() if k.endswith(".context_length")]
    wanted = next((n for n in (*loaded, *chosen) if n > 0), USUAL_CONTEXT)
    return min([wanted, *(n for n in lengths if n > 0)])


def ollama_tasks(shown: Shown | None) -> tuple[Task, ...]:
    """What Ollama says that the model can be asked; to generate where it does not say."""
    told = shown.capabilities if shown is not None else None
    if told is None:
        return ("generate",)
    names: dict[str, Task] = {"completion": "generate", "embedding": "embed"}
    return tuple(task for name, task in names.items() if name in told)


def tried_tasks(kind: Kind, *, embeds: bool, ranks: bool) -> tuple[Task, ...]:
    """What a llama-server or vLLM can be asked that embedded and scored a word, or did not: the vectors of a llama-server
    that scores are scores, and a vLLM that embeds or scores writes nothing."""
    if kind == "llama-server":
        return ("rank",) if ranks else ("generate", "embed") if embeds else ("generate",)
    can: dict[Task, bool] = {"embed": embeds, "rank": ranks}
    return tuple(task for task, does in can.items() if does) or ("generate",)


def studio_context(studio: Studio | None) -> int:
    """What LM Studio gives the model: as it is loaded now, else the usual."""
    if studio is None:
        return USUAL_CONTEXT
    if studio.loaded_context_length > 0:
        return studio.loaded_context_length
    return min(USUAL_CONTEXT, studio.max_context_length or USUAL_CONTEXT)


def listed_context(model: Listed, props: Props | None) -> int:
    """What a server says of its context in its list, or in /props; 0 where it does not."""
    meta = model.meta or _Meta()
    slot = props.default_generation_settings.n_ctx if props else 0
    told = (slot, meta.n_ctx or 0, model.max_model_len or 0, meta.n_ctx_train or 0)
    return min((n for n in told if n > 0), default=0)


def read(body: bytes, shape: type[T]) -> T:
    """A JSON body of this shape; raises UpstreamFailed."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UpstreamFailed(
            "the upstream's answer is not what its kind of server sends", code="engine_error"
        ) from error


def _number(raw: msgspec.Raw) -> int:
    try:
        return msgspec.json.decode(raw, type=int)
    except msgspec.MsgspecError:
        return 0
