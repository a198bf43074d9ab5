"""Jobs. Amounts are in GNS, times in ISO 8601 UTC."""

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
    tools: Sequence[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    jurisdiction: str | None = None
    h3_cell: str | None = None
    strict_cell: bool | None = None
    min_trust_tier: str | None = None
    min_evidence: str | None = None
    delegation_cert: str | None = None
    verifiability: str | None = None
    owner: str | None = None
    gns_reward: Decimal | None = None
    priority: Literal["interactive", "batch"] | None = None
    deadline_s: float | None = None
    store: bool | None = None
    callback_url: str | None = None
    verify: Any = None
    redundancy: Any = None
    privacy: Any = None
    idempotency_key: str | None = None


class JobCreated(msgspec.Struct, frozen=True):
    """An accepted job: it will end, whatever happens."""

    job_id: UUID
    status: State
    h3_cell: str | None
    created_at: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job of the account; `worker_pk` is there from `assigned` on, `result_text` when it is completed, and `settled` says that
    its payment is confirmed. A parent has `children`, one for each answer, and they its id.
    `parked`: it waits until another of its key's jobs ends. `message` is an answer with tool calls, apart from its text."""

    id: UUID
    status: State
    parked: bool = False
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
    parent_id: UUID | None = None
    children: list[UUID] = []
    message: dict[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


class Parked(msgspec.Struct, frozen=True):
    """A job that waits outside the queue: `under_way` jobs of its key are let in, of `at_once` that may be; `ahead` of its key's
    parked ones go first."""

    under_way: int
    at_once: int
    ahead: int


class NextCell(msgspec.Struct, frozen=True):
    """What the search takes in next, and when."""

    cell: str
    at: str


class Widening(msgspec.Struct, frozen=True):
    """The cells that are searched now, the named one first; `next` is None where the search goes no further."""

    cells: list[str]
    next: NextCell | None


class Tried(msgspec.Struct, frozen=True):
    """One attempt: `outcome` is `complete`, `lose`, `decline`, `fail`, `expire` or `cancel`, None while it is under way."""

    attempt: int
    assigned_at: str
    ended_at: str | None
    outcome: str | None
    reason: str


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """Why one job waits: `counts` says how many workers pass each rule, `ahead` how many jobs of its kind go first, `avoids` how
    many workers it avoids; they are None for one that does not wait, of which the attempts tell."""

    id: UUID
    status: State
    sentence: str
    would_help: str | None
    waited_ms: int
    counts: dict[str, int] | None
    parked: Parked | None
    ahead: int | None
    ready_at: str | None
    widening: Widening | None
    avoids: int
    attempts: list[Tried]


class WhyJob(Explained, frozen=True, kw_only=True):
    """Why a job waits, or what became of it; of a parent, its `children` each."""

    children: list[Explained]


class JobPage(msgspec.Struct, frozen=True):
    """A page of jobs, the newest first; `next_cursor` is None on the last one."""

    data: list[Job]
    next_cursor: str | None
