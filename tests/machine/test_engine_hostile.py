"""The engine against what no honest caller asks."""

import asyncio
from typing import Any

import pytest

from shared.protocol.messages import Message, Sampling
from shared.tokens import Vocabulary
from tests.machine.coordinator_double import model_file
from tests.machine.engine_run import engine, events, request as chat
from worker.engine.process import Engine
from worker.engine.wire import Failed, Finished, Generate, OfRequest

VOCABULARY = Vocabulary(model_file())
JSON = '{"type": "json_object"}'


def request(text: str = "Tell me a long story about a fox.", **changed: Any) -> Generate:
    return chat(text, **{"max_tokens": 20, **changed})


async def last(it: Engine, asked: Generate) -> OfRequest:
    return (await events(it, asked))[-1]


def tools(parameters: str) -> str:
    return f'[{{"type": "function", "function": {{"name": "f", "parameters": {parameters}}}}}]'


REFUSED: dict[str, dict[str, Any]] = {
    "bias for no token": {"logit_bias": {"x": 1}},
    "bias for a token below 0": {"logit_bias": {"-1": 1}},
    "top_k beyond an int": {"sampling": Sampling(top_k=2**40)},
    "an integer that no message holds": {"sampling": Sampling(top_k=2**70)},
    "no repetition penalty at all": {"sampling": Sampling(repetition_penalty=0)},
    "resumed from no token": {"resume": [VOCABULARY.size]},
    "resumed from a token below 0": {"resume": [-1]},
    "resumed from beyond an int": {"resume": [5, 2**40]},
    "more logprobs than there are": {"logprobs": 100},
    "fewer logprobs than none": {"logprobs": -1},
    "half a character": {"prompt": "\ud800"},
    "a number in a tool call": {"messages": [Message("assistant", None, tool_calls=[{"id": 2**70}])]},
    "a tool call of nothing": {"messages": [Message("assistant", None, tool_calls=[{"function": 5}])]},
    "tools that are no JSON": {"tools": "[" * 100_000},
    "a schema without a bottom": {
        "response_format": '{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":'
        + '{"items":' * 900 + "{}" + "}" * 902
    },
    "a schema that calls itself alone": {
        "response_format": '{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"$ref":"#"}}}'
    },
}  # fmt: skip
DONE: dict[str, dict[str, Any]] = {
    "more tokens than there are atoms": {"max_tokens": 2**53, "stop": ["e"]},
    "fewer tokens than none": {"max_tokens": -5},
    "no prompt": {"prompt": ""},
    "no message": {"messages": []},
    "zeros": {"prompt": "\0\0"},
    "names of control tokens": {"prompt": "".join(f"<|{name}|>" for name in ("im_start", "im_end", "endoftext")) * 9},
    "a bias for a token that is not there": {"logit_bias": {"999999999": 100_000_000}},
    "every number at its end": {
        "sampling": Sampling(2**62, 2**62, 2**62, 2**31 - 1, 2**62, -(2**62), 2**62),
        "seed": 2**64 - 1,
    },
    "no temperature and a negative everything": {"sampling": Sampling(-1, -1, -1, -1)},
    "resumed from its end token": {"resume": [min(VOCABULARY.end_ids)] * 3, "sampling": Sampling(presence_penalty=1)},
    "long stop strings": {"stop": ["a" * 100_000] * 20},
    "a call that must be made from a schema of everything": {
        "tools": tools('{"type":"object","additionalProperties":true}'), "tool_choice": '"required"'
    },
    "a grammar over what was never JSON": {"response_format": JSON, "resume": VOCABULARY.tokenise("]]", special=False)},
}  # fmt: skip


async def test_no_request_ends_the_engine_or_touches_another() -> None:
    async with engine(slots=3) as it:
        pid = it.pid
        quiet = request("Count.", max_tokens=40, fresh=True, seed=3)
        for name, changed in {**REFUSED, **DONE}.items():
            beside = asyncio.create_task(last(it, quiet))
            said = await last(it, request(**changed))
            assert isinstance(await beside, Finished), name
            if name in REFUSED:
                assert isinstance(said, Failed), name
                assert (said.code, said.retryable) == ("invalid_request", False), (name, said)
            else:
                assert isinstance(said, Finished), (name, said)
            assert not it.busy
        assert (it.pid, it.starts) == (pid, 1)


@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 600])
async def test_a_prompt_of_any_length_twice_is_an_answer_or_an_error(length: int) -> None:
    async with engine(context=256) as it:
        ids = VOCABULARY.tokenise(" word" * 700, special=False)
        text = VOCABULARY.detokenise(ids[:length]).decode()
        for _ in range(3):
            said = await last(it, request(prompt=text, max_tokens=300))
            tokens = len(VOCABULARY.prompt_ids(request(prompt=text)))
            if tokens >= 256:
                assert isinstance(said, Failed)
                assert f"{tokens} tokens" in said.message
            else:
                assert isinstance(said, Finished)
                assert said.cached_tokens in {0, tokens - 1, tokens}


async def test_a_request_that_is_given_up_is_over_at_once() -> None:
    async with engine(slots=1) as it:
        stream = it.generate(request(max_tokens=1000))
        async for _ in stream:
            break
        await stream.aclose()
        assert not it.busy
