"""What Hive takes and answers, field by field as its OpenAPI document says; a test compares the two. Amounts are in GNS,
times in ISO 8601 UTC."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

State = Literal["pending", "assigned", "computing", "completed", "failed", "timed_out", "cancelled"]
ENDED: Final[frozenset[State]] = frozenset({"completed", "failed", "timed_out", "cancelled"})


class NewJob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job to submit: one of `prompt` and `messages`; `gns_reward` is all that you pay, left out it is the model's price."""

    model_id: str
    prompt: str | None = None
    raw: bool | None = None
    messages: Sequence[Mapping[str, Any]] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: Mapping[str, float] | None = None
    seed: int | str | None = None
    stop: str | Sequence[str] | None = None
    response_format: Mapping[str, Any] | None = None
    jurisdiction: str | None = None
    h3_cell: str | None = None
    strict_cell: bool | None = None
    min_trust_tier: str | None = None
    min_evidence: str | None = None
    verifiability: str | None = None
    owner: str | None = None
    gns_reward: Decimal | None = None
    priority: Literal["interactive", "batch"] | None = None
    deadline_s: float | None = None
    store: bool | None = None
    callback_url: str | None = None
    idempotency_key: str | None = None


class JobCreated(msgspec.Struct, frozen=True):
    """An accepted job: it will end, whatever happens."""

    job_id: UUID
    status: State
    h3_cell: str | None
    created_at: str


class Job(msgspec.Struct, frozen=True):
    """A job of the account; `worker_pk` is there from `assigned` on, `result_text` when it is completed, and `settled` says that
    its payment is confirmed."""

    id: UUID
    status: State
    model_id: str
    h3_cell: str | None
    jurisdiction: str | None
    priority: str
    created_at: str | None
    assigned_at: str | None
    first_token_at: str | None
    completed_at: str | None
    deadline_at: str | None
    queue_ms: int | None
    run_ms: int | None
    worker_pk: str | None
    worker_handle: str | None
    worker_cell: str | None
    attempts: int
    tokens_in: int
    cached_tokens: int
    max_tokens: int
    tokens_generated: int
    tokens_per_second: float | None
    result_text: str | None
    finish_reason: str | None
    error: dict[str, Any] | None
    gns_reward: Decimal | None
    gns_cost: Decimal
    settled: bool
    stellar_tx_hash: str | None
    receipt_url: str | None
    seed: str
    salt: str
    store: bool

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


class JobPage(msgspec.Struct, frozen=True):
    """A page of jobs, the newest first; `next_cursor` is None on the last one."""

    data: list[Job]
    next_cursor: str | None


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
    """What a model reads and writes, and its family."""

    modality: str
    family: str


class Pricing(msgspec.Struct, frozen=True):
    """GNS per token and per request, as decimal text."""

    prompt: str
    completion: str
    request: str


class Datacenter(msgspec.Struct, frozen=True):
    """A country in which a worker has the model now."""

    country_code: str


class Model(msgspec.Struct, frozen=True):
    """A model of the catalogue, and who serves it now."""

    id: str
    object: str
    created: int
    owned_by: str
    context_length: int
    architecture: Architecture
    pricing: Pricing
    quantization: str
    size_bytes: int
    licence: str
    digest: str
    supported_features: list[str]
    is_ready: bool
    loaded: bool
    workers_online: int
    datacenters: list[Datacenter]


class ModelList(msgspec.Struct, frozen=True):
    """The whole catalogue."""

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
