"""The vocabulary of a real model file, read without its weights."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from shared.protocol.messages import Message
from shared.tokens import ModelFileError, TemplateError, Vocabulary
from tests.machine.coordinator_double import model_file

VOCABULARY = Vocabulary(model_file())


class Asked(msgspec.Struct, frozen=True):
    messages: Sequence[Message] | None = None
    prompt: str | None = None


@pytest.mark.parametrize("text", ["", "Hello, world!", "héllo 日本語 😀\n\ttabs", "<|im_end|> is only text here", "\0"])
def test_text_survives_its_tokens(text: str) -> None:
    ids = VOCABULARY.tokenise(text, special=False)
    assert VOCABULARY.detokenise(ids).decode() == text


def test_the_template_marks_the_turns_and_asks_for_an_answer() -> None:
    text = VOCABULARY.render([Message("system", "Be kind."), Message("user", "Hi"), Message("assistant", "Yes?")])
    assert text.index("Be kind.") < text.index("Hi") < text.index("Yes?")
    assert text != VOCABULARY.render([Message("user", "Hi")], add_generation_prompt=False)


def test_control_tokens_of_the_template_are_single_ids_without_text() -> None:
    ids = VOCABULARY.prompt_ids(Asked(messages=[Message("user", "Hi")]))
    assert VOCABULARY.end_ids & set(ids)
    assert b"<|im_end|>" not in VOCABULARY.detokenise(ids)


def test_developer_is_the_system() -> None:
    assert VOCABULARY.render([Message("developer", "x")]) == VOCABULARY.render([Message("system", "x")])


def test_a_raw_prompt_goes_in_as_it_is_and_an_empty_one_is_not_nothing() -> None:
    assert VOCABULARY.detokenise(VOCABULARY.prompt_ids(Asked(prompt="once upon"))).endswith(b"once upon")
    assert len(VOCABULARY.prompt_ids(Asked(prompt=""))) == 1


def test_ids_out_of_range_are_no_text() -> None:
    assert VOCABULARY.detokenise([-1, VOCABULARY.size, 2**31 - 1]) == b""


def test_messages_that_a_template_refuses_are_an_error_for_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Vocabulary):
        def metadata(self, key: str) -> str | None:
            return "{{ raise_exception('roles must alternate') }}" if key == "tokenizer.chat_template" else None

    with pytest.raises(TemplateError, match="roles must alternate"):
        Refusing(model_file()).render([Message("user", "a")])


def test_a_template_cannot_leave_its_sandbox() -> None:
    class Hostile(Vocabulary):
        def metadata(self, key: str) -> str | None:
            return "{{ messages.__class__.__mro__ }}" if key == "tokenizer.chat_template" else None

    with pytest.raises(TemplateError):
        Hostile(model_file()).render([Message("user", "a")])


def test_a_file_that_is_no_gguf_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"x\.gguf"):
        Vocabulary(file)
