"""Many rows as the input of one statement: a JSON array that the statement reads as a table."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()


class Batch:
    """Named and typed columns of an input; `sql` stands in a FROM clause under the batch's alias.

    One parameter holds all columns: an array for each of them costs a job more processor time than its encryption does.
    Columns of bytes, which JSON has no form for, are an array each; a float that is no number becomes NULL.
    """

    def __init__(self, alias: str, **types: str) -> None:
        plain_ = {name: type_ for name, type_ in types.items() if type_ != "bytea"}
        self._names = list(types)
        self._rows = f"{alias}_{self._names[0]}"
        self._raw = {name: f"{alias}_{name}" for name in types if name not in plain_}
        columns = ", ".join(f"{name} {type_}" for name, type_ in plain_.items())
        given = f"CAST(:{self._rows} AS json)"
        raw = "".join(f", unnest(CAST(:{bind} AS bytea[]))" for bind in self._raw.values())
        names = ", ".join([*plain_, *self._raw])
        table = f"ROWS FROM (json_to_recordset({given}) AS ({columns}){raw}) AS {alias}({names})"
        # Of a function PostgreSQL expects 100 rows, for which it would rather walk all of a small table than look each up,
        # and keep to that when the table has grown; behind a limit that it does not know it expects a tenth, behind two one.
        most = f"LIMIT json_array_length({given})"
        self.sql = f"(SELECT * FROM (SELECT * FROM {table} {most}) AS {alias} {most}) AS {alias}"  # noqa: S608  # names of ours

    def bind(self, rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
        """The parameters of a statement over these rows, each as long as the batch has columns."""
        named = [dict(zip(self._names, row, strict=True)) for row in rows]
        raw = {bind: [row.pop(name) for row in named] for name, bind in self._raw.items()}
        return {self._rows: _ENCODER.encode(named).decode(), **raw}


def plain(text: str) -> str:
    """Text that PostgreSQL can hold: without NUL and without halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
