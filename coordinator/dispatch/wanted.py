"""Models that jobs wait for and too few workers have in memory: some workers are asked to load them, and may refuse."""

import asyncio
from typing import Final

import structlog

from coordinator.dispatch.state import Dispatch
from coordinator.match.wanted import REST_MS, Hand, Wish, short_of, whom
from coordinator.store.engine import Away, alone
from shared.protocol.messages import Wanted

LOOK_S: Final = 2.0
SHORT_MS: Final = 3_000
"""For so long a model must be short before anybody is asked: a burst that the workers get through is none."""

log = structlog.get_logger()


async def run(d: Dispatch) -> None:
    """Looks every two seconds, for ever."""
    while True:
        try:
            await one_round(d, d.now_ms())
        except Away:
            log.warning("the database is away: nobody is asked to load a model")
        await asyncio.sleep(LOOK_S)


async def one_round(d: Dispatch, now: int) -> list[str]:
    """Asks, at `now` (ms), some workers for each model that is short; returns whom. Raises Away."""
    refused = [(spec, 1) for spec in d.hub.missed(now)]
    waiting: list[tuple[Wish, int]] = [*refused]
    if d.hub.waits():
        async with alone(d.engine) as conn:
            waiting += await d.kinds.counts(conn)
    if not waiting:
        d.short = {}
        return []
    hands = [
        Hand(session.facts, d.hub.free_slots(pk, now), session.wanted_at) for pk, session in d.hub.sessions.items()
    ]
    short = short_of(waiting, hands)
    d.short = {model: d.short.get(model, now) for model in short}
    at_once = {spec.model for spec, _ in refused}
    due = [model for model, since in d.short.items() if model in at_once or since + SHORT_MS <= now]
    return [pk for model in due for pk in _ask(d, model, short[model], hands, now)]


def _ask(d: Dispatch, model: str, kinds: list[Wish], hands: list[Hand], now: int) -> list[str]:
    entry = d.catalogue.get(model)
    if entry is None:
        return []
    asked = [at for at in d.asked.get(model, []) if now - at < REST_MS]
    free = [hand for hand in hands if d.hub.sessions[hand.facts.pk].wanted_at == hand.asked_at]
    pks = whom(kinds, entry, free, now, len(asked))
    for pk in pks:
        session = d.hub.sessions[pk]
        session.wanted_at = now
        session.send(Wanted(entry.id, entry.digest, entry.size_bytes))
    d.asked[model] = asked + [now] * len(pks)
    if pks:
        log.info("a model is wanted", model=model, workers=len(pks))
    return pks
