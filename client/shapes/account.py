"""An account and its keys: what they may do, what was used, whom Hive tells. Amounts are in GNS, times in ISO 8601 UTC."""

from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

CallbackState = Literal["dead", "delivered", "waiting"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one key may do; None is no limit. `requests` are by the minute, or by the UTC day if `daily`, `tokens` by the
    minute; a job over `at_once` waits its turn."""

    requests: int | None = None
    daily: bool = False
    tokens: int | None = None
    at_once: int | None = None


class Left(msgspec.Struct, frozen=True):
    """How much of a limit is left, and when all of it is free again."""

    limit: int
    remaining: int
    reset: str


class Budget(msgspec.Struct, frozen=True):
    """A key's budget: all of it, what is held for running jobs, what is gone and left; `recharge` is by how much it grows by
    itself."""

    total: Decimal
    held: Decimal
    spent: Decimal
    left: Decimal
    recharge: Decimal | None


class Key(msgspec.Struct, frozen=True):
    """The key that this is asked with; `models` None are all."""

    id: UUID
    prefix: str
    name: str
    plan: str | None
    limits: Limits
    remaining: dict[str, Left]
    budget: Budget | None
    models: list[str] | None
    scopes: list[str]
    created_at: str | None
    expires_at: str | None


class Balance(msgspec.Struct, frozen=True):
    """What was put on the account, what is held for unfinished jobs, what is gone and what is left; and the key's budget."""

    credit: Decimal
    held: Decimal
    spent: Decimal
    available: Decimal
    budget: Budget | None


class Used(msgspec.Struct, frozen=True):
    """What jobs used; of what the rows are not told by, nothing is said."""

    jobs: int
    tokens_in: int
    cached: int
    tokens_out: int
    cost: str
    account: UUID | None = None
    day: date | None = None
    key: UUID | None = None
    key_prefix: str | None = None
    model: str | None = None


class Usage(msgspec.Struct, frozen=True):
    """Rows in the order of their days."""

    data: list[Used]


class Callback(msgspec.Struct, frozen=True):
    """A callback under its job's id: `waiting` for the job's end or the next try, `delivered`, or `dead`: given up."""

    id: UUID
    account_id: UUID
    url: str
    state: CallbackState
    attempts: int
    next_attempt_at: str | None
    last_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str


class CallbackPage(msgspec.Struct, frozen=True):
    """A page of callbacks, the newest first; `next_cursor` is None on the last one."""

    data: list[Callback]
    next_cursor: str | None


class WebhookSecret(msgspec.Struct, frozen=True):
    """What the account's callbacks are signed with; until `previous_until` also with the secret before."""

    secret: str
    generation: int
    previous_until: str | None
