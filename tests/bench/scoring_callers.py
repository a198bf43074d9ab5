"""What callers ask for, as a day of a public endpoint is mixed: chats of several turns, agents that go on at once, single
questions about long texts, and batches."""

import random
from array import array
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

import msgspec

from coordinator.submit.request import JobRequest
from shared.geo.cells import at, cell_of
from shared.protocol.messages import Message
from tests.bench.scoring_swarm import CITIES, SPREAD

ACCOUNTS: Final = 24
NAMED: Final = 0.25
"""So many accounts name the cell that they are in."""


class Habit(msgspec.Struct, frozen=True):
    """A way to use Hive: how many of 100 such jobs come from it, the tokens of the system prompt, of what each turn adds and of
    an answer (medians), turns, and seconds between an answer and the next turn."""

    name: str
    share: int
    system: int
    adds: int
    answers: int
    turns: int
    thinks: float
    lane: int = 0


HABITS: Final = (
    Habit("chat", 45, system=120, adds=60, answers=160, turns=6, thinks=18),
    Habit("agent", 20, system=1100, adds=220, answers=70, turns=10, thinks=1),
    Habit("question", 20, system=60, adds=900, answers=120, turns=1, thinks=0),
    Habit("batch", 15, system=450, adds=150, answers=60, turns=1, thinks=0, lane=1),
)


class Account(msgspec.Struct, frozen=True):
    """Who asks: by which habit, which model, in which cell if it names one, and the tokens that its prompts begin with."""

    id: UUID
    habit: Habit
    model: str
    cell: int | None
    system: list[int]


class Turn(msgspec.Struct, frozen=True):
    """One request: `tokens` is the prompt, `request` says it in words; `writes` tokens are answered."""

    account: Account
    tokens: list[int]
    request: JobRequest
    writes: int


class Conversation:
    """A caller's conversation, which grows with each turn."""

    def __init__(self, account: Account, chance: random.Random) -> None:
        self.account, self._chance = account, chance
        self.left = 1 + (int(chance.expovariate(1 / (account.habit.turns - 1))) if account.habit.turns > 1 else 0)
        self._tokens = list(account.system)
        self._messages = [Message("system", _words(account.system))]

    def turn(self) -> Turn:
        """The next request."""
        self.left -= 1
        habit, asked = self.account.habit, self._some(self.account.habit.adds)
        self._tokens = [*self._tokens, *asked]
        self._messages = [*self._messages, Message("user", _words(asked))]
        request = JobRequest(self.account.model, messages=self._messages)
        return Turn(self.account, self._tokens, request, max(4, _near(self._chance, habit.answers)))

    def answered(self, tokens: list[int]) -> float:
        """The answer came; in how many seconds the next turn does."""
        self._tokens = [*self._tokens, *tokens]
        self._messages = [*self._messages, Message("assistant", _words(tokens))]
        return self._chance.expovariate(1 / self.account.habit.thinks)

    def _some(self, median: int) -> list[int]:
        return _tokens(self._chance, max(4, _near(self._chance, median)))


def accounts(models: Sequence[str], chance: random.Random) -> list[Account]:
    """The callers; the first models are asked for most."""
    found = []
    for n in range(ACCOUNTS):
        habit = _by_share(n)
        named = habit.turns < 10 and chance.random() < NAMED
        model = models[0 if named else min(int(chance.expovariate(1 / 1.2)), len(models) - 1)]
        latitude, longitude = chance.choice(CITIES)
        place = cell_of(latitude + chance.uniform(-SPREAD, SPREAD), longitude + chance.uniform(-SPREAD, SPREAD))
        cell = at(place, chance.choice((5, 6, 7))) if named else None
        system = _tokens(chance, _near(chance, habit.system))
        found.append(Account(UUID(int=n + 1), habit, model, cell, system))
    return found


def arrivals(
    callers: list[Account], rate: float, seconds: float, chance: random.Random
) -> Iterator[tuple[float, Conversation]]:
    """When conversations begin, so that some `rate` jobs a second come of them."""
    each = {caller.id: _rate(caller, callers, rate) for caller in callers}
    for caller in callers:
        now = 0.0
        while (now := now + chance.expovariate(each[caller.id])) < seconds:
            burst = 20 if caller.habit.lane else 1
            if chance.random() < 1 / burst:
                yield from ((now, Conversation(caller, chance)) for _ in range(burst))


def _rate(caller: Account, callers: list[Account], rate: float) -> float:
    """Conversations a second of this caller."""
    alike = sum(one.habit is caller.habit for one in callers)
    return rate * caller.habit.share / 100 / alike / caller.habit.turns * (1 if caller.cell is None else 0.25)


def _by_share(n: int) -> Habit:
    ranked = [habit for habit in HABITS for _ in range(habit.share)]
    return ranked[n * len(ranked) // ACCOUNTS]


def _near(chance: random.Random, median: int) -> int:
    return min(8 * median, int(chance.lognormvariate(0, 0.6) * median))


def _words(tokens: list[int]) -> str:
    """A text of such a length that begins as every other that begins with these tokens."""
    return array("I", tokens).tobytes().hex()


def _tokens(chance: random.Random, many: int) -> list[int]:
    return array("I", chance.randbytes(4 * many)).tolist()
