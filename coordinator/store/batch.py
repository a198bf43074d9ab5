"""Many rows as the input of one statement: typed array parameters that the statement unnests."""

from collections.abc import Iterable, Sequence
from typing import Any


class Batch:
    """Named and typed columns of an input; `sql` stands in a FROM clause under the batch's alias."""

    def __init__(self, alias: str, **types: str) -> None:
        self._binds = [f"{alias}_{name}" for name in types]
        arrays = ", ".join(
            f"CAST(:{bind} AS {type_}[])" for bind, type_ in zip(self._binds, types.values(), strict=True)
        )
        self.sql = f"unnest({arrays}) AS {alias}({', '.join(types)})"

    def bind(self, rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
        """The parameters of a statement over these rows, each as long as the batch has columns."""
        columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
        return dict(zip(self._binds, columns or [[] for _ in self._binds], strict=True))


def plain(text: str) -> str:
    """Text that PostgreSQL can hold: without NUL and without halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
