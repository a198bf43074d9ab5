"""The body of OpenAI's Responses API, translated to the one request of Hive. Pure."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import msgspec

from coordinator.openai.responses_items import Item, unsupported
from coordinator.submit.body import (
    AskedForm,
    SampledBody,
    asked_by_body,
    form_of,
    refuse_common,
    refuse_if,
    request_of,
)
from coordinator.submit.placement import asked_by_headers, placement
from coordinator.submit.request import Submission, max_tokens_asked, seed_text
from shared.errors import HiveError, RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups
from shared.protocol.messages import Message

MAX_TOP: Final = 20
MAX_METADATA: Final = 16
MAX_METADATA_KEY: Final = 64
MAX_METADATA_VALUE: Final = 512
LOGPROBS: Final = "message.output_text.logprobs"
_ENCODER: Final = msgspec.json.Encoder()


class Text(msgspec.Struct, frozen=True, omit_defaults=True):
    """The form that the answer's text has."""

    format: Any = None
    verbosity: str | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How a model should reason; the model's template decides."""

    effort: str | None = None
    summary: str | None = None


class CacheOptions(msgspec.Struct, frozen=True):
    """How OpenAI should cache the prompt: only what would make no answer at all matters here."""

    prewarm: bool | None = None


class ResponseBody(SampledBody, frozen=True, kw_only=True):
    """`POST /v1/responses`: OpenAI's fields, and Hive's placement."""

    model: str
    input: str | list[Item] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    stream: bool | None = None
    background: bool | None = None
    store: bool | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: dict[str, str] | None = None
    reasoning: Reasoning | None = None
    user: str | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    prompt_cache_options: CacheOptions | None = None
    conversation: Any = None
    prompt: Any = None
    moderation: Any = None
    context_management: Any = None

    @property
    def items(self) -> list[Item]:
        """What is said, as items."""
        return [Item(role="user", content=self.input)] if isinstance(self.input, str) else self.input or []

    @property
    def is_stored(self) -> bool:
        """Whether the response can be had again by its id."""
        return self.store is not False

    @property
    def wants_logprobs(self) -> bool:
        """Whether it is told how likely each token was."""
        return LOGPROBS in (self.include or ())


def check(body: ResponseBody) -> None:
    """Raises RequestError for what is wrong or not supported, whatever is known of earlier responses."""
    refuse_common(body)
    for param in ("conversation", "prompt", "moderation", "context_management"):
        refuse_if(bool(getattr(body, param)), param)
    refuse_if(bool(body.prompt_cache_options and body.prompt_cache_options.prewarm), "prompt_cache_options.prewarm")
    if not body.input and body.previous_response_id is None:
        raise RequestError("input is missing: give it, or a previous_response_id.", param="input")
    if body.background and not body.is_stored:
        raise RequestError("background needs store: true, for nobody would find the response.", param="background")
    if body.top_logprobs is not None and not 0 <= body.top_logprobs <= MAX_TOP:
        message = f"top_logprobs must be between 0 and {MAX_TOP}, got {body.top_logprobs}."
        raise RequestError(message, param="top_logprobs")
    check_metadata(body.metadata or {})


def check_metadata(metadata: dict[str, str]) -> None:
    """Raises RequestError for more, or longer, pairs than a caller may hang on what it asks for."""
    longest = max(map(len, metadata), default=0), max(map(len, metadata.values()), default=0)
    if len(metadata) > MAX_METADATA or longest[0] > MAX_METADATA_KEY or longest[1] > MAX_METADATA_VALUE:
        message = f"metadata takes up to {MAX_METADATA} pairs of up to {MAX_METADATA_KEY} and {MAX_METADATA_VALUE} characters."
        raise RequestError(message, param="metadata")


def submission(
    body: ResponseBody, messages: Sequence[Message], header: Callable[[str], str | None], groups: Groups = NO_GROUPS
) -> Submission:
    """The request that a body asks for, in the conversation that it continues, without its instructions; raises
    RequestError for what is wrong."""
    request = msgspec.structs.replace(
        request_of(body.model, body, form_of(_as_chat(body))),
        messages=[*instructed(body.instructions), *messages],
        logprobs=(body.top_logprobs or 0) if body.wants_logprobs else None,
    )
    return Submission(
        requests=(request,),
        placement=placement([asked_by_headers(header), asked_by_body(body)], groups),
        source="v1",
        max_tokens=max_tokens_asked(body.max_output_tokens, "max_output_tokens"),
        seed=seed_text(body.seed),
        store=body.is_stored,
        attached=not body.background,
        echo=_ENCODER.encode(echo(body)) if body.is_stored else None,
    )


def instructed(instructions: str | None) -> list[Message]:
    """The message that instructions are."""
    return [Message(role="system", content=instructions)] if instructions else []


def echo(body: ResponseBody) -> dict[str, Any]:
    """What a response says again of what was asked for."""
    text = body.text or Text()
    return {
        "background": bool(body.background),
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "metadata": body.metadata or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": body.reasoning or Reasoning(),
        "safety_identifier": body.safety_identifier,
        "service_tier": "default",
        "store": body.is_stored,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": {"format": text.format or {"type": "text"}, "verbosity": text.verbosity or "medium"},
        "tool_choice": "auto" if body.tool_choice is None else body.tool_choice,
        "tools": [{"description": None, "parameters": None, "strict": False, **tool} for tool in body.tools or ()],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": body.truncation or "disabled",
        "user": body.user,
    }  # fmt: skip


def _as_chat(body: ResponseBody) -> AskedForm:
    """Tools, choice and format in the shapes of a chat."""
    tools, choice = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(body.tools or ())], body.tool_choice
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = [tool.get("name") for tool in choice.get("tools") or () if isinstance(tool, dict)]
        tools = [tool for tool in tools if tool["function"].get("name") in allowed]
        choice = choice.get("mode")
    elif isinstance(choice, dict):
        if choice.get("type") != "function":
            raise unsupported(f"A tool_choice of {str(choice.get('type'))[:100]}", "tool_choice")
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    return AskedForm(
        tools=tools, tool_choice=choice, parallel_tool_calls=body.parallel_tool_calls, response_format=_format(body)
    )


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict):
        raise RequestError(f"{where} must describe a tool.", param=where)
    if tool.get("type") != "function":
        raise unsupported(f"The tool {str(tool.get('type'))[:100]}", f"{where}.type")
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _format(body: ResponseBody) -> Any:
    given = body.text.format if body.text is not None else None
    if isinstance(given, dict) and given.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": {name: value for name, value in given.items() if name != "type"}}
    return given


_NAMES: Final = {
    "messages": "input",
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
}


@contextmanager
def in_its_words() -> Iterator[None]:
    """Gives errors the names that this API has for what is wrong."""
    try:
        yield
    except HiveError as error:
        if error.param is not None:
            here = renamed(error.param)
            error.message = error.message.replace(error.param, here)
            error.param = here
        raise


def renamed(param: str) -> str:
    """What this API calls a field of a chat."""
    if param.startswith("tools"):
        return param.replace("].function.", "].")
    for name, here in _NAMES.items():
        if param == name or param.startswith((f"{name}.", f"{name}[")):
            return here + param.removeprefix(name)
    return param
