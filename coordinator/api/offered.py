"""The models as lists show them: OpenAI's four fields, OpenRouter's terms for providers, and who serves them now."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import msgspec

from coordinator.match.served import Serving
from shared.catalogue import Entry, library
from shared.chat.formats import Format
from shared.ids import to_gns

FEATURES: Final = ["tools", "json_mode", "structured_outputs", "logprobs"]
"""What our own engine does with any model that writes, by OpenRouter's names."""

SAMPLING: Final = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "stop",
    "max_tokens",
]
SEEDED_SAMPLING: Final = ["seed", "logit_bias"]
"""What a worker's other programs are not relied on for."""

_PER_TOKEN: Final = 1_000_000
_WIDTHS: Final = (
    ("BF16", "bf16"), ("F16", "fp16"), ("F32", "fp32"), ("MXFP4", "mxfp4"), ("Q8", "int8"), ("Q4", "int4"), ("IQ4", "int4"),
)  # fmt: skip
"""How GGUF's names of quantizations begin, and what OpenRouter calls those; it has no word for the others."""

_INSTRUCT: Final = (
    ("<|im_start|>", "chatml"), ("<|start_header_id|>", "llama3"), ("<start_of_turn>", "gemma"), ("<<SYS>>", "llama2"),
    ("[INST]", "mistral"), ("<|assistant|>", "zephyr"),
)  # fmt: skip
"""The marks of chat templates, and what OpenRouter calls those templates."""


class Architecture(msgspec.Struct, frozen=True):
    """What a model reads and writes, its family, how its text is cut into tokens, and the marks of its chat template (null
    for one without a name, or for none)."""

    modality: str
    family: str
    tokenizer: str
    instruct_type: str | None


class Pricing(msgspec.Struct, frozen=True):
    """GNS per token, per image and per request, as decimal strings; what is read from a cache costs the same."""

    prompt: str
    completion: str
    image: str
    request: str
    input_cache_read: str


class Datacenter(msgspec.Struct, frozen=True):
    """A country in which a worker has the model now."""

    country_code: str


class Slug(msgspec.Struct, frozen=True):
    """What OpenRouter may call a model: whose it is and its id."""

    slug: str


class Offered(msgspec.Struct, frozen=True):
    """A model of the catalogue, and who serves it now. `quantization` is OpenRouter's word, `file_type` GGUF's own;
    `hugging_face_id` is empty where the model did not come from there."""

    id: str
    object: str
    created: int
    owned_by: str
    name: str
    description: str
    hugging_face_id: str
    input_modalities: list[str]
    output_modalities: list[str]
    context_length: int
    max_output_length: int
    architecture: Architecture
    pricing: Pricing
    quantization: str
    file_type: str
    size_bytes: int
    licence: str
    digest: str
    supported_sampling_parameters: list[str]
    supported_features: list[str]
    is_ready: bool
    loaded: bool
    workers_online: int
    datacenters: list[Datacenter]
    openrouter: Slug


class OfferedList(msgspec.Struct, frozen=True):
    """Every model of the catalogue, loaded ones first."""

    data: list[Offered]


class Vocabulary(Protocol):
    """What is read of a model's vocabulary."""

    @property
    def format(self) -> Format: ...

    def metadata(self, key: str) -> str | None: ...


class Written(msgspec.Struct, frozen=True):
    """How a model is written to: how text is cut into tokens, the name of its chat template's marks, whether it reasons."""

    tokenizer: str
    instruct_type: str | None
    reasoning: bool


def written(vocabulary: Vocabulary) -> Written:
    """What a model's vocabulary says of this; it takes milliseconds."""
    template = vocabulary.metadata("tokenizer.chat_template") or ""
    return Written(
        tokenizer=vocabulary.metadata("tokenizer.ggml.pre") or vocabulary.metadata("tokenizer.ggml.model") or "unknown",
        instruct_type=next((name for mark, name in _INSTRUCT if mark in template), None),
        reasoning=vocabulary.format.reasoning is not None,
    )


def offered(
    catalogue: Mapping[str, Entry], told: Mapping[str, Written], serving: Callable[[str], Serving]
) -> list[Offered]:
    """The catalogue's models: loaded ones first, then those that some worker has, then the others, by name."""
    shown = (_offered(entry, told[entry.id], serving(entry.id)) for entry in catalogue.values())
    return sorted(shown, key=lambda model: (not model.loaded, not model.is_ready, model.id))


def _offered(entry: Entry, told: Written, now: Serving) -> Offered:
    listed = library().get(entry.id)
    writes, seeded = _writes(now), now.seeded or not now.workers
    reads, makes = ["text", *(["image"] if now.vision else [])], _made(now)
    modality = f"{'+'.join(reads)}->{'+'.join(makes)}"
    return Offered(
        id=entry.id,
        object="model",
        created=entry.created,
        owned_by=entry.owned_by,
        name=entry.id,
        description=entry.note,
        hugging_face_id=listed.repository if listed else "",
        input_modalities=reads,
        output_modalities=makes,
        context_length=entry.context,
        max_output_length=entry.context - 1 if writes else 0,
        architecture=Architecture(modality, entry.architecture, told.tokenizer, told.instruct_type),
        pricing=_pricing(entry),
        quantization=next((word for start, word in _WIDTHS if entry.quantization.startswith(start)), "unknown"),
        file_type=entry.quantization,
        size_bytes=entry.size_bytes,
        licence=entry.licence,
        digest=entry.digest,
        supported_sampling_parameters=_together(writes, SAMPLING, SEEDED_SAMPLING if seeded else []),
        supported_features=_together(writes, FEATURES if seeded else [], ["reasoning"] if told.reasoning else []),
        is_ready=now.workers > 0,
        loaded=now.loaded > 0,
        workers_online=now.workers,
        datacenters=[Datacenter(country) for country in now.countries],
        openrouter=Slug(entry.id if "/" in entry.id else f"{entry.owned_by}/{entry.id}"),
    )


def _made(now: Serving) -> list[str]:
    """What comes out of a model: text, unless those who serve it do nothing but something else with it."""
    others = {"embed": "embeddings", "rank": "rerank"}
    made = [name for task, name in others.items() if task in now.tasks]
    return ["text"] if _writes(now) else made


def _writes(now: Serving) -> bool:
    return not now.tasks or "generate" in now.tasks


def _together(writes: bool, *lists: Iterable[str]) -> list[str]:
    return [word for words in lists for word in words] if writes else []


def _pricing(entry: Entry) -> Pricing:
    prompt, completion = _per_token(entry.price_in), _per_token(entry.price_out)
    return Pricing(prompt, completion, image="0", request="0", input_cache_read=prompt)


def _per_token(stroops_per_million: int) -> str:
    return f"{to_gns(stroops_per_million) / _PER_TOKEN:f}"
