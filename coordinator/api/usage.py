"""What was used, as JSON or CSV with GNS as text of 7 decimals, for callers and for the operator; and what is left."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get
from litestar.types import ASGIApp

from coordinator.api.answers import Answer, json_answer
from coordinator.api.earned import gns
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.api.own_key import Budget, budget_of
from coordinator.store import accounts, usage
from coordinator.store.engine import alone
from coordinator.store.usage import Part, UsageRow
from shared.errors import RequestError
from shared.ids import to_gns

DAYS: Final = 30
MOST_DAYS: Final = 366
FIRST: Final = date(2000, 1, 1)
CSV_TYPE: Final = "text/csv; charset=utf-8"
_OF_CALLERS: Final[tuple[Part, ...]] = ("day", "key", "model")
_OF_OPERATORS: Final[tuple[Part, ...]] = ("account", *_OF_CALLERS)


class Asked(msgspec.Struct, frozen=True):
    """Which days, both included, told by what, and whether as CSV."""

    first: date
    last: date
    by: tuple[Part, ...]
    as_csv: bool


class Used(msgspec.Struct, frozen=True, omit_defaults=True):
    """Jobs that were completed, or of which a part was paid for; of what the rows are not told by, nothing is said."""

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


class Balance(msgspec.Struct, frozen=True):
    """An account in GNS: what was put on it, what is held for unfinished jobs, what is gone, what is left; and the budget of
    the key, null where it may spend all of it."""

    credit: Decimal
    held: Decimal
    spent: Decimal
    available: Decimal
    budget: Budget | None


@get("/hive/usage", name="usage")
async def get_usage(request: HttpRequest) -> ASGIApp:
    """What the account used: `from`, `to` (days in UTC, both included), `by` (of day, key, model), `format`."""
    face = face_of(request)
    key = await face.keys.caller(request)
    asked = _asked(request, _OF_CALLERS, face.hive.clock().date())
    async with alone(face.hive.engine) as conn:
        rows = await usage.usage(conn, key.account_id, asked.first, asked.last, asked.by)
    return _told(rows, asked)


@get("/admin/usage", name="usage_of_all")
async def get_usage_of_all(request: HttpRequest) -> ASGIApp:
    """What all accounts used, or the one that `account` names."""
    hive = face_of(request).hive
    asked = _asked(request, _OF_OPERATORS, hive.clock().date())
    async with alone(hive.engine) as conn:
        rows = await usage.usage(conn, _account(request.query_params.get("account")), asked.first, asked.last, asked.by)
    return _told(rows, asked)


@get("/hive/balance", name="balance")
async def get_balance(request: HttpRequest) -> ASGIApp:
    """What the account has left, and what the key may spend of it."""
    face = face_of(request)
    key = await face.keys.caller(request)
    async with alone(face.hive.engine) as conn:
        account = await accounts.get_account(conn, key.account_id)
        spending = await accounts.get_spending(conn, key.id)
    assert account is not None, "a key has an account"
    free = account.credit - account.held - account.spent
    money = to_gns(account.credit), to_gns(account.held), to_gns(account.spent), to_gns(free)
    return json_answer(Balance(*money, budget_of(key, spending)))


def used(row: UsageRow) -> Used:
    """A row of the answer."""
    return Used(
        jobs=row.jobs,
        tokens_in=row.tokens_in,
        cached=row.cached,
        tokens_out=row.tokens_out,
        cost=gns(row.cost),
        account=row.account_id,
        day=row.day,
        key=row.key_id,
        key_prefix=row.key_prefix,
        model=row.model,
    )


def to_csv(rows: Iterable[Used], by: Sequence[Part]) -> str:
    """The rows under a line of names: first what they are told by, then the sums."""
    told = [name for part in by for name in ((part, "key_prefix") if part == "key" else (part,))]
    names = [*told, "jobs", "tokens_in", "cached", "tokens_out", "cost"]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(names)
    lines.writerows([getattr(row, name) for name in names] for row in rows)
    return text.getvalue()


def period(query: Mapping[str, str], today: date) -> tuple[date, date]:
    """The days from `from` to `to`, both included: the last 30 if neither is given; raises RequestError for what is no
    day, the wrong way round or more than a year."""
    last = _day("to", query["to"]) if "to" in query else today
    first = _day("from", query["from"]) if "from" in query else last - timedelta(days=DAYS - 1)
    if first > last:
        raise RequestError("from is a day after to.", param="from")
    if (last - first).days >= MOST_DAYS:
        raise RequestError(f"from and to are at most {MOST_DAYS} days apart, ask for a part at a time.", param="from")
    return first, last


def parts(text: str | None, allowed: Sequence[Part]) -> tuple[Part, ...]:
    """What the rows are told by: all that is allowed if nothing is said; raises RequestError for anything else."""
    if text is None:
        return tuple(allowed)
    asked = {word.strip() for word in text.split(",")} - {""}
    if strange := asked - set(allowed):
        raise RequestError(f"by takes {', '.join(allowed)}, not {min(strange)[:40]!r}.", param="by")
    return tuple(part for part in allowed if part in asked)


def _asked(request: HttpRequest, allowed: Sequence[Part], today: date) -> Asked:
    query = request.query_params
    form = query.get("format") or ("csv" if "text/csv" in request.headers.get("accept", "") else "json")
    if form not in {"csv", "json"}:
        raise RequestError(f"format is json or csv, not {form[:40]!r}.", param="format")
    return Asked(*period(query, today), parts(query.get("by"), allowed), form == "csv")


def _told(rows: Iterable[UsageRow], asked: Asked) -> Answer:
    told = [used(row) for row in rows]
    if not asked.as_csv:
        return json_answer(Usage(told))
    name = f'attachment; filename="usage-{asked.first}-{asked.last}.csv"'
    return Answer(to_csv(told, asked.by).encode(), CSV_TYPE, headers={"content-disposition": name})


def _day(param: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as e:
        raise RequestError(f"{param} must be a day like 2026-01-31, got {text[:40]!r}.", param=param) from e
    if day < FIRST:
        raise RequestError(f"{param} is before there was any Hive.", param=param)
    return day


def _account(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError as e:
        raise RequestError(
            f"account must be an account's id, got {text[:40] if text else ''!r}.", param="account"
        ) from e


ROUTES: Final[list[Any]] = [get_usage, get_balance]
ADMIN_ROUTES: Final[list[Any]] = [get_usage_of_all]
