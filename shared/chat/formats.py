"""How a model writes tool calls and reasoning, read off its chat template."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

Style = Literal["hermes", "llama", "mistral", "mistral-args", "function-tags", "function-lines", "generic"]

_CALL_MARKERS: Final[dict[Style, tuple[str, ...]]] = {
    "hermes": ("<tool_call>", "</tool_call>"),
    "llama": ("<|python_tag|>",),
    "mistral": ("[TOOL_CALLS]",),
    "mistral-args": ("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"),
    "function-tags": (),
    "function-lines": (),
    "generic": ("<tool_call>", "</tool_call>"),
}
_OPENERS: Final[dict[Style, tuple[str, ...]]] = {
    "hermes": ("<tool_call>",),
    "llama": ("<|python_tag|>",),
    "mistral": ("[TOOL_CALLS]",),
    "mistral-args": ("[TOOL_CALLS]",),
    "function-tags": ("<function=",),
    "function-lines": (">>>",),
    "generic": ("<tool_call>",),
}
_REASONING: Final = (("[THINK]", "[/THINK]"), ("<think>", "</think>"))
_PROBE: Final = "hive_probe"
_PROBE_TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": _PROBE,
        "description": _PROBE,
        "parameters": {"type": "object", "properties": {"x": {"type": "string", "description": "x"}}, "required": []},
    },
}


class Format(msgspec.Struct, frozen=True):
    """How a model writes calls and reasoning.

    `native`: the template itself shows the tools to the model; otherwise `described` does. `reasoning` is the pair of
    marks around reasoning. `opened` is the mark that the generation prompt ends with, so that the answer begins inside.
    """

    style: Style
    native: bool = True
    reasoning: tuple[str, str] | None = None
    opened: str = ""

    @property
    def markers(self) -> tuple[str, ...]:
        """The control tokens that an answer's text must show: without them it cannot be parsed."""
        return _CALL_MARKERS[self.style] + (self.reasoning or ())

    @property
    def openers(self) -> tuple[str, ...]:
        """What a call begins with, wherever in the answer it stands."""
        return _OPENERS[self.style]

    @property
    def bare(self) -> bool:
        """Whether an answer that is nothing but a call's JSON is a call."""
        return self.style in ("llama", "generic")


GENERIC: Final = Format("generic", native=False)
"""For a model whose template knows no tools, or that has no template."""


@lru_cache(maxsize=64)
def format_of(template: str | None) -> Format:
    """The format that a GGUF's chat template means; what no rule knows is generic."""
    if not template:
        return GENERIC
    style = _style(template)
    native = style != "generic" and _PROBE in _probed(template, [_PROBE_TOOL])
    reasoning = next((marks for marks in _REASONING if any(mark in template for mark in marks)), None)
    tail = _probed(template, None).rstrip()
    opened = reasoning[0] if reasoning and tail.endswith(reasoning[0]) else ""
    if native and style == "function-lines" and tail.endswith(">>>"):
        opened = ">>>"
    return Format(style if native else "generic", native, reasoning, opened)


def described(tools: Sequence[dict[str, Any]]) -> str:
    """The text that tells a model of its tools where its template cannot; it belongs into the system message."""
    lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return (
        "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
        f"You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{lines}\n</tools>\n\n"
        "For each function call, return a json object with function name and arguments within <tool_call></tool_call> "
        'XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
    )


def _style(source: str) -> Style:
    if "[TOOL_CALLS]" in source:
        return "mistral-args" if "[ARGS]" in source else "mistral"
    if "<parameter=" in source or "<arg_key>" in source:
        return "generic"
    if "<function=" in source and "</function>" in source:
        return "function-tags"
    if ">>>" in source:
        return "function-lines"
    if "<tool_call>" in source and "</tool_call>" in source:
        return "hermes"
    if "<|python_tag|>" in source or ("<|start_header_id|>" in source and "ipython" in source):
        return "llama"
    return "generic"


def _probed(source: str, tools: list[dict[str, Any]] | None) -> str:
    """The prompt of the shortest conversation; empty where the template does not take it."""
    from shared.chat.template import ChatTemplate, TemplateError  # noqa: PLC0415 -- Jinja is slow to import

    try:
        return ChatTemplate(source).render([{"role": "user", "content": "x"}], tools=tools)
    except TemplateError:
        return ""
