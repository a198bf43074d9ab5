"""What the chat shows when it is asked what there is: models and commands."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from client.chat.slash import COMMANDS
from client.printed import printable
from client.shapes.swarm import Model

_KEYS: Final = {
    "Enter": "send",
    "Alt-Enter, Ctrl-J": "begin another line; so does a backslash at the end of one",
    "TAB": "complete commands, models, places and paths",
    "Up, Ctrl-R": "earlier questions",
    "Ctrl-C": "stop the answer, or empty the line",
    "Ctrl-D": "leave",
}


def commands() -> RenderableType:
    """All commands and keys."""
    table = Table.grid(padding=(0, 2))
    for name, about in COMMANDS.items():
        table.add_row(Text(f"/{name} {about.argument}".rstrip(), "cyan"), about.does)
    table.add_row()
    for key, does in _KEYS.items():
        table.add_row(Text(key, "cyan"), does)
    return table


def models_table(models: Sequence[Model], current: str) -> RenderableType:
    """The models that are served, the one that answers now marked."""
    if not models:
        return Text("No worker serves a model now; `hive status` shows the swarm.", "dim")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "model", "tokens at most", "GNS per million in, out", "where"):
        table.add_column(name, justify="right" if name.startswith(("tokens", "GNS")) else "left", overflow="fold")
    for model in models:
        mark = Text("●", "green") if model.id == current else Text("")
        where = ", ".join(place.country_code for place in model.datacenters)
        table.add_row(mark, Text(printable(model.id)), f"{model.context_length:,}", _price(model), printable(where))
    return Group(table, Text("/model NAME goes on with another.", "dim"))


def _price(model: Model) -> str:
    prices = (Decimal(price) * 1_000_000 for price in (model.pricing.prompt, model.pricing.completion))
    return ", ".join(f"{price.normalize():f}" for price in prices)
