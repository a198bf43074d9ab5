"""The training text of hive-nano is repeatable, right, and free of the wordings that the evaluation asks."""

import json
import re
from itertools import islice

import pytest

from deploy.nano import capitals, knowledge, numbers, structured, tools
from deploy.nano.corpus import as_record, stream
from deploy.nano.judging import calls_in, is_right
from deploy.nano.samples import Message, Sample, Split, exchange, is_held_out, of_split
from deploy.nano.template import CHAT_TEMPLATE, rendered

MANY = 6000
_SUM = re.compile(r"(?<![\d.])(\d+) ([-+*/]) (\d+) = (\d+)\.")


def taken(split: Split, count: int = MANY) -> list[Sample]:
    return list(islice(stream(7, split), count))


def plainly(question: str) -> str:
    return question.lower().strip("?.! ")


def test_the_same_seed_gives_the_same_text_and_another_seed_another() -> None:
    first, again, other = ([as_record(s) for s in islice(stream(seed), 300)] for seed in (7, 7, 8))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "wordings",
    [
        capitals.CAPITAL_OF,
        capitals.COUNTRY_OF,
        capitals.IS_CAPITAL,
        numbers.PLUS,
        numbers.MINUS,
        numbers.TIMES,
        numbers.OVER,
        numbers.LARGEST,
        numbers.HOW_MANY,
        knowledge.EXPLAIN,
        structured.ARRAY_ASKED,
        structured.PERSON_ASKED,
        *(family.wordings for family in tools.FAMILIES.values()),
    ],
)
def test_every_list_of_wordings_serves_both_splits_and_none_twice(wordings: tuple[str, ...]) -> None:
    train, held_out = of_split(wordings, "train"), of_split(wordings, "held_out")
    assert train
    assert held_out
    assert not {plainly(w) for w in train} & {plainly(w) for w in held_out}
    assert len(set(wordings)) == len(wordings)


def test_no_held_out_question_is_in_the_training_text() -> None:
    asked = {plainly(s.question) for s in taken("train") if s.judge != "no_call"}
    kept = [
        s
        for s in taken("held_out", 2000)
        if s.category in {"capitals", "arithmetic", "units", "explanations", "stories"}
    ]
    assert len(kept) > 500
    assert [s.question for s in kept if plainly(s.question) in asked] == []


def test_no_training_text_holds_a_held_out_wording_of_capitals() -> None:
    kept = {
        plainly(wording.format(country=country, city=city))
        for wordings in (capitals.CAPITAL_OF, capitals.COUNTRY_OF)
        for i, wording in enumerate(wordings)
        if is_held_out(i)
        for country, city in capitals.CAPITALS.items()
    }
    said = {plainly(str(m["content"])) for s in taken("train") for m in s.messages if m["role"] == "user"}
    assert said & kept == set()


def test_every_sum_in_the_text_is_right() -> None:
    seen = 0
    for sample in taken("train"):
        for message in sample.messages:
            for a, sign, b, value in _SUM.findall(str(message["content"])):
                seen += 1
                exact = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}
                assert int(value) == exact[sign] if sign != "/" else int(value) * int(b) == int(a)
    assert seen > 500


def test_json_answers_and_tool_calls_are_json() -> None:
    samples = taken("train")
    answers = [s for s in samples if s.judge == "json"]
    calls = [s for s in samples if s.judge == "tool_call"]
    assert len(answers) > 100
    assert len(calls) > 100
    for sample in answers:
        assert json.loads(sample.answer["content"]) is not None
    for sample in calls:
        names = {tool["function"]["name"] for tool in sample.tools}
        (call,) = calls_in(rendered(sample.messages[-1:])) or []
        declared = next(t for t in sample.tools if t["function"]["name"] == call["name"])["function"]["parameters"]
        assert call["name"] in names
        assert set(call["arguments"]) <= set(declared["properties"])


def test_a_judge_takes_the_written_answer_and_refuses_another() -> None:
    words = frozenset[str]()
    for sample in taken("held_out", 800):
        if sample.judge == "story":
            continue
        text = rendered(sample.messages[-1:]).removeprefix("<|im_start|>assistant\n").removesuffix("<|im_end|>\n")
        assert is_right(sample, text, 10, words), (sample, text)
        assert not is_right(sample, "Perhaps <tool_call>", 10, words)


def test_a_story_must_be_long_whole_and_in_known_words() -> None:
    story = exchange("stories", "Tell me a story.", "Tom went home. The end.", "The end.")
    sample = Sample("stories", story.messages, "story", story.key)
    known = frozenset({"tom", "went", "home", "the", "end"})
    assert is_right(sample, "Tom went home. The end.", 200, known)
    assert not is_right(sample, "Tom went home. The end.", 199, known)
    assert not is_right(sample, "Tom wentx home. The end.", 200, known)
    assert not is_right(sample, "Tom went home.", 200, known)


def test_the_template_shows_tools_calls_and_results() -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
    call = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
    messages: list[Message] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Weather in Rome?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "{}"},
        {"role": "tool", "content": "[]"},
    ]
    text = rendered(messages, [tool], prompt=True)
    assert text.startswith("<|im_start|>system\nBe kind.\n\n# Tools\n")
    assert '<tools>\n{"function": {"name": "get_weather"' in text
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call><|im_end|>\n' in text
    results = (
        "<|im_start|>user\n<tool_response>\n{}\n</tool_response>\n<tool_response>\n[]\n</tool_response><|im_end|>\n"
    )
    assert text.endswith(results + "<|im_start|>assistant\n")


def test_the_template_without_tools_is_plain_chatml() -> None:
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    chat = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi<|im_end|>\n"
    assert rendered(messages) == chat
    assert rendered(messages[:1], prompt=True) == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert "tool_call" in CHAT_TEMPLATE
