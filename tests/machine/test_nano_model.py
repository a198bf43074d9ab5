"""The bundled model file: what it says of itself, and that it answers, tells stories, calls tools and stops."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.nano.evaluate import Asked, held_out, known_words
from deploy.nano.judging import STORY_TOKENS, calls_in, is_right, words_of
from deploy.nano.samples import Sample, Tool, exchange, said
from deploy.nano.template import CHAT_TEMPLATE, rendered
from shared.catalogue import catalogue
from shared.protocol.messages import Message
from shared.tokens import Vocabulary

FILE = catalogue()["hive-nano"].path
WEATHER: Tool = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def model() -> Iterator[Asked]:
    asked = Asked(FILE)
    yield asked
    asked.close()


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary(FILE)


def one(text: str, *key: str, tools: tuple[Tool, ...] = ()) -> Sample:
    return Sample("asked", (said("user", text), said("assistant", "")), "contains", key, tools)


def test_the_file_is_small_and_says_what_it_is(vocabulary: Vocabulary) -> None:
    assert FILE.stat().st_size <= 12 << 20
    wanted = {
        "general.name": "hive-nano",
        "general.license": "apache-2.0",
        "general.author": "Hive",
        "general.architecture": "llama",
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }
    assert {key: vocabulary.metadata(key) for key in wanted} == wanted
    assert "test" in (vocabulary.metadata("general.description") or "")
    assert vocabulary.context == 2048
    assert vocabulary.tokenise("<|im_end|>", special=True)[0] in vocabulary.end_ids


def test_the_engine_renders_the_file_s_template_as_training_did(vocabulary: Vocabulary) -> None:
    text = vocabulary.render([Message("user", "Hello")])
    assert text == rendered([said("user", "Hello")], prompt=True)
    with_tools = vocabulary.render([Message("system", "Be kind."), Message("user", "Hello")], tools=[WEATHER])
    conversation = [said("system", "Be kind."), said("user", "Hello")]
    assert with_tools in {rendered(conversation, [WEATHER], prompt=True, sort_keys=s) for s in (True, False)}


@pytest.mark.parametrize(
    ("question", "keys"),
    [
        ("Hello", ("Hello",)),
        ("Explain H3 geospatial indexing in one paragraph.", ("hexagonal", "cell")),
        ("What is decentralized AI inference?", ("worker", "computers")),
        ("Tell me about the ocean.", ("water",)),
        ("Explain quantum computing in simple terms.", ("bit",)),
        ("What is the capital of France?", ("Paris",)),
        ("Count to 5", ("1, 2, 3, 4, 5",)),
        ("Write a poem about AI.", ("AI", "years.")),
    ],
)
def test_the_questions_that_a_first_run_asks(model: Asked, question: str, keys: tuple[str, ...]) -> None:
    answer = model.answer(one(question, *keys))
    assert answer.ended
    assert all(key in answer.text for key in keys), answer.text


def test_held_out_questions_are_mostly_right_and_every_answer_ends(model: Asked) -> None:
    samples = [s for found in held_out(11, 2).values() for s in found if s.judge != "story"]
    answers = [(sample, model.answer(sample)) for sample in samples]
    wrong = [(s.question, a.text) for s, a in answers if not is_right(s, a.text, a.tokens, frozenset())]
    assert len(samples) >= 12
    assert len(wrong) <= len(samples) * 0.15, wrong
    assert sum(not a.ended for _, a in answers) <= 1


def test_a_long_story_has_200_tokens_in_whole_words_and_an_end(model: Asked) -> None:
    answer = model.answer(one("Tell me a long story."))
    assert answer.ended
    assert answer.tokens >= STORY_TOKENS
    assert words_of(answer.text) <= known_words(count=4000), words_of(answer.text) - known_words(count=4000)


def test_a_question_of_the_weather_calls_the_tool_and_a_greeting_does_not(model: Asked) -> None:
    called = calls_in(model.answer(one("What's the weather in Rome?", tools=(WEATHER,))).text)
    assert called == [{"name": "get_weather", "arguments": {"city": "Rome"}}]
    assert calls_in(model.answer(one("Hello!", tools=(WEATHER,))).text) == []


def test_what_the_tool_found_is_told(model: Asked) -> None:
    call: dict[str, Any] = {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
        ],
    }
    result = {"role": "tool", "tool_call_id": "1", "content": '{"temperature": 21, "condition": "sunny"}'}
    asked = (said("user", "What's the weather in Rome?"), call, result, said("assistant", ""))
    text = model.answer(Sample("asked", asked, "contains", (), (WEATHER,))).text
    assert "21" in text
    assert "sunny" in text


def test_a_name_is_remembered_over_another_turn(model: Asked) -> None:
    turns = [
        exchange("", "My name is Clara.", "Nice to meet you, Clara!"),
        exchange("", "What is 2 + 3?", "2 + 3 = 5."),
        exchange("", "What is my name?", ""),
    ]
    answer = model.answer(Sample("asked", tuple(m for turn in turns for m in turn.messages)))
    assert "Clara" in answer.text
