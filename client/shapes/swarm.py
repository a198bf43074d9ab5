"""The swarm: its numbers, models and workers. Amounts are in GNS, times in ISO 8601 UTC, memory in bytes."""

from decimal import Decimal
from typing import Literal

import msgspec


class SwarmStatus(msgspec.Struct, frozen=True):
    """The swarm in numbers; `total_tokens_distributed` is GNS paid out, `tokens_per_second` over the last ten seconds."""

    active_nodes: int
    total_tflops: float
    computing_nodes: int
    avg_ram_gb: float
    active_h3_cells: int
    total_tokens_distributed: Decimal
    jobs: dict[str, int]
    tokens_in: int
    tokens_out: int
    tokens_per_second: float
    registered_nodes: int
    models: int
    ledger: Literal["none", "local", "testnet", "stellar"]


class Architecture(msgspec.Struct, frozen=True):
    """What a model reads and writes, its family, how its text is cut into tokens, and the marks of its chat template."""

    modality: str
    family: str
    tokenizer: str
    instruct_type: str | None


class Pricing(msgspec.Struct, frozen=True):
    """GNS per token, per image and per request, as decimal text."""

    prompt: str
    completion: str
    image: str
    request: str
    input_cache_read: str


class Datacenter(msgspec.Struct, frozen=True):
    """A country in which a worker has the model now."""

    country_code: str


class Slug(msgspec.Struct, frozen=True):
    """What OpenRouter may call a model."""

    slug: str


class Model(msgspec.Struct, frozen=True):
    """A model of the catalogue, and who serves it now."""

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


class ModelList(msgspec.Struct, frozen=True):
    """The whole catalogue, loaded models first."""

    data: list[Model]


class WorkerModel(msgspec.Struct, frozen=True):
    """A model at a worker: in memory, on the way there or on its disk; `tokens_per_second` of one stream, 0 if unmeasured."""

    id: str
    context_length: int
    loaded: bool
    loading: bool
    verifiability: str
    tokens_per_second: float


class Gpu(msgspec.Struct, frozen=True):
    """A graphics card; memory in bytes."""

    name: str
    memory_total: int


class Hardware(msgspec.Struct, frozen=True):
    """What a worker runs on; memory in bytes, `tflops` measured."""

    cpu: str
    cores: int
    memory_total: int
    gpus: list[Gpu]
    tflops: float


class Worker(msgspec.Struct, frozen=True):
    """A registered worker; `running` of its `slots` are taken now, and its cell is no finer than resolution 4."""

    pk: str
    handle: str | None
    cell: str
    countries: list[str]
    tier: str
    evidence: str
    state: str
    online: bool
    slots: int
    running: int
    models: list[WorkerModel]
    hardware: Hardware
    engine_build: str
    first_seen: str
    last_seen: str


class WorkerList(msgspec.Struct, frozen=True):
    """Every worker seen within a day, the ones online first."""

    data: list[Worker]


class Guard(msgspec.Struct, frozen=True):
    """A guard: how it decides, and what it misses or gets wrong."""

    name: str
    method: str
    limits: str


class GuardList(msgspec.Struct, frozen=True):
    """The guards that `x-hive-guard` may name; `default` are those for requests without it."""

    data: list[Guard]
    default: list[str]
