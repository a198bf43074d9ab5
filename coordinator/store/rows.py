"""What the store takes and gives: frozen structs. Money in stroops, times in UTC, keys as hex, cells as ints."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from coordinator.queue.lifecycle import State
from coordinator.queue.order import LOWEST, Lane, moment, tag
from coordinator.submit.callback import Callback
from coordinator.submit.plans import UNLIMITED, Limits
from shared.receipt import FinishReason, Receipt


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row, or a part of one."""


class KindSpec(Row, frozen=True, kw_only=True):
    """What a job needs of a worker. `region` is the jurisdiction's canonical key ("" for none) and `countries` what it
    allows; `context` a power of two that prompt and answer fit into. `needs` is a set of match.needs.Need bits, `price` the
    class of what a worker gets for it (match.needs.price_class), `owner` the account whose own workers go first."""

    model: str
    region: str = ""
    countries: tuple[str, ...] | None = None
    cell: int | None = None
    strict: bool = False
    min_tier: int = 0
    min_evidence: int = 0
    context: int
    needs: int = 0
    price: int = 0
    owner: UUID | None = None


class Kind(Row, frozen=True, kw_only=True):
    """An interned KindSpec: what pending jobs are grouped and claimed by."""

    id: int
    model: str
    region: str
    countries: list[str] | None
    cell: int | None
    strict: bool
    min_tier: int
    min_evidence: int
    context: int
    needs: int = 0
    price: int = 0
    owner: UUID | None = None


class NewJob(Row, frozen=True, kw_only=True):
    """A job as it is submitted; `request` is the JSON of submit.request.JobRequest, `hold` what it may cost at most.
    `parent` is the id that it shares with the other answers (by `choice`, from 0) to one request; the prompt of a `copy`
    is paid for by another of them. `limits` are those of its key, `recharging` says that the key's budget may grow;
    `echo` is what the face says of it again to whoever asks for it by the face's own id; `cache_key` what makes a request
    the same whose answer may be given again; `start` in virtual time (queue.order), None if nothing waits before it."""

    id: UUID
    account_id: UUID
    key_id: UUID
    kind_id: int
    model: str
    source: Literal["hive", "v1"]
    priority: Literal["interactive", "batch"]
    request: bytes
    tokens_in: int
    max_tokens: int
    hold: int
    reward: int | None
    seed: str
    salt: str
    deadline_at: datetime
    created_at: datetime
    store: bool
    attached: bool
    idempotency_key: str | None
    body_hash: str
    parent: UUID | None = None
    choice: int = 0
    copy: bool = False
    limits: Limits = UNLIMITED
    recharging: bool = False
    echo: bytes | None = None
    callback: Callback | None = None
    cache_key: bytes | None = None
    start: int | None = None

    @property
    def tag(self) -> int:
        """Its place in the queue of its kind."""
        return tag(moment(self.created_at) if self.start is None else self.start, self.priority)

    def pending(self) -> "Claimed":
        """The row as a claim would find it the moment it is made."""
        return Claimed(
            id=self.id, attempt=0, kind_id=self.kind_id, account_id=self.account_id, request=self.request,
            seed=self.seed, salt=self.salt, hold=self.hold, reward=self.reward, tokens_in=self.tokens_in,
            max_tokens=self.max_tokens, avoid=[], lost=0, since=self.created_at, deadline_at=self.deadline_at,
            attached=self.attached, copy=self.copy, tag=self.tag, priority=self.priority,
        )  # fmt: skip


class Ask(Row, frozen=True, kw_only=True):
    """How many jobs of a kind to claim, none younger than `min_age_ms` and none that stands before `floor`."""

    kind_id: int
    limit: int
    min_age_ms: int = 0
    floor: int = LOWEST


class Claimed(Row, frozen=True, kw_only=True):
    """A pending job, locked by the claiming transaction; `attempt` is the number of attempts before this one, `since` the
    moment from which on it looks for a worker, `tag` its place. `made` are the ids that went out of it, as a coordinator told
    that lost its worker."""

    id: UUID
    attempt: int
    kind_id: int
    account_id: UUID
    request: bytes
    seed: str
    salt: str
    hold: int
    reward: int | None
    tokens_in: int
    max_tokens: int
    avoid: list[str]
    lost: int
    since: datetime
    deadline_at: datetime
    attached: bool
    copy: bool = False
    tag: int = LOWEST
    priority: Lane = "interactive"
    made: bytes | None = None


class Assignment(Row, frozen=True, kw_only=True):
    """A claimed job and who gets it; `cell` is the worker's public cell as text, `price` what the attempt may earn."""

    id: UUID
    attempt_before: int
    worker_pk: str
    cell: str
    price: int


class Result(Row, frozen=True, kw_only=True):
    """A checked result of one attempt. `tokens_out` counts what the caller got from all attempts, `share` is (tokens of
    this attempt, tokens of all); `cost` is never above the hold; `cached_tokens` of the prompt were not read again."""

    id: UUID
    attempt: int
    worker_pk: str
    text: str
    ids: list[int]
    tokens_in: int
    tokens_out: int
    finish_reason: FinishReason
    tokens_per_second: float
    receipt: Receipt
    worker_signature: str
    coordinator_signature: str
    coordinator_pk: str
    cost: int
    share: tuple[int, int]
    cached_tokens: int = 0


class Outcome(Row, frozen=True, kw_only=True):
    """What became of a result: `duplicate` is the same attempt's result once more, `late` that somebody was first."""

    id: UUID
    verdict: Literal["accepted", "duplicate", "late"]


class JobView(Row, frozen=True, kw_only=True):
    """A job as its owner sees it: live or ended. `cell` is the asked one, `worker_cell` the public cell that served;
    `gns_reward` is what the caller offered (None: by the model's price), `cost` what was taken, both in stroops."""

    id: UUID
    account_id: UUID
    key_id: UUID
    source: str
    priority: str
    model: str
    status: State
    region: str
    cell: int | None
    created_at: datetime
    deadline_at: datetime
    assigned_at: datetime | None
    first_token_at: datetime | None
    completed_at: datetime | None
    worker_pk: str | None
    worker_handle: str | None
    worker_cell: str | None
    attempts: int
    tokens_in: int
    max_tokens: int
    tokens_generated: int
    tokens_per_second: float | None
    result_text: str | None
    finish_reason: str | None
    error_code: str | None
    error_message: str | None
    gns_reward: int | None
    hold: int
    cost: int
    settled: bool
    stellar_tx_hash: str | None
    salt: str
    seed: str
    store: bool
    cached_tokens: int = 0
    parent: UUID | None = None
    choice: int = 0
    copy: bool = False
    parked: bool = False


class JobEventRow(Row, frozen=True, kw_only=True):
    """One move of a job's history."""

    attempt: int
    event: str
    at: datetime
    worker_pk: str | None
    detail: str


class WorkerRow(Row, frozen=True, kw_only=True):
    """A registered worker; `capabilities` is the JSON of messages.Capabilities, `cell` its own at resolution 7, `owner` the
    account that it is linked to. `coordinator` has its socket, if any has; `session` counts its sessions, everywhere."""

    pk: str
    handle: str | None
    cell: int
    tier: int
    evidence: int
    state: Literal["probation", "active", "suspended", "revoked"]
    capabilities: bytes
    countries: list[str]
    first_seen: datetime
    last_seen: datetime
    owner: UUID | None = None
    coordinator: str | None = None
    session: int = 0


class ModelRow(Row, frozen=True, kw_only=True):
    """A model file that some worker has offered."""

    id: str
    digest: str
    context: int
    size_bytes: int
    first_seen: datetime
    last_seen: datetime


class StatusNumbers(Row, frozen=True, kw_only=True):
    """The swarm's work: live jobs by state, ended ones and their tokens since the beginning, GNS paid in stroops, and how many
    jobs each worker holds."""

    pending: int
    assigned: int
    computing: int
    completed: int
    failed: int
    timed_out: int
    cancelled: int
    tokens_in: int
    tokens_out: int
    paid: int
    running: dict[str, int]


class Payable(Row, frozen=True, kw_only=True):
    """What one completed attempt earned its worker and the pools."""

    id: UUID
    attempt: int
    worker_pk: str
    worker: int
    platform: int
    resilience: int
    quorum: int
