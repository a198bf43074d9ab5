"""Ten thousand random steps of the loop over a real model, with llama.cpp asked after each what its cells hold."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from shared.protocol.messages import Sampling
from shared.tokens import Vocabulary
from tests.machine.tiny_model import write
from worker.engine.constraint import Grammar
from worker.engine.llama import Model
from worker.engine.loop import SPARE_SEQUENCES, Loop
from worker.engine.prepare import prepared
from worker.engine.sequence import Prompt
from worker.engine.wire import Failed, Finished, FromEngine, Generate

SLOTS, CONTEXT = 5, 192
JSON = '{"type": "json_object"}'


class Steps:
    """A real model, its loop, and every request's fate."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.vocabulary = Vocabulary(write(file))
        self.chance, self.number, self.said = Random(5), 0, list[FromEngine]()
        self.grammars = 0
        init, close = Grammar.__init__, Grammar.close

        def made(grammar: Grammar, *given: Any, **named: Any) -> None:
            init(grammar, *given, **named)
            self.grammars += 1

        def closed(grammar: Grammar) -> None:
            self.grammars -= grammar._sampler is not None
            close(grammar)

        monkeypatch.setattr(Grammar, "__init__", made)
        monkeypatch.setattr(Grammar, "close", closed)
        self.model = Model(file, slots=SLOTS, context=CONTEXT, threads=1)
        self.loop = Loop(self.model, self.vocabulary, self.said.append, slots=SLOTS)
        self.roots = [f"{word} " * 60 for word in ("fox", "sea", "tower", "night")]

    def join(self) -> None:
        chance = self.chance
        tail = "".join(chance.choices("abc é", k=chance.randrange(1, 30)))
        text = chance.choice(self.roots)[: chance.randrange(1, 180)] + tail
        asked = Generate(
            self.number, chance.randrange(1, 30), Sampling(), chance.randrange(99),
            prompt=text, scope=chance.choice("ab"), fresh=chance.random() < 0.2,
            response_format=JSON if chance.random() < 0.2 else None, logprobs=chance.choice([None, None, 3]),
        )  # fmt: skip
        prompt = prepared(asked, self.vocabulary)
        assert isinstance(prompt, Prompt)
        self.loop.take(prompt)
        self.number += 1

    def check(self) -> None:
        """Each sequence has as many cells as its request has fed; the others have none that are not counted."""
        loop, model = self.loop, self.model
        assert len(loop.running) == loop.cache.running <= SLOTS
        of_requests = {slot.cells: slot.run.position for slot in loop.running.values()}
        reach = {sequence: model.reach(sequence) for sequence in range(SLOTS + SPARE_SEQUENCES)}
        assert {sequence: reach[sequence] for sequence in of_requests} == of_requests
        assert sum(1 for sequence, size in reach.items() if size and sequence not in of_requests) == loop.cache.kept
        assert loop.cache.cells <= model.cells


@pytest.mark.timeout(240)
def test_ten_thousand_random_steps_leak_no_slot_no_cell_and_no_grammar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    them = Steps(tmp_path / "tiny.gguf", monkeypatch)
    loop, chance = them.loop, them.chance
    for _ in range(10_000):
        match chance.randrange(6):
            case 0 | 1 if len(loop._waiting) < 4:
                them.join()
            case 2 if them.number:
                loop.cancel(them.number - 1 - chance.randrange(min(them.number, 9)))
            case _ if loop.pause() is not None:
                loop.step()
        them.check()
    while loop.pause() is not None:
        loop.step()
    loop.cache.clear()
    them.check()
    assert (loop.cache.cells, loop.cache.kept, loop.cache.running, them.grammars) == (0, 0, 0, 0)
    failed = {(said.code, said.message) for said in them.said if isinstance(said, Failed)}
    assert all(code == "context_length_exceeded" for code, _ in failed), failed
    ends = [said.number for said in them.said if isinstance(said, Finished | Failed)]
    assert len(ends) == len(set(ends)) > 300
    them.model.close()
