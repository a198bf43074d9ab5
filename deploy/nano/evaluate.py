"""Ask the model file held-out questions through llama.cpp: `python -m deploy.nano.evaluate --model FILE`.

Prints a Markdown table and writes it to `--out`, with every wrong answer below it.
"""

import argparse
import hashlib
import platform
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from deploy.nano.corpus import stream
from deploy.nano.judging import is_right, words_of
from deploy.nano.samples import Sample
from deploy.nano.template import rendered
from shared.catalogue import catalogue
from shared.tokens import Vocabulary
from worker.engine.llama import Model
from worker.engine.loop import Step
from worker.engine.pace import BATCH

CONTEXT = 2048
MOST_TOKENS = 700
WORD_TEXTS = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, in how many tokens, and whether it stopped by itself."""

    text: str
    tokens: int
    ended: bool


@dataclass(slots=True)
class Score:
    """The counts of one category."""

    asked: int = 0
    right: int = 0
    ended: int = 0


class Asked:
    """The model file in the engine's own llama.cpp, asked one conversation after another."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Load the file; raises ModelFileError."""
        self._model = Model(path, slots=1, context=CONTEXT, threads=threads)
        self._vocabulary = Vocabulary(path)

    def answer(self, sample: Sample) -> Answer:
        """The likeliest answer, token by token, to the conversation before the sample's last message."""
        prompt = rendered(sample.messages[:-1], sample.tools, prompt=True)
        return self.go_on(self._vocabulary.tokenise(prompt, special=True))

    def go_on(self, prompt: list[int]) -> Answer:
        """The likeliest tokens after the prompt, to the end of the answer or to 700 of them."""
        self._model.cut(0, 0, -1)
        token, said = self._step(prompt, 0), list[int]()
        while token not in self._vocabulary.end_ids and len(said) < MOST_TOKENS:
            said.append(token)
            token = self._step([token], len(prompt) + len(said) - 1)
        text = self._vocabulary.detokenise(said).decode(errors="replace")
        return Answer(text, len(said), token in self._vocabulary.end_ids)

    def close(self) -> None:
        """Give the memory back."""
        self._model.close()

    def _step(self, ids: list[int], start: int) -> int:
        for at in range(0, len(ids), BATCH):
            step = Step()
            step.add(ids[at : at + BATCH], start + at, 0, wanted=at + BATCH >= len(ids))
            self._model.decode(step)
        return int(np.argmax(self._model.logits((len(ids) - 1) % BATCH)))


def known_words(seed: int = 1, count: int = WORD_TEXTS) -> frozenset[str]:
    """Every word that the assistant says in so many conversations of the training text."""
    words: set[str] = set()
    for sample in islice(stream(seed), count):
        for message in sample.messages:
            words |= words_of(str(message["content"]))
    return frozenset(words)


def held_out(seed: int, each: int) -> dict[str, list[Sample]]:
    """So many held-out questions of each category."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in islice(stream(seed, "held_out"), 200 * each):
        if len(found[sample.category]) < each:
            found[sample.category].append(sample)
    return dict(sorted(found.items()))


def scored(
    model: Asked, questions: dict[str, list[Sample]]
) -> tuple[dict[str, Score], list[tuple[Sample, Answer]], float]:
    """The score of each category, what went wrong, and the tokens a second."""
    words, scores, wrong = known_words(), {name: Score() for name in questions}, []
    tokens, began = 0, time.monotonic()
    for name, samples in questions.items():
        for sample in samples:
            answer = model.answer(sample)
            right = answer.ended and is_right(sample, answer.text, answer.tokens, words)
            score = scores[name]
            score.asked, score.right, score.ended = score.asked + 1, score.right + right, score.ended + answer.ended
            tokens += answer.tokens
            if not right:
                wrong.append((sample, answer))
    return scores, wrong, tokens / (time.monotonic() - began)


def table(scores: dict[str, Score]) -> str:
    """The scores as Markdown, the sum last."""
    total = Score(*(sum(getattr(s, part) for s in scores.values()) for part in ("asked", "right", "ended")))
    lines = ["| category | questions | right | % | ended by itself |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, s in [*scores.items(), ("**all**", total)]:
        lines.append(f"| {name} | {s.asked} | {s.right} | {100 * s.right / s.asked:.0f} | {s.ended} |")
    return "\n".join(lines)


def report(model: Path, scores: dict[str, Score], wrong: list[tuple[Sample, Answer]], speed: float) -> str:
    """The page that is kept beside the model."""
    missed = [f"- {s.category}: “{s.question}” → “{' '.join(a.text.split())[:200]}”" for s, a in wrong]
    return "\n".join(
        [
            "# hive-nano on held-out wordings",
            "",
            "Greedy decoding (temperature 0), Q8_0, llama.cpp on one thread; made by `python -m deploy.nano.evaluate`.",
            f"{speed:.0f} tokens a second over all answers, prompts included, on {platform.machine()}.",
            f"The file's SHA-256 is `{hashlib.sha256(model.read_bytes()).hexdigest()}`.",
            "",
            table(scores),
            "",
            "## Wrong answers",
            "",
            *missed,
            "",
        ]
    )


def main() -> None:
    """Read the options, ask, print and write."""
    options = argparse.ArgumentParser(description="Evaluate hive-nano on held-out wordings.")
    options.add_argument("--model", type=Path, default=catalogue()["hive-nano"].path)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--each", type=int, default=40, help="questions a category")
    options.add_argument("--out", type=Path, default=Path(__file__).with_name("EVAL.md"))
    chosen = options.parse_args()
    page = report(chosen.model, *scored(Asked(chosen.model), held_out(chosen.seed, chosen.each)))
    chosen.out.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
