"""Many rows as the input of one statement: a JSON array that the statement reads as a table."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()


class Batch:
    """Named and typed columns of an input; `sql` stands in a FROM clause under the batch's alias.

    One parameter holds all columns: an array for each of them costs a job more processor time than its encryption does.
    Columns of bytes, which JSON has no form for, are an array each.
    """

    def __init__(self, alias: str, **types: str) -> None:
        plain_ = {name: type_ for name, type_ in types.items() if type_ != "bytea"}
        self._names = list(types)
        self._rows = f"{alias}_{self._names[0]}"
        self._raw = {name: f"{alias}_{name}" for name in types if name not in plain_}
        columns = ", ".join(f"{name} {type_}" for name, type_ in plain_.items())
        read = f"json_to_recordset(CAST(:{self._rows} AS json)) AS"
        raw = "".join(f", unnest(CAST(:{bind} AS bytea[]))" for bind in self._raw.values())
        names = ", ".join([*plain_, *self._raw])
        self.sql = f"ROWS FROM ({read} ({columns}){raw}) AS {alias}({names})" if raw else f"{read} {alias}({columns})"

    def bind(self, rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
        """The parameters of a statement over these rows, each as long as the batch has columns."""
        named = [dict(zip(self._names, row, strict=True)) for row in rows]
        raw = {bind: [row.pop(name) for row in named] for name, bind in self._raw.items()}
        return {self._rows: _ENCODER.encode(named).decode(), **raw}


def plain(text: str) -> str:
    """Text that PostgreSQL can hold: without NUL and without halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
