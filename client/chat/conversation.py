"""A conversation: what was asked and answered, what is asked now, and the files that go with it. Pure."""

from typing import Any

import msgspec


class Text(msgspec.Struct, frozen=True):
    """A text file of the user's."""

    name: str
    text: str


class Image(msgspec.Struct, frozen=True):
    """A picture of the user's, as a data URL."""

    name: str
    url: str


Attachment = Text | Image


class Question(msgspec.Struct, frozen=True):
    """What the user wrote, and what went with it."""

    text: str
    files: tuple[Attachment, ...] = ()

    def message(self) -> dict[str, Any]:
        """It as OpenAI's message: text files before the words, pictures as parts."""
        files = [f'<file name="{file.name}">\n{file.text}\n</file>\n' for file in self.files if isinstance(file, Text)]
        words = "\n".join([*files, self.text])
        pictures = [
            {"type": "image_url", "image_url": {"url": file.url}} for file in self.files if isinstance(file, Image)
        ]
        return {"role": "user", "content": [{"type": "text", "text": words}, *pictures] if pictures else words}


class Turn(msgspec.Struct, frozen=True):
    """A question and its answer, whole or as far as it came."""

    question: Question
    answer: str


class Conversation(msgspec.Struct, frozen=True):
    """The turns so far; `open` is the question that has no answer yet, or did not get one."""

    system: str = ""
    turns: tuple[Turn, ...] = ()
    open: Question | None = None

    def asked(self, question: Question) -> "Conversation":
        """With a new question; one without an answer is forgotten."""
        return msgspec.structs.replace(self, open=question)

    def answered(self, text: str) -> "Conversation":
        """With the answer to the open question; an empty one leaves it open."""
        if self.open is None or not text:
            return self
        return msgspec.structs.replace(self, turns=(*self.turns, Turn(self.open, text)), open=None)

    def undone(self) -> "Conversation":
        """Without the last question and its answer; the same if there is none."""
        if self.open is not None:
            return msgspec.structs.replace(self, open=None)
        return msgspec.structs.replace(self, turns=self.turns[:-1])

    def again(self) -> "Conversation":
        """With the last question open again, without its answer."""
        if self.open is not None or not self.turns:
            return self
        return msgspec.structs.replace(self, turns=self.turns[:-1], open=self.turns[-1].question)

    def messages(self) -> list[dict[str, Any]]:
        """All of it as OpenAI's messages."""
        told: list[dict[str, Any]] = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.turns:
            told += [turn.question.message(), {"role": "assistant", "content": turn.answer}]
        return [*told, self.open.message()] if self.open is not None else told

    def markdown(self) -> str:
        """All of it for people, files by their names."""
        parts = [f"> {line}" for line in self.system.splitlines()] + [""] if self.system else []
        for turn in self.turns:
            names = "".join(f"\n\n(with {file.name})" for file in turn.question.files)
            parts += [f"**You:** {turn.question.text}{names}", "", turn.answer, ""]
        return "\n".join(parts)
