"""Whether an answer is right: the same rules for the evaluation's table and for the tests."""

import json
import re
from typing import Any, assert_never

from deploy.nano.samples import Sample

STORY_TOKENS = 200
_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")


def calls_in(text: str) -> list[dict[str, Any]] | None:
    """The calls that an answer makes, name and arguments each; nothing when one of them is not valid JSON."""
    try:
        return [json.loads(found) for found in _CALL.findall(text)]
    except ValueError:
        return None


def words_of(text: str) -> set[str]:
    """The words of a text in lower case."""
    return {word.lower() for word in _WORD.findall(text)}


def _same_json(text: str, wanted: str) -> bool:
    try:
        return bool(json.loads(text) == json.loads(wanted))
    except ValueError:
        return False


def _calls_wanted(sample: Sample) -> list[dict[str, Any]]:
    functions = [call["function"] for call in sample.answer["tool_calls"]]
    return [{"name": f["name"], "arguments": json.loads(f["arguments"])} for f in functions]


def is_right(sample: Sample, text: str, tokens: int, known_words: frozenset[str]) -> bool:
    """Whether `text`, which took so many tokens, answers the sample; only a story needs the known words."""
    match sample.judge:
        case "exact":
            return text.strip() == str(sample.answer["content"])
        case "contains":
            return all(key in text for key in sample.key)
        case "json":
            return _same_json(text, sample.answer["content"])
        case "tool_call":
            return calls_in(text) == _calls_wanted(sample)
        case "no_call":
            return "<tool_call>" not in text and all(key in text for key in sample.key)
        case "story":
            return tokens >= STORY_TOKENS and all(k in text for k in sample.key) and words_of(text) <= known_words
        case _:
            assert_never(sample.judge)
