"""The training text: a deterministic stream of conversations, one JSON object a line.

`python -m deploy.nano.corpus --seed 1 --count 1000 --out corpus.jsonl`
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from deploy.nano import capitals, knowledge, numbers, stories, structured, talk, things, tools, turns
from deploy.nano.samples import Message, Sample, Split, roughen, said

Maker = Callable[[Random, Split], Sample]

SIMPLE: dict[Maker, float] = {
    talk.small_talk: 6,
    talk.unknown: 9,
    knowledge.explanation: 11,
    capitals.capital_of: 11,
    capitals.country_of: 5,
    capitals.is_capital: 7,
    numbers.arithmetic: 17,
    numbers.counting: 4,
    numbers.extreme_of_three: 14,
    numbers.number_yes_no: 11,
    numbers.conversion: 7,
    things.color: 3,
    things.plain_list: 3,
    things.is_a: 5,
    things.ability: 2,
    things.small_fact: 4,
    stories.poem: 2,
    structured.json_answer: 8,
    structured.repetition: 4,
}
_QUICK: dict[Maker, float] = {m: w for m, w in SIMPLE.items() if m not in (stories.poem, structured.json_answer)}


def _weighted(rng: Random, makers: dict[Maker, float]) -> Maker:
    return rng.choices(list(makers), list(makers.values()))[0]


def simple(rng: Random, split: Split) -> Sample:
    """One question and its answer, of any topic."""
    return _weighted(rng, SIMPLE)(rng, split)


def quick(rng: Random, split: Split) -> Sample:
    """One question with a short answer in prose."""
    return _weighted(rng, _QUICK)(rng, split)


def several(rng: Random, split: Split) -> Sample:
    """Some turns that refer to each other; now and then many unrelated ones lie between."""
    most = rng.choices((0, 2, 5, 12), (4, 4, 1.5, 0.5))[0]
    return turns.conversation(rng, split, quick, most)


def under_system(rng: Random, split: Split) -> Sample:
    """A conversation whose system prompt changes the answer."""
    roll = rng.random()
    if roll < 0.4:
        return turns.brief(rng, split)
    return turns.renamed(rng, split) if roll < 0.65 else turns.pirate(rng, split, quick)


def not_called(rng: Random, split: Split) -> Sample:
    """A question that none of the functions at hand answers."""
    if rng.random() < 0.2:
        return tools.vague_call(rng, split)
    sample = quick(rng, split)
    offered, _, _ = tools.offered(rng, None)
    key = sample.key or (str(sample.answer["content"]),)
    return replace(sample, category="no tool call", judge="no_call", key=key, tools=tuple(offered))


MIX: dict[Maker, float] = {
    simple: 67,
    several: 9,
    under_system: 8,
    stories.story: 4,
    tools.tool_call: 12,
    tools.tool_answer: 4,
    not_called: 5,
}
_KEPT_AS_TYPED = (structured.json_answer, structured.repetition)


def sample_of(rng: Random, split: Split) -> Sample:
    """One conversation of the mixture; training text also shows how people type and which system prompts they set."""
    maker = _weighted(rng, MIX)
    if maker is simple:
        maker = _weighted(rng, SIMPLE)
    sample = maker(rng, split)
    if split == "train" and maker in SIMPLE and maker not in _KEPT_AS_TYPED:
        sample = replace(sample, messages=(said("user", roughen(rng, sample.question)), sample.answer))
    if sample.messages[0]["role"] != "system" and rng.random() < 0.3:
        sample = sample.with_system(rng.choice(turns.SYSTEMS))
    return sample


def stream(seed: int, split: Split = "train") -> Iterator[Sample]:
    """Conversations without end, the same for the same seed."""
    rng = Random(f"{split}:{seed}")  # noqa: S311 -- repeatable, guards nothing
    while True:
        yield sample_of(rng, split)


def as_record(sample: Sample) -> dict[str, str | list[Message]]:
    """The conversation in the shape of a fine-tuning file."""
    return {"category": sample.category, "messages": list(sample.messages), "tools": list(sample.tools)}


def main() -> None:
    """Write so many conversations to a file."""
    options = argparse.ArgumentParser(description="Write the training text of hive-nano.")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--out", type=Path, required=True)
    chosen = options.parse_args()
    with chosen.out.open("w", encoding="utf-8") as out:
        for _, sample in zip(range(chosen.count), stream(chosen.seed), strict=False):
            out.write(json.dumps(as_record(sample)) + "\n")


if __name__ == "__main__":
    main()
