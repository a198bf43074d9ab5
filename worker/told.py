"""What the coordinator tells a worker's owner, as it is read here: unknown fields are passed over, odd letters left out."""

from typing import Annotated, Any, Final, TypeVar

import msgspec

from worker.asking import AskingError

Amount = Annotated[str, msgspec.Meta(pattern=r"^\d{1,12}\.\d{7}\Z")]
"""GNS with all seven decimals."""

STROOPS: Final = 10_000_000
_Told = TypeVar("_Told", bound=msgspec.Struct)


class Day(msgspec.Struct, frozen=True):
    """A day in UTC (ISO 8601)."""

    day: str
    jobs: int
    tokens_in: int
    tokens_out: int
    earned: Amount


class OfModel(msgspec.Struct, frozen=True):
    """A model, over the days that are told."""

    model: str
    jobs: int
    tokens_in: int
    tokens_out: int
    earned: Amount


class Payment(msgspec.Struct, frozen=True):
    """A payment and its transaction, once it has one; `at` is in ms since 1970 UTC."""

    amount: Amount
    hash: str | None
    state: str
    at: int


class LostShare(msgspec.Struct, frozen=True):
    """What this worker made of a job that another finished: `unsigned` until it has signed for it, at `until` (ms) at the
    latest; then `signed`, or `forfeited`."""

    job_id: str
    attempt: int
    amount: Amount
    state: str
    until: int


class Earned(msgspec.Struct, frozen=True):
    """`held` is earned and still withheld, `pending` is due, `paid` is on the ledger, `credited` is on the balance of
    `owner`, the account that the worker is linked to; `unsigned` and `forfeited` are sums of `shares`."""

    today: Amount
    held: Amount
    pending: Amount
    paid: Amount
    days: list[Day]
    models: list[OfModel]
    payments: list[Payment]
    owner: str | None = None
    credited: Amount = "0.0000000"
    unsigned: Amount = "0.0000000"
    forfeited: Amount = "0.0000000"
    shares: list[LostShare] = []


class Rule(msgspec.Struct, frozen=True):
    """How many of the waiting jobs a rule keeps from this worker."""

    reason: str
    count: int
    sentence: str


class Queue(msgspec.Struct, frozen=True):
    """How many jobs wait."""

    jobs: int


class Kept(msgspec.Struct, frozen=True):
    """How many jobs and refused requests a rule kept from this worker within the hour."""

    reason: str
    jobs: int
    refused: int
    sentence: str


class LastHour(msgspec.Struct, frozen=True):
    """What was asked of the coordinator since `since` (ms): how much of it this worker could have had, and what kept the rest
    from it."""

    since: int
    jobs: int
    refused: int
    could_take: int
    skipped: list[Kept]


class Why(msgspec.Struct, frozen=True):
    """The coordinator's side of why no job comes; `last_job_at` is in ms since 1970 UTC."""

    registered: bool
    online: bool
    waiting: Queue
    could_take: int
    reasons: list[Rule]
    free_slots: int
    last_job_at: int | None = None
    last_hour: LastHour | None = None


def read(answer: Any, kind: type[_Told]) -> _Told:
    """The answer as it is meant; raises AskingError for something else."""
    try:
        return msgspec.convert(_printable(answer), kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise AskingError(
            f"the coordinator's answer is not understood ({error}); one of the two is older: `hive worker update`"
        ) from error


def stroops(amount: Amount) -> int:
    """An amount in whole stroops."""
    whole, _, part = amount.partition(".")
    return int(whole) * STROOPS + int(part)


def amount(count: int) -> Amount:
    """Stroops as an amount."""
    return f"{count // STROOPS}.{count % STROOPS:07d}"


def _printable(value: Any) -> Any:
    """The same with texts that a terminal shows and does not obey."""
    if isinstance(value, str):
        return "".join(filter(str.isprintable, value))
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    return value
