"""`hive jobs usage`: what the account used, and what is left."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from client.hive import Hive
from client.options import with_key
from client.printed import amount, json_text, printable
from client.shapes.account import Balance, Used

_NUMBERS: Final = ("jobs", "tokens in", "cached", "tokens out", "GNS")


def usage(url: str | None, by: str, first: date | None, last: date | None, *, as_json: bool) -> None:
    """Shows rows by day, key or model, and the balance."""
    there = with_key(url)
    parts: Any = [part for part in (word.strip() for word in by.split(",")) if part]  # the Hive says what is none
    with Hive(there.url, there.key) as hive:
        rows, balance = hive.usage(first=first, last=last, by=parts).data, hive.balance()
    if as_json:
        print(json_text({"usage": rows, "balance": balance}))
    else:
        Console(highlight=False).print(used(rows, balance))


def used(rows: Sequence[Used], balance: Balance) -> RenderableType:
    """The rows as a table with their sums, and what is left."""
    left = {"credit": balance.credit, "held": balance.held, "spent": balance.spent, "left": balance.available}
    lines = [f"{name} {amount(value)}" for name, value in left.items()]
    if balance.budget is not None:
        lines.append(f"this key may still spend {amount(balance.budget.left)}")
    words = Text(" · ".join(lines), "dim")
    return Group(_table(rows), Text(), words) if rows else Group(Text("Nothing was used in these days."), words)


def _table(rows: Sequence[Used]) -> Table:
    told = {"day": rows[0].day, "key": rows[0].key, "model": rows[0].model}
    names = [name for name, value in told.items() if value is not None]
    table = Table(box=None, padding=(0, 2, 0, 0), show_footer=len(rows) > 1)
    for name in names:
        table.add_column(name, footer="in all" if name == names[0] else "")
    sums = _numbers(
        sum(row.jobs for row in rows),
        sum(row.tokens_in for row in rows),
        sum(row.cached for row in rows),
        sum(row.tokens_out for row in rows),
        sum((Decimal(row.cost) for row in rows), Decimal(0)),
    )
    for name, total in zip(_NUMBERS, sums, strict=True):
        table.add_column(name, justify="right", footer=total)
    for row in rows:
        parts = {"day": str(row.day), "key": row.key_prefix or str(row.key), "model": row.model or ""}
        numbers = _numbers(row.jobs, row.tokens_in, row.cached, row.tokens_out, Decimal(row.cost))
        table.add_row(*(Text(printable(parts[name])) for name in names), *numbers)
    return table


def _numbers(jobs: int, read: int, cached: int, made: int, cost: Decimal) -> tuple[str, ...]:
    return (f"{jobs:,}", f"{read:,}", f"{cached:,}", f"{made:,}", amount(cost).removesuffix(" GNS"))
