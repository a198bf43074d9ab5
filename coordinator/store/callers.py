"""Who calls, as the store takes and gives it: accounts, keys and their money. Money in stroops, times in UTC."""

from datetime import datetime
from uuid import UUID

from coordinator.store.rows import Row
from coordinator.submit.plans import UNLIMITED, Limits


class Recharge(Row, frozen=True, kw_only=True):
    """How a key's budget grows out of its account's credit, in stroops: by `amount` when a hold does not fit or would leave
    less than `below`, and by `daily` at most in a UTC day."""

    amount: int
    below: int = 0
    daily: int | None = None


class KeyRow(Row, frozen=True, kw_only=True):
    """An API key without its secret; `budget` in stroops, None for no limit; `models` and `scopes` None for all of them;
    `limits` are its own and its plan's. The secret before the last rotation works until `old_until`; for a key that was
    found by that one `expires_at` is its end."""

    id: UUID
    account_id: UUID
    name: str
    plan: str | None
    prefix: str
    budget: int | None
    models: list[str] | None
    created_at: datetime
    revoked_at: datetime | None
    scopes: list[str] | None = None
    expires_at: datetime | None = None
    old_until: datetime | None = None
    limits: Limits = UNLIMITED
    recharge: Recharge | None = None


class KeyTerms(Row, frozen=True, kw_only=True):
    """What is set for one key: `scopes` (None: all), its end, requests and tokens a minute and jobs at once in place of its
    plan's, and how its budget grows."""

    scopes: list[str] | None = None
    expires_at: datetime | None = None
    rpm: int | None = None
    tpm: int | None = None
    at_once: int | None = None
    recharge: Recharge | None = None


class Spending(Row, frozen=True, kw_only=True):
    """A key's money in stroops: its budget (None: no limit), what is held for running jobs, and what is gone."""

    budget: int | None
    held: int
    spent: int


class AccountRow(Row, frozen=True, kw_only=True):
    """An account and its money: `credit` was granted, `held` is for running jobs, `spent` is gone."""

    id: UUID
    name: str
    created_at: datetime
    credit: int
    held: int
    spent: int
