"""The double-entry journal's entries: legs that sum to zero, one entry of a kind for a job, a lost share, a grant or a payout."""

from collections.abc import Iterable
from datetime import date
from typing import Final, Literal
from uuid import UUID

import msgspec

from coordinator.settle.split import Split
from shared.crypto import chain_start
from shared.ids import day_of

ISSUE: Final = "issue"
"""Where granted GNS comes from."""
PAID: Final = "paid"
"""Where paid GNS goes: out of the ledger, to Stellar."""
PLATFORM: Final = "pool:platform"
RESILIENCE: Final = "pool:resilience"
QUORUM: Final = "pool:quorum"


def balance_of(account_id: UUID) -> str:
    """The ledger account of what a caller may still spend."""
    return f"account:{account_id}"


def hold_of(account_id: UUID) -> str:
    """The ledger account of what is held for a caller's running jobs."""
    return f"hold:{account_id}"


def earned_by(worker_pk: str) -> str:
    """The ledger account of what a worker has earned and was not paid yet."""
    return f"worker:{worker_pk}"


def is_worker(ledger_account: str) -> bool:
    """Whether a ledger account is what a worker has earned."""
    return ledger_account.startswith("worker:")


class Entry(msgspec.Struct, frozen=True):
    """One entry of the journal; `accounts` and `amounts` (stroops, summing to zero) belong together by position."""

    day: date
    ref: UUID
    kind: Literal["hold", "settle", "release", "refund", "grant", "payout", "credit", "forfeit"]
    accounts: list[str]
    amounts: list[int]


def grant(day: date, ref: UUID, account_id: UUID, amount: int) -> list[Entry]:
    """A caller is given `amount` stroops; `ref` names the grant."""
    return _entry(day, ref, "grant", [(ISSUE, -amount), (balance_of(account_id), amount)])


def hold(job_id: UUID, account_id: UUID, amount: int) -> list[Entry]:
    """What a job may cost at most is set aside."""
    return _entry(day_of(job_id), job_id, "hold", [(balance_of(account_id), -amount), (hold_of(account_id), amount)])


def release(job_id: UUID, account_id: UUID, amount: int) -> list[Entry]:
    """What was held and not spent goes back."""
    return _entry(day_of(job_id), job_id, "release", [(hold_of(account_id), -amount), (balance_of(account_id), amount)])


def settle(
    job_id: UUID, account_id: UUID, worker_pk: str, legs: Split, others: Iterable[tuple[str, int]] = ()
) -> list[Entry]:
    """What a job cost goes from the hold to the worker, the `others` that made tokens of it, and the pools."""
    gains = [
        (earned_by(worker_pk), legs.worker),
        *((earned_by(other), amount) for other, amount in others),
        (PLATFORM, legs.platform),
        (RESILIENCE, legs.resilience),
        (QUORUM, legs.quorum),
    ]
    cost = sum(amount for _, amount in gains)
    return _entry(day_of(job_id), job_id, "settle", [(hold_of(account_id), -cost), *gains])


def credit(job_id: UUID, worker_pk: str, account_id: UUID, amount: int) -> list[Entry]:
    """What a worker earned by a job goes to its owner's balance instead of being paid."""
    return _entry(day_of(job_id), job_id, "credit", [(earned_by(worker_pk), -amount), (balance_of(account_id), amount)])


def forfeit(job_id: UUID, attempt: int, worker_pk: str, amount: int) -> list[Entry]:
    """What a lost worker did not sign for in time goes to the resilience fund; a job may have several such attempts."""
    ref = UUID(bytes=chain_start(str(job_id), attempt)[:16])
    return _entry(day_of(job_id), ref, "forfeit", [(earned_by(worker_pk), -amount), (RESILIENCE, amount)])


def payout(day: date, batch: UUID, paid: Iterable[tuple[str, int]]) -> list[Entry]:
    """What a confirmed batch paid to each ledger account (earned_by(…) or a pool) has left the ledger."""
    debits = [(account, -amount) for account, amount in paid]
    return _entry(day, batch, "payout", [*debits, (PAID, -sum(amount for _, amount in debits))])


def _entry(day: date, ref: UUID, kind: str, legs: list[tuple[str, int]]) -> list[Entry]:
    """The entry without its zero legs, or none at all if every leg is zero."""
    real = [(account, amount) for account, amount in legs if amount]
    accounts, amounts = [account for account, _ in real], [amount for _, amount in real]
    return (
        [msgspec.convert({"day": day, "ref": ref, "kind": kind, "accounts": accounts, "amounts": amounts}, Entry)]
        if real
        else []
    )
