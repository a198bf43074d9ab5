"""What a piece of training text is, and the rule that keeps some wordings out of training."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

Split = Literal["train", "held_out"]
Judge = Literal["exact", "contains", "json", "tool_call", "no_call", "story"]
Message = dict[str, Any]
Tool = dict[str, Any]

HELD_OUT_EVERY = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """A conversation that ends in the assistant's answer, and how an evaluation judges another answer to it.

    `exact` wants the same text, `contains` every string of `key`, `json` the same value, `tool_call` the same calls,
    `no_call` the strings of `key` and no call, `story` whole known words and an end.
    """

    category: str
    messages: tuple[Message, ...]
    judge: Judge = "exact"
    key: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = field(default=())

    @property
    def answer(self) -> Message:
        """The message that is to be learnt."""
        return self.messages[-1]

    @property
    def question(self) -> str:
        """The user's last words before the answer, or nothing when a tool spoke last."""
        spoken = [m["content"] for m in self.messages if m["role"] == "user"]
        return str(spoken[-1]) if spoken else ""

    def with_system(self, text: str) -> "Sample":
        """The same conversation under a system prompt."""
        return replace(self, messages=({"role": "system", "content": text}, *self.messages))


def written(name: str) -> str:
    """The text file of that name beside the generator."""
    return Path(__file__).with_name("text").joinpath(f"{name}.txt").read_text(encoding="utf-8")


def is_held_out(index: int) -> bool:
    """Whether the wording at this place of its list is kept for the evaluation: every fifth is."""
    return index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def of_split(wordings: Sequence[str], split: Split) -> list[str]:
    """The wordings that this split may use; a list of at least five has some for both."""
    return [w for i, w in enumerate(wordings) if is_held_out(i) == (split == "held_out")]


def pick(rng: Random, wordings: Sequence[str], split: Split) -> str:
    """One wording of the split, each as likely as the next."""
    return rng.choice(of_split(wordings, split))


def said(role: str, content: str) -> Message:
    """A message in the shape of the OpenAI API."""
    return {"role": role, "content": content}


def exchange(category: str, question: str, answer: str, *key: str) -> Sample:
    """One question and its answer, judged by the strings of `key`, or word for word when there are none."""
    judge: Judge = "contains" if key else "exact"
    return Sample(category, (said("user", question), said("assistant", answer)), judge, tuple(key))


def roughen(rng: Random, text: str) -> str:
    """The text as a hurried or a polite person might type it; the meaning stays."""
    roll = rng.random()
    if roll < 0.10:
        return text.lower()
    if roll < 0.20:
        return text.rstrip("?.!")
    if roll < 0.25:
        return text.lower().rstrip("?.!")
    if roll < 0.30:
        return rng.choice(["Hi! ", "Hello. ", "Hey, ", "OK. ", "Now: "]) + text
    if roll < 0.34:
        return text.rstrip("?.!") + rng.choice([" please", ", please.", "? Thanks!", "??", " ?"])
    return text
    return text
