"""What a move knows of a job and what it writes: the structs between queue/ and store/."""

from datetime import datetime
from uuid import UUID

from coordinator.queue.lifecycle import Event, State
from coordinator.queue.order import Lane
from coordinator.store.rows import Row


class Live(Row, frozen=True, kw_only=True):
    """What a move has to know of an unfinished job; its key was charged `token_ns` for each token that it may use, and its
    end is to be told if it has a `callback`; `coordinator` gave it to its worker, or took it up since."""

    id: UUID
    state: State
    attempt: int
    worker_pk: str | None
    account_id: UUID
    key_id: UUID
    model: str
    source: str
    priority: Lane
    created_at: datetime
    assigned_at: datetime | None
    tokens_in: int
    max_tokens: int
    hold: int
    reward: int | None
    copy: bool
    at_once: int | None
    lost: int
    store: bool
    attached: bool
    due_at: datetime
    lease_until: datetime | None
    reader_until: datetime | None
    token_ns: int = 0
    callback: bool = False
    parent: UUID | None = None
    coordinator: str | None = None
    kind_id: int = 0


class End(Row, frozen=True, kw_only=True):
    """How a job ends; what stays None is unknown or was never made; `started`: its first token came just now too. What it
    costs is owed to `worker_pk` for its `share` of the tokens (its own, all), and to the pools."""

    id: UUID
    attempt: int
    state: State
    event: Event
    reason: str = ""
    started: bool = False
    lost: int = 0
    tokens_in: int | None = None
    tokens_out: int = 0
    tokens_per_second: float | None = None
    text: str | None = None
    ids: list[int] | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    cost: int = 0
    cached_tokens: int = 0
    worker_pk: str = ""
    share: tuple[int, int] = (0, 0)
    purge_at: datetime


class Work(Row, frozen=True, kw_only=True):
    """What a worker did of a job that was completed or earned it something: the prompt's tokens, its own new ones, and what
    it earned, in stroops."""

    worker_pk: str
    model: str
    tokens_in: int
    tokens_out: int
    earned: int


class Use(Row, frozen=True, kw_only=True):
    """What a caller got of a job that was completed, or of which a part was made; the prompt counts where it is paid."""

    account_id: UUID
    key_id: UUID
    model: str
    tokens_in: int
    cached: int
    tokens_out: int
    cost: int


class Requeue(Row, frozen=True, kw_only=True):
    """How a job goes back to waiting; `worker_pk` is avoided from now on. `made` are the ids that went out of it, if the one
    who says so knows them."""

    id: UUID
    attempt: int
    lost: bool
    worker_pk: str
    reason: str
    ready_at: datetime
    made: bytes | None = None
