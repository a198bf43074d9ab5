"""What a worker earned, for its owner's eyes: today, by day, by model, and what was paid. GNS as text with 7 decimals."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final

import msgspec
from litestar import get
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.worker_auth import require_worker
from coordinator.dispatch.offer import in_ms
from coordinator.settle.ledger import earned_by
from coordinator.store import earnings, shares
from coordinator.store.earnings import DayRow, OwnerRow, PaymentRow, Sums
from coordinator.store.engine import alone
from coordinator.store.shares import ShareRow
from shared.ids import DECIMALS, to_gns

DAYS: Final = 30
PAYMENTS: Final = 50
SHARES: Final = 50


class EarnedDay(msgspec.Struct, frozen=True):
    """A day in UTC (ISO 8601)."""

    day: str
    jobs: int
    tokens_in: int
    tokens_out: int
    earned: str


class EarnedModel(msgspec.Struct, frozen=True):
    """A model, over the days that are told."""

    model: str
    jobs: int
    tokens_in: int
    tokens_out: int
    earned: str


class ShownPayment(msgspec.Struct, frozen=True):
    """A payment: `reserved` is on its way, `paid` is on the ledger under this hash; `at` in ms."""

    amount: str
    hash: str | None
    state: str
    at: int


class ShownShare(msgspec.Struct, frozen=True):
    """What a worker made of a job that another finished: `unsigned` waits for its signature until then (`until` in ms),
    `forfeited` went to the resilience fund because none came, `signed` counts as earned."""

    job_id: str
    attempt: int
    amount: str
    state: str
    until: int


class Earned(msgspec.Struct, frozen=True):
    """`held` is earned and still withheld, `pending` is due, `paid` is on the ledger, `credited` went to the owner's
    balance instead; the last 30 days, and the newest payments first; `owner` names the account that it is linked to.
    `unsigned` and `forfeited` are the sums of `shares` in that state, of which the newest are told."""

    today: str
    held: str
    pending: str
    paid: str
    credited: str
    days: list[EarnedDay]
    models: list[EarnedModel]
    payments: list[ShownPayment]
    owner: str | None
    unsigned: str
    forfeited: str
    shares: list[ShownShare]


@get("/hive/workers/{pk:str}/earnings", name="worker_earnings")
async def worker_earnings(request: HttpRequest, pk: FromPath[str]) -> ASGIApp:
    """A worker's earnings, for itself alone."""
    hive = face_of(request).hive
    require_worker(hive, request, pk)
    today = hive.clock().date()
    async with alone(hive.engine) as conn:
        sums = (await earnings.sums(conn, [pk], today))[pk]
        days = await earnings.days(conn, pk, today - timedelta(days=DAYS - 1))
        payments = await earnings.payments(conn, earned_by(pk), PAYMENTS)
        owner = await earnings.owner(conn, pk)
        lost = await shares.shown(conn, pk, SHARES)
    return json_answer(earned(sums, days, payments, owner, lost))


def earned(
    sums: Sums,
    days: Iterable[DayRow],
    payments: Iterable[PaymentRow],
    owner: OwnerRow | None,
    lost: Iterable[ShareRow],
) -> Earned:
    """The answer; days without a job are left out."""
    rows = list(days)
    return Earned(
        today=gns(sums.today),
        held=gns(sums.held),
        pending=gns(sums.pending),
        paid=gns(sums.paid),
        credited=gns(sums.credited),
        days=[EarnedDay(*line) for line in _summed(rows, lambda row: row.day.isoformat())],
        models=[EarnedModel(*line) for line in _summed(rows, lambda row: row.model)],
        payments=[ShownPayment(gns(p.amount), p.hash, p.state, in_ms(p.at)) for p in payments],
        owner=None if owner is None else owner.name,
        unsigned=gns(sums.unsigned),
        forfeited=gns(sums.forfeited),
        shares=[ShownShare(str(s.job_id), s.attempt, gns(s.amount), _state(s), in_ms(s.until)) for s in lost],
    )


def gns(stroops: int) -> str:
    """An amount as text with all its decimals."""
    return f"{to_gns(stroops):.{DECIMALS}f}"


def _state(share: ShareRow) -> str:
    if share.forfeited:
        return "forfeited"
    return "unsigned" if share.state == "unsigned" else "signed"


def _summed(rows: list[DayRow], key: Callable[[DayRow], str]) -> list[tuple[str, int, int, int, str]]:
    sums: dict[str, tuple[int, int, int, int]] = {}
    for row in rows:
        jobs, read, made, earned = sums.get(key(row), (0, 0, 0, 0))
        sums[key(row)] = (jobs + row.jobs, read + row.tokens_in, made + row.tokens_out, earned + row.earned)
    return [(name, jobs, read, made, gns(earned)) for name, (jobs, read, made, earned) in sorted(sums.items())]


ROUTES: Final[list[Any]] = [worker_earnings]
