"""A conversation's messages as templates read them, and the same said otherwise for templates that refuse them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.chat.formats import described

Row = dict[str, Any]
_FIELDS: Final = ("role", "content", "name", "tool_call_id", "tool_calls")
_ROLES: Final = {"developer": "system"}


class TemplateError(ValueError):
    """These messages do not go through this model's chat template; the message is a sentence for the caller."""


def row_of(message: Any) -> Row:
    """A message (a mapping, or with these attributes) as templates read it: content is always text, and calls have
    functions with names. Raises TemplateError."""
    fields: dict[str, Any] = {
        name: message.get(name) if isinstance(message, Mapping) else getattr(message, name, None) for name in _FIELDS
    }
    content, role = fields["content"], str(fields["role"])
    row = {name: value for name, value in fields.items() if value is not None}
    if "tool_calls" in row:
        row["tool_calls"] = [_checked(call) for call in _listed(row["tool_calls"])]
    return row | {"role": _ROLES.get(role, role), "content": "" if content is None else content}


def _listed(calls: Any) -> Sequence[Any]:
    if not isinstance(calls, list | tuple):
        raise TemplateError("The tool_calls of a message must be a list.")
    return calls


def _checked(call: Any) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise TemplateError("Each of the tool_calls of a message must have a function with a name.")
    arguments = function.get("arguments")
    return {"type": "function", **call, "function": {**function, "arguments": "{}" if arguments is None else arguments}}


def shows_systems(rows: Sequence[Row], text: str) -> bool:
    """Whether what systems say within a conversation is in its text: some templates leave it out without a word."""
    return all(str(row["content"]).strip() in text for row in rows[1:] if row["role"] == "system")


def system_first(rows: Sequence[Row]) -> list[Row]:
    """All that systems say as one message in front."""
    said = [row["content"] for row in rows if row["role"] == "system"]
    others = [row for row in rows if row["role"] != "system"]
    return [{"role": "system", "content": "\n\n".join(said)}, *others] if said else others


def system_in_user(rows: Sequence[Row]) -> list[Row]:
    """All that systems say at the beginning of the first user message."""
    said = [row["content"] for row in rows if row["role"] == "system"]
    others = [row for row in rows if row["role"] != "system"]
    place = next((i for i, row in enumerate(others) if row["role"] == "user"), None)
    if not said:
        return others
    if place is None:
        return [{"role": "user", "content": "\n\n".join(said)}, *others]
    user = others[place]
    others[place] = user | {"content": "\n\n".join([*said, user["content"]])}
    return others


def alternating(rows: Sequence[Row]) -> list[Row]:
    """Neighbours of one role as one message, but for tools and their calls."""
    joined: list[Row] = []
    for row in rows:
        last = joined[-1] if joined else None
        if last and row["role"] == last["role"] != "tool" and not (row.get("tool_calls") or last.get("tool_calls")):
            joined[-1] = last | {"content": f"{last['content']}\n\n{row['content']}"}
        else:
            joined.append(row)
    return joined


def told_in_words(messages: Sequence[Any], tools: Sequence[dict[str, Any]]) -> list[Row]:
    """The conversation for a template that knows no tools: they are described in the system message, and calls and their
    results are text, as the model is asked to write them."""
    rows = [_in_words(row_of(message)) for message in messages]
    if not tools:
        return rows
    if rows and rows[0]["role"] == "system":
        return [rows[0] | {"content": f"{rows[0]['content']}\n\n{described(tools)}"}, *rows[1:]]
    return [{"role": "system", "content": described(tools)}, *rows]


def _in_words(row: Row) -> Row:
    if row["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{row['content']}\n</tool_response>"}
    if not row.get("tool_calls"):
        return row
    calls = [_call(call["function"]) for call in row["tool_calls"]]
    return {"role": row["role"], "content": "\n".join([row["content"], *calls] if row["content"] else calls)}


def _call(function: Mapping[str, Any]) -> str:
    arguments = function["arguments"] or "{}"
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return f'<tool_call>\n{{"name": {json.dumps(function["name"])}, "arguments": {text}}}\n</tool_call>'
