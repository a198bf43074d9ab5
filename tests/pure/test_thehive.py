"""thehive's two faces: what their bodies ask for."""

from typing import Any

import msgspec
import pytest

from coordinator.openai.chat import ChatBody
from coordinator.submit.callback import Callback
from coordinator.submit.request import Submission
from coordinator.thehive import v2, v3
from shared.errors import RequestError
from shared.protocol.messages import Message

URL = "https://hooks.example/done"
HI = [{"role": "user", "content": "Hi"}]


def none(_: str) -> None:
    """The headers of a request without any."""


def task(**body: Any) -> Submission:
    """What a V2 body asks for."""
    raw = msgspec.json.encode({"text_data": "Hi", "callback_url": URL, **body})
    return v2.submission(msgspec.json.decode(raw, type=v2.TaskBody), none, default_model="hive-nano")


def chat(**body: Any) -> Submission:
    """What a V3 body asks for."""
    raw = msgspec.json.encode({"model": "hive-nano", "messages": HI, **body})
    return v3.submission(msgspec.json.decode(raw, type=ChatBody), none)


def refused(call: Any, **body: Any) -> tuple[str, str | None]:
    with pytest.raises(RequestError) as raised:
        call(**body)
    return raised.value.code, raised.value.param


HISTORY = [{"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"}]
OPTIONS = {"system_prompt": "Be short.", "prompt_history": HISTORY, "top_p": 0.5, "temperature": 0.25, "max_tokens": 9}


@pytest.mark.parametrize(
    "body",
    [
        {"options": OPTIONS},
        OPTIONS,
        {"options": OPTIONS | {"top_p": None}, "top_p": 0.5},
        {"options": OPTIONS, "temperature": 2, "max_tokens": 1},
        {"options": OPTIONS | {"prompt_history": msgspec.json.encode(HISTORY).decode()}, "unknown": 1},
    ],
)
def test_a_tasks_options_may_be_nested_or_flat(body: dict[str, Any]) -> None:
    asked = task(**body)
    assert asked.request.messages == [
        Message("system", "Be short."),
        Message("user", "One"),
        Message("assistant", "Two"),
        Message("user", "Hi"),
    ]
    sampling = asked.request.sampling
    assert (sampling.top_p, sampling.temperature, asked.max_tokens) == (500_000, 250_000, 9)
    assert asked.callback == Callback(URL, "hooks.example", "thehive")
    assert not asked.attached


def test_a_task_names_its_model_or_takes_the_operators() -> None:
    assert task().request.model == "hive-nano"
    assert task(model="other").request.model == "other"
    assert task().request.messages == [Message("user", "Hi")]
    body = msgspec.convert({"text_data": "Hi", "callback_url": URL}, v2.TaskBody)
    with pytest.raises(RequestError) as raised:
        v2.submission(body, none)
    assert (raised.value.code, raised.value.param) == ("invalid_model", "model")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"callback_url": ""}, "invalid_callback_url", "callback_url"),
        ({"callback_url": "http://10.0.0.1/"}, "invalid_callback_url", "callback_url"),
        ({"temperature": 3}, "invalid_request", "temperature"),
        ({"options": {"max_tokens": 0}}, "invalid_request", "max_tokens"),
        ({"options": {"prompt_history": "not json"}}, "invalid_request", None),
        ({"prompt_history": [{"role": "poet", "content": "x"}]}, "invalid_request", "messages[0].role"),
    ],
)
def test_what_is_wrong_with_a_task_is_named(body: dict[str, Any], code: str, param: str | None) -> None:
    assert refused(task, **body) == (code, param)


def test_a_chat_makes_2048_tokens_or_fewer() -> None:
    assert [chat(**body).max_tokens for body in ({}, {"max_tokens": None}, {"max_tokens": 1}, {"max_tokens": 2048})] == [
        2048, 2048, 1, 2048,
    ]  # fmt: skip
    assert chat(max_completion_tokens=7, max_tokens=9).max_tokens == 7
    for most in (0, -1, 2049):
        assert refused(chat, max_tokens=most) == ("invalid_request", "max_tokens")
        assert refused(chat, max_completion_tokens=most) == ("invalid_request", "max_completion_tokens")


def test_a_chat_is_read_as_it_runs_and_with_a_callback_by_nobody() -> None:
    assert (chat().attached, chat().callback) == (True, None)
    asked = chat(callback_url=URL)
    assert (asked.attached, asked.callback) == (False, Callback(URL, "hooks.example", "thehive"))
    assert chat(n=2, stream=True).n == 2


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(("param", "value"), [("stream", True), ("n", 2), ("tools", [TOOL])])
def test_what_one_text_cannot_hold_does_not_go_with_a_callback(param: str, value: Any) -> None:
    assert refused(chat, callback_url=URL, **{param: value}) == ("unsupported_parameter", param)
