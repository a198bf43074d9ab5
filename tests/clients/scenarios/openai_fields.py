"""Every field that the official `openai` package knows, whichever version runs this: as null, harmless, or refused by name."""

from typing import Any, Final

import openai
from openai import OpenAI
from openai.types import completion_create_params as of_completions, embedding_create_params as of_embeddings
from openai.types.chat import completion_create_params as of_chat
from openai.types.responses import response_create_params as of_responses

from tests.clients.scenarios.cases import KEY, MODEL, URL, case, raised, run

CHAT: Final[Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
RESPONSE: Final[Any] = {"model": MODEL, "input": "Hello", "max_output_tokens": 4}
HARMLESS: Final[Any] = {
    "frequency_penalty": 0.5,
    "function_call": "none",
    "logit_bias": {"7": -100},
    "logprobs": False,
    "max_completion_tokens": 4,
    "metadata": {"for": "a test"},
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": True,
    "prediction": {"type": "content", "content": "Hello"},
    "presence_penalty": -0.5,
    "prompt_cache_key": "key",
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "text"},
    "safety_identifier": "somebody",
    "seed": 7,
    "service_tier": "auto",
    "stop": ["\n\n\n"],
    "store": False,
    "temperature": 0.5,
    "top_p": 0.9,
    "user": "somebody",
    "verbosity": "low",
}
REFUSED: Final[Any] = {
    "audio": {"voice": "alloy", "format": "mp3"},
    "functions": [{"name": "weather", "parameters": {"type": "object"}}],
    "modalities": ["text", "audio"],
    "moderation": {"model": "omni-moderation-latest"},
    "web_search_options": {},
}

client: Final = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)


def nulls(params: Any, *given: str) -> dict[str, None]:
    """All optional fields of a request, as null."""
    return {name: None for name in params.__annotations__ if name not in given}


@case
def all_fields_may_be_null() -> None:
    chat: Any = nulls(of_chat.CompletionCreateParamsBase, *CHAT)
    assert len(chat) > 30
    assert client.chat.completions.create(**CHAT, extra_body=chat).choices[0].message.role == "assistant"
    plain: Any = nulls(of_completions.CompletionCreateParamsBase, "model", "prompt")
    assert client.completions.create(model=MODEL, prompt="Hello", extra_body=plain).choices
    response: Any = nulls(of_responses.ResponseCreateParamsBase, *RESPONSE)
    assert client.responses.create(**RESPONSE, extra_body=response).output_text
    vector: Any = nulls(of_embeddings.EmbeddingCreateParams, "model", "input")
    assert client.embeddings.create(model=MODEL, input="Hello", extra_body=vector).data


@case
def harmless_fields_are_taken() -> None:
    known = of_chat.CompletionCreateParamsBase.__annotations__
    assert set(HARMLESS) <= set(known)
    for name, value in HARMLESS.items():
        got = client.chat.completions.create(**CHAT, extra_body={name: value})
        assert got.choices[0].message.content is not None, name
    more = {"some_vendors_field": {"deep": [1, None]}, "chat_template_kwargs": {}}
    assert client.chat.completions.create(**CHAT, extra_body=more).choices


@case
def what_would_change_the_meaning_is_refused_by_name() -> None:
    for name, value in REFUSED.items():
        error = raised(openai.BadRequestError, client.chat.completions.create, **CHAT, extra_body={name: value})
        assert (error.code, error.param) == ("unsupported_parameter", name)


@case
def every_role_and_form_of_content_is_taken() -> None:
    parts = [{"type": "text", "text": "Hello, "}, {"type": "text", "text": "you."}]
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages: Any = [
        {"role": "developer", "content": "Be brief.", "name": "dev"},
        {"role": "user", "content": parts, "name": "somebody"},
        {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "audio": None},
        {"role": "tool", "tool_call_id": "call_1", "content": parts},
        {"role": "assistant", "content": parts},
        {"role": "user", "content": "And?"},
    ]
    got = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=4)
    assert got.choices[0].message.content is not None


if __name__ == "__main__":
    run()
