"""Several answers to one request by the official `openai` package: `n`, lists of prompts, and the older completions."""

from typing import Any, Final

import openai
from openai import OpenAI

from tests.clients.scenarios.cases import KEY, MODEL, URL, case, raised, run, stage, staged

ASKED: Final[Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Say something."}]}
CALL: Final = '<tool_call>\n{"name": "weather", "arguments": {"city": "%s"}}\n</tool_call>'
TOOLS: Final[Any] = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]

client: Final = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)


@case
def n_answers_come_in_one_piece() -> None:
    got = client.chat.completions.create(**ASKED, n=3, max_tokens=8, seed=11, temperature=1)
    assert [choice.index for choice in got.choices] == [0, 1, 2]
    assert all(choice.message.content and choice.message.role == "assistant" for choice in got.choices)
    assert len({choice.message.content for choice in got.choices}) > 1
    one = client.chat.completions.create(**ASKED, max_tokens=8, seed=11, temperature=1)
    assert got.usage is not None
    assert one.usage is not None
    assert got.usage.prompt_tokens == one.usage.prompt_tokens, "the prompt is counted once"
    assert got.usage.completion_tokens <= 24


@case
def n_answers_come_in_one_stream() -> None:
    with client.chat.completions.stream(**ASKED, n=3, max_tokens=40) as stream:
        for _ in stream:
            pass
        whole = stream.current_completion_snapshot
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert all(choice.message.role == "assistant" and choice.finish_reason for choice in whole.choices)
    assert all(choice.message.content for choice in whole.choices)


@case
def prompts_are_completed() -> None:
    got = client.completions.create(model=MODEL, prompt=["Once upon", "The sun"], max_tokens=6, n=2, echo=True)
    assert [choice.index for choice in got.choices] == [0, 1, 2, 3]
    assert [choice.text[:7] for choice in got.choices] == ["Once up", "Once up", "The sun", "The sun"]
    assert all(choice.finish_reason in ("stop", "length") for choice in got.choices)
    assert got.usage is not None
    assert 0 < got.usage.completion_tokens <= 24
    ids = client.completions.create(model=MODEL, prompt=[5, 6, 7], max_tokens=4)
    assert ids.usage is not None
    assert (len(ids.choices), ids.usage.prompt_tokens >= 3) == (1, True)


@staged
def choices_of_a_stream_keep_apart_whichever_speaks_first() -> None:
    stage.says("Hello there, Rome.", "Guten Tag, Berlin 🌞.", chunk=1)
    with client.chat.completions.stream(**ASKED, n=2) as stream:
        for _ in stream:
            pass
        whole = stream.get_final_completion()
    said = sorted(choice.message.content or "" for choice in whole.choices)
    assert said == ["Guten Tag, Berlin 🌞.", "Hello there, Rome."]
    assert [(choice.index, choice.message.role, choice.finish_reason) for choice in whole.choices] == [
        (0, "assistant", "stop"),
        (1, "assistant", "stop"),
    ]
    chunks = list(client.chat.completions.create(**ASKED, n=2, stream=True, stream_options={"include_usage": True}))
    roles = [choice.index for chunk in chunks for choice in chunk.choices if choice.delta.role]
    ends = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert (sorted(roles), sorted(ends)) == ([0, 1], [0, 1])
    assert [len(chunk.choices) for chunk in chunks].count(0) == 1
    assert chunks[-1].usage is not None


@staged
def each_choice_has_its_calls() -> None:
    stage.says(CALL % "Rome", CALL % "Berlin", chunk=1)
    with client.chat.completions.stream(**ASKED, n=2, tools=TOOLS) as stream:
        for _ in stream:
            pass
        whole = stream.get_final_completion()
    calls = [call for choice in whole.choices for call in choice.message.tool_calls or []]
    assert sorted(call.function.arguments for call in calls) == ['{"city": "Berlin"}', '{"city": "Rome"}']
    assert len({call.id for call in calls}) == 2
    assert {choice.finish_reason for choice in whole.choices} == {"tool_calls"}


@staged
def one_that_fails_fails_them_all() -> None:
    stage.says("", then="failed")
    error = raised(openai.InternalServerError, client.chat.completions.create, **ASKED, n=2)
    assert (error.status_code, error.code) == (502, "job_failed")


@staged
def who_leaves_several_answers_frees_every_slot() -> None:
    stage.says("Once upon", then="held")
    stream = client.chat.completions.create(**ASKED, n=2, stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    offers = [stage.offered(), stage.offered()]
    stream.close()
    assert {stage.cancelled(offer["job_id"])["status"] for offer in offers} == {"cancelled"}


@staged
def a_completion_is_streamed() -> None:
    stage.says("Rome 🏛️ is old.", chunk=1)
    asked: Any = {"model": MODEL, "prompt": "Italy:"}
    chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert stage.offered()["prompt"] == "Italy:"
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "Rome 🏛️ is old."
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert {(chunk.id, chunk.object) for chunk in chunks} == {(chunks[0].id, "text_completion")}
    assert (chunks[-1].choices, chunks[-1].usage is None) == ([], False)


@staged
def a_completions_likelihoods_stand_beside_its_text() -> None:
    stage.says("Rome is old.")
    told = client.completions.create(model=MODEL, prompt="Italy:", logprobs=1).choices[0].logprobs
    assert told is not None
    assert told.tokens
    assert told.token_logprobs
    assert told.text_offset
    assert told.top_logprobs
    assert "".join(told.tokens) == "Rome is old."
    assert len(told.token_logprobs) == len(told.text_offset) == len(told.top_logprobs) == len(told.tokens)
    assert [list(top) for top in told.top_logprobs] == [[token] for token in told.tokens]
    starts = [len("".join(told.tokens[:place])) for place in range(len(told.tokens))]
    assert told.text_offset == starts


if __name__ == "__main__":
    run()
