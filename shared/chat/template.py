"""A GGUF's chat template: from a conversation to the text that the model sees, whatever the template insists on."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from shared.chat.budget import TooMuch
from shared.chat.sandbox import Sandbox
from shared.chat.turns import Row, TemplateError, alternating, row_of, shows_systems, system_first, system_in_user

__all__ = ["ChatTemplate", "TemplateError"]

MAX_SOURCE: Final = 1 << 18
_FIXED_DATE: Final = datetime(2024, 7, 26, tzinfo=UTC)
"""What templates that ask for today are told when nobody says: the same prompt tomorrow, so that it can be replayed."""
_NINE: Final = re.compile(r"length\s*!=\s*9\b")
_PROBE: Final = "hive_probe"
_SHOWN: Final = re.compile(rf'"{_PROBE}":\s*"{_PROBE}"')


class ChatTemplate:
    """A template's source in a sandbox, with the names of the tokens that start and end a text. Safe to use from several
    threads; what a rendering may cost is bounded."""

    def __init__(self, source: str, bos: str = "", eos: str = "") -> None:
        """Raises TemplateError if it cannot be read."""
        self._source = source
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self._has_a_date = re.search(r"strftime_now\s+is\s+defined", source) is not None
        self._sandbox = Sandbox()
        try:
            if len(source) > MAX_SOURCE:
                raise TooMuch("it is too long")
            self._template = self._sandbox.from_string(source)
            self._template.globals = dict(
                self._template.globals
            )  # Jinja's chained maps are copied with every rendering
        except Exception as error:
            raise TemplateError(f"This model's chat template cannot be read: {_said(error)}") from error

    def render(
        self,
        messages: Sequence[Any],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        now: datetime | None = None,
    ) -> str:
        """What the model sees of the messages (mappings, or with these attributes); raises TemplateError.

        `developer` is rendered as `system`. A system message that the template refuses or would drop goes into the first
        user message, and neighbours of one role become one message where the template wants turns to alternate. Arguments
        of earlier calls are objects or text, as the template takes them. `now` is what `strftime_now` tells.
        """
        rows = [row_of(message) for message in messages]
        options = {"tools": list(tools) if tools else None, "add_generation_prompt": add_generation_prompt}
        options |= self._date(now)
        if any(row.get("tool_calls") for row in rows):
            rows = self._as_it_calls(rows)
        refusal: TemplateError | None = None
        for changed in self._ways(rows):
            try:
                said = changed(rows)
                text = self._rendered(said, options)
            except TemplateError as error:
                refusal = refusal or error
                if isinstance(error.__cause__, TooMuch):
                    break
            else:
                if shows_systems(said, text):
                    return text
        raise refusal or TemplateError("This model's chat template does not show the system messages.")

    def _ways(self, rows: Sequence[Row]) -> list[Callable[[list[Row]], list[Row]]]:
        ways: list[Callable[[list[Row]], list[Row]]] = [list]
        if any(row["role"] == "system" for row in rows):
            ways = [list, system_first, system_in_user] if self._takes_system else [system_in_user]
        return [way for plain in ways for way in (plain, lambda rows, plain=plain: alternating(plain(rows)))]

    @cached_property
    def _nine(self) -> bool:
        return _NINE.search(self._source) is not None

    @cached_property
    def _takes_system(self) -> bool:
        """Whether a system message is accepted and shown."""
        rows: list[Row] = [{"role": "system", "content": _PROBE}, {"role": "user", "content": "x"}]
        return _PROBE in self._tried(rows)

    @cached_property
    def _arguments(self) -> Callable[[Any], Any]:
        """How the template wants the arguments of a call."""
        if _SHOWN.search(self._tried(_called({_PROBE: _PROBE}))):
            return _as_object
        if _SHOWN.search(self._tried(_called(json.dumps({_PROBE: _PROBE})))):
            return _as_text
        return _as_object

    def _as_it_calls(self, rows: list[Row]) -> list[Row]:
        return [
            row | {"tool_calls": [self._call(call) for call in row["tool_calls"]]} if row.get("tool_calls") else row
            for row in (self._with_id(row) for row in rows)
        ]

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        function = call["function"]
        arguments = self._arguments(function["arguments"])
        return {**call, "id": self._id(call.get("id")), "function": {**function, "arguments": arguments}}

    def _with_id(self, row: Row) -> Row:
        return row | {"tool_call_id": self._id(row["tool_call_id"])} if row.get("tool_call_id") else row

    def _id(self, id_: Any) -> Any:
        """Mistral's templates take no id but of nine letters and digits."""
        if not self._nine or (isinstance(id_, str) and re.fullmatch(r"[A-Za-z0-9]{9}", id_)):
            return id_
        return hashlib.sha256(str(id_).encode("utf-8", "replace")).hexdigest()[:9]

    def _date(self, now: datetime | None) -> dict[str, Any]:
        if now is None and self._has_a_date:
            return {}
        return {"strftime_now": (now or _FIXED_DATE).strftime}

    def _tried(self, rows: list[Row]) -> str:
        options = {"tools": None, "add_generation_prompt": True} | self._date(None)
        try:
            return self._rendered(rows, options)
        except TemplateError:
            return ""

    def _rendered(self, rows: list[Row], options: Mapping[str, Any]) -> str:
        budget = self._sandbox.renew()
        try:
            text = self._template.render(messages=rows, **self._tokens, **options)
            budget.make(len(text))
            return text
        except Exception as error:
            raise TemplateError(f"The messages do not fit this model's chat template: {_said(error)}") from error


def _said(error: Exception) -> str:
    return str(error)[:500] or type(error).__name__


def _called(arguments: Any) -> list[Row]:
    call = {"id": "a1b2c3d4e", "type": "function", "function": {"name": _PROBE, "arguments": arguments}}
    return [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "x", "name": _PROBE, "tool_call_id": "a1b2c3d4e"},
    ]


def _as_object(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _as_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
