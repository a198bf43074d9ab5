"""Tools through a real vocabulary: what the model reads of them, and what is visible of its calls."""

import re
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from shared.chat.formats import GENERIC, described
from shared.protocol.messages import Message
from shared.tokens import TemplateError, Vocabulary, cut_before, is_long
from tests.machine.coordinator_double import model_file
from tests.pure.chat_templates import TEMPLATES

VOCABULARY = Vocabulary(model_file())
TOOLS = '[{"type":"function","function":{"name":"add","description":"Adds numbers"}}]'


class Asked(msgspec.Struct, frozen=True):
    messages: Sequence[Message] | None = (Message("user", "Hi"),)
    prompt: str | None = None
    tools: str | None = None
    tool_choice: str | None = None


class Phi(Vocabulary):
    def metadata(self, key: str) -> str | None:
        return TEMPLATES["phi"] if key == "tokenizer.chat_template" else super().metadata(key)


def read(asked: Asked, vocabulary: Vocabulary = VOCABULARY) -> str:
    return vocabulary.detokenise(vocabulary.prompt_ids(asked)).decode()


def test_the_bundled_model_reads_its_tools() -> None:
    assert VOCABULARY.format.style == "hermes"
    assert "Adds numbers" in read(Asked(tools=TOOLS))
    assert read(Asked(tools=TOOLS, tool_choice='"none"')) == read(Asked())


def test_a_model_whose_template_knows_no_tools_is_told_in_words() -> None:
    phi = Phi(model_file())
    assert phi.format == GENERIC
    assert described([{"type": "function"}])[:60] in read(Asked(tools=TOOLS), phi)
    assert "Adds numbers" in read(Asked(tools=TOOLS), phi)


def test_marks_of_calls_are_text_and_other_control_tokens_are_not() -> None:
    ids = VOCABULARY.tokenise("<|im_start|>a<tool_call>b</tool_call><|im_end|>", special=True)
    assert VOCABULARY.detokenise(ids) == b"a<tool_call>b</tool_call>"


def test_bad_tools_are_an_error_for_the_caller() -> None:
    with pytest.raises(TemplateError, match=r"tools\[0\].type"):
        VOCABULARY.prompt_ids(Asked(tools="[7]"))


def test_many_tools_make_a_long_prompt() -> None:
    assert not is_long(Asked(tools=TOOLS))
    assert is_long(Asked(tools=TOOLS + " " * 20_000))


def test_many_messages_make_a_long_prompt() -> None:
    assert is_long(Asked([Message("user", "a")] * 1000))


PARTS = ["<|im_end|>", "<|im_start|>", "</tool_call>", "<|im_", " ", "\n ", "word ", "é"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(PARTS), min_size=9))
def test_a_long_text_is_read_in_pieces_as_it_is_read_whole(parts: list[str]) -> None:
    text = "".join(parts) * (40_000 // len("".join(parts)))
    for special in (True, False):
        assert VOCABULARY.tokenise(text, special=special) == VOCABULARY._read(text.encode(), special, start=False)
    assert VOCABULARY.text_ids(text) == VOCABULARY._read(text.encode(), False, start=True)


def test_a_long_text_full_of_marks_is_cut_before_them() -> None:
    names = re.compile(rb"<m>|</m>")
    pieces = cut_before(b"a" * 5000 + b"<m>b</m>" * 2000, names)
    assert b"".join(pieces) == b"a" * 5000 + b"<m>b</m>" * 2000
    assert [len(piece) for piece in pieces[:3]] == [5000, 4096, 4096]
    assert all(names.match(piece) for piece in pieces[1:])
    assert cut_before(b"a" * 9000, names) == [b"a" * 9000]
