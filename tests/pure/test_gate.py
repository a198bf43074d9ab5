"""Which guards a request goes through, and what it is told when one refuses it."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from threading import get_ident

import pytest

from coordinator.guard.gate import GROUP, SHORT, Gate, admit, installed
from coordinator.guard.guard import Finding, Text
from coordinator.guard.pii import Pii
from coordinator.guard.texts import texts_of
from coordinator.submit.request import JobRequest
from shared.errors import Forbidden, RequestError
from shared.protocol.messages import Message


class Shouting:
    """Refuses capitals; remembers in which thread it was asked."""

    name = "shouting"
    method = "counts capitals"
    limits = "does not hear"

    def __init__(self) -> None:
        self.threads: list[int] = []

    def check(self, texts: Sequence[Text]) -> Finding | None:
        self.threads.append(get_ident())
        return next((Finding(text.where, "capitals") for text in texts if text.text.isupper()), None)


def names(gate: Gate, header: str | None) -> list[str]:
    return [guard.name for guard in gate.chosen(header)]


def test_the_header_chooses() -> None:
    gate = Gate(installed([]), ["pii", " toxicity "])
    assert names(gate, None) == names(gate, "") == names(gate, " , ") == ["pii", "toxicity"]
    assert names(gate, "none") == names(gate, " NONE ") == []
    assert names(gate, "prompt-injection, Toxicity,toxicity") == ["prompt-injection", "toxicity"]
    assert names(Gate(installed([]), []), None) == []


@pytest.mark.parametrize("header", ["sql", "pii,sql", "none,pii", "pii;toxicity"])
def test_an_unknown_guard_is_told_with_those_that_are_known(header: str) -> None:
    with pytest.raises(RequestError) as caught:
        Gate(installed([]), []).chosen(header)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "x-hive-guard")
    assert "none, pii, prompt-injection, toxicity" in caught.value.message


def test_an_operators_default_must_be_there() -> None:
    with pytest.raises(RequestError, match="no guard 'nonsense'"):
        Gate(installed([]), ["nonsense"])


async def test_what_is_told_of_a_refusal() -> None:
    gate = Gate(installed([]), [])
    texts = [Text("messages[0]", "system", "x"), Text("messages[1]", "user", "my card is 4111 1111 1111 1111")]
    await admit(gate.chosen("toxicity,prompt-injection"), texts)
    with pytest.raises(Forbidden) as caught:
        await admit(gate.chosen("toxicity,pii"), texts)
    error = caught.value
    assert (error.status, error.code, error.param) == (403, "blocked_by_guardrail", "messages[1]")
    assert error.details == {"guard": "pii", "kind": "card"}
    assert "pii" in error.message
    assert "check digits" in error.message
    assert "4111" not in error.message


async def test_what_may_take_long_is_done_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    shouting = Shouting()
    monkeypatch.setattr(Pii, "check", lambda _, texts: shouting.check(texts))
    for guard, length, here in ((Pii(), SHORT, True), (Pii(), SHORT + 1, False), (shouting, 1, False)):
        await admit([guard], [Text("prompt", "", "l" * length)])
        assert (shouting.threads[-1] == get_ident()) is here
    with pytest.raises(Forbidden):
        await admit([shouting], [Text("prompt", "", "LOUD")])


def test_an_operator_can_bring_a_guard() -> None:
    point = EntryPoint("shouting", "tests.pure.test_gate:Shouting", GROUP)
    gate = Gate(installed([point]), ["shouting", "pii"])
    assert names(gate, None) == ["shouting", "pii"]


@pytest.mark.parametrize(
    "value", ["tests.pure.test_gate:Missing", "no.such.module:Guard", "tests.pure.test_gate:GROUP"]
)
def test_a_guard_that_cannot_be_loaded_stops_the_start(value: str) -> None:
    with pytest.raises(RequestError, match="cannot be loaded"):
        installed([EntryPoint("broken", value, GROUP)])


def test_a_guards_name_is_its_own() -> None:
    point = EntryPoint("shouting", "tests.pure.test_gate:Shouting", GROUP)
    with pytest.raises(RequestError, match="cannot be called 'shouting'"):
        installed([point, point])


def test_every_text_of_a_request_is_looked_at() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "send", "arguments": '{"to": "x@y.it"}'}}
    messages = [
        Message(role="user", content="hi"),
        Message(role="assistant", content=None, tool_calls=[call]),
        Message(role="tool", content="done", tool_call_id="1"),
    ]
    requests = [
        JobRequest(model="m", messages=messages),
        JobRequest(model="m", prompt="raw"),
        JobRequest(model="m", task="rank", inputs=["query", "document"]),
    ]
    assert texts_of(requests) == [
        Text("messages[0]", "user", "hi"),
        Text("messages[1].tool_calls", "assistant", '{"to": "x@y.it"}'),
        Text("messages[2]", "tool", "done"),
        Text("prompt", "", "raw"),
        Text("input[0]", "input", "query"),
        Text("input[1]", "input", "document"),
    ]
