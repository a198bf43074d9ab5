"""What a face costs the coordinator: translating a request in, and an answer out, on one core."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from coordinator.answer.said import Answer, Terms
from coordinator.answer.teller import Counts, End, Names, Teller, Told
from coordinator.anthropic import messages
from coordinator.openai import chat, completions
from shared.chat.formats import GENERIC
from tests.bench.figure import Figure

NAMES = Names(UUID(int=7), 1_700_000_000, "hive-nano", "fp_0123456789abcdef", tokens_in=20)
COUNTS = Counts(20, 100, 4)
TERMS = Terms(GENERIC, lambda token: bytes([token % 256]))
TURNS = [{"role": "user", "content": "What is the capital of Italy?"}, {"role": "assistant", "content": "Rome."}] * 4
HELLO = [*TURNS, {"role": "user", "content": "And of France?"}]
SAMPLED = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 100}
BODIES: dict[str, dict[str, Any]] = {
    "chat": {"messages": HELLO, "stream": True, "seed": 7, "stop": ["\n\n"]},
    "completions": {"prompt": "Once upon a time", "n": 1, "stop": ["\n\n"]},
    "messages": {"messages": HELLO, "system": "Be brief.", "stop_sequences": ["\n\n"]},
}
TIMES = 3000
ROUNDS = 5


class Face(msgspec.Struct, frozen=True):
    """How one face reads a body, and tells an answer."""

    name: str
    read: Callable[[bytes], object]
    teller: Callable[[], Teller]


def _none(_name: str) -> None:
    return None


def _chat(raw: bytes) -> object:
    return chat.submission(msgspec.json.decode(raw, type=chat.ChatBody), _none)


def _completions(raw: bytes) -> object:
    return completions.submission(msgspec.json.decode(raw, type=completions.CompletionBody), _none, str)


def _messages(raw: bytes) -> object:
    body = msgspec.json.decode(raw, type=messages.MessagesBody)
    return messages.submission(body, _none, **messages.sampled(body))


FACES: Sequence[Face] = (
    Face("chat", _chat, lambda: chat.ChatTeller(NAMES)),
    Face("completions", _completions, lambda: completions.CompletionTeller(NAMES)),
    Face("messages", _messages, lambda: messages.MessageTeller(NAMES)),
)


async def measure(_folder: Path) -> list[Figure]:
    """Each face's cost; the best of a few rounds, for what else runs on the machine is not the face's."""
    figures = []
    for face in FACES:
        raw = msgspec.json.encode({"model": "hive-nano", **SAMPLED, **BODIES[face.name]})
        inward, outward = best(partial(face.read, raw)), best(partial(_told, face))
        figures += [
            Figure(f"{face.name}: a request in and a whole answer out", (inward + outward) * 1e6, "µs", 150),
            Figure(f"{face.name}: a streamed chunk", _chunk(face) * 1e6, "µs", 15),
        ]
    return figures


def best(work: Callable[[], object], times: int = TIMES) -> float:
    """Seconds that one of these takes, in the best round."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - began) / times)
    return min(found)


def _told(face: Face) -> bytes:
    answer, teller = Answer(TERMS), face.teller()
    events = answer.push("The capital of France is Paris. " * 12)
    told = Told([*events, *answer.finish()], "", End("stop", COUNTS))
    return msgspec.json.encode(teller.whole([told], COUNTS))


def _chunk(face: Face) -> float:
    answer, teller = Answer(TERMS), face.teller()
    teller.opening()
    return best(lambda: teller.more(0, answer.push(" Paris"), answer.likely()))
