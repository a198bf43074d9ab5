"""Which models too few workers have in memory, and whom to ask to load one."""

from collections.abc import Iterable
from typing import Final

import msgspec

from coordinator.match.needs import TASKS
from coordinator.match.rules import ModelFacts, Reason, WorkerFacts, why_not
from coordinator.store.rows import Kind, KindSpec
from shared.catalogue import Entry

HANDFUL: Final = 4
"""How many workers are asked for one model within REST_MS."""

REST_MS: Final = 60_000
"""How long a worker that was asked for a model is left alone."""

Wish = Kind | KindSpec


class Hand(msgspec.Struct, frozen=True):
    """A worker online, how many of its slots are free, and when (ms) it was last asked to load a model."""

    facts: WorkerFacts
    free: int
    asked_at: int


def short_of(waiting: Iterable[tuple[Wish, int]], hands: Iterable[Hand]) -> dict[str, list[Wish]]:
    """By model the kinds of which more jobs wait than workers that may do them, and have the model in memory or on the
    way there, have free slots."""
    here = list(hands)
    short: dict[str, list[Wish]] = {}
    for kind, jobs in waiting:
        ready = sum(hand.free for hand in here if _is_warm(hand.facts, kind.model) and _may(hand.facts, kind))
        if jobs > ready:
            short.setdefault(kind.model, []).append(kind)
    return short


def whom(kinds: Iterable[Wish], entry: Entry, hands: Iterable[Hand], now: int, recently: int) -> list[str]:
    """The workers to ask at `now` (ms) to load the model of these kinds: idle ones with enough memory that no other rule
    keeps from such jobs and that were not asked within a minute, who has the file first, then by free slots; not more
    than a handful with those (`recently`) that were."""
    wanted = list(kinds)
    fit = [hand for hand in hands if _can(hand, entry, now) and any(_would(hand.facts, kind, entry) for kind in wanted)]
    fit.sort(key=lambda hand: (entry.id not in hand.facts.models, -hand.free, hand.asked_at, hand.facts.pk))
    return [hand.facts.pk for hand in fit[: max(0, HANDFUL - recently)]]


def _can(hand: Hand, entry: Entry, now: int) -> bool:
    rested = now - hand.asked_at >= REST_MS
    holds = hand.facts.memory >= entry.size_bytes + entry.size_bytes // 4
    return rested and holds and hand.free > 0 and not _is_warm(hand.facts, entry.id)


def _would(facts: WorkerFacts, kind: Wish, entry: Entry) -> bool:
    """Whether the worker might do such jobs if it had the model in memory; of a model that is not there yet nobody knows
    what it could be asked, and no engine that loads one sees images."""
    here = facts.models.get(entry.id)
    tasks = frozenset(TASKS) if here is None else here.tasks
    loaded = {entry.id: ModelFacts(entry.digest, entry.context, loaded=True, tasks=tasks)}
    return _may(msgspec.structs.replace(facts, models=facts.models | loaded), kind)


def _may(facts: WorkerFacts, kind: Wish) -> bool:
    return not isinstance(why_not(facts, kind), Reason)


def _is_warm(facts: WorkerFacts, model_id: str) -> bool:
    model = facts.models.get(model_id)
    return model is not None and (model.loaded or model.loading)
