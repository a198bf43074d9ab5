"""A parent job as its owner sees it: what its children have come to, together. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from coordinator.queue.lifecycle import TERMINAL, State
from coordinator.store.rows import JobView

_WORST = (State.FAILED, State.TIMED_OUT, State.CANCELLED, State.COMPLETED)


def parent_of(id_: UUID, children: Sequence[JobView]) -> JobView:
    """One job in the place of its children, of which there is at least one: it has completed when all of them have, its
    text is theirs only where there is one, and its payment is confirmed when all of theirs are."""
    first = children[0]
    ended = all(child.status in TERMINAL for child in children)
    settled = all(child.settled for child in children)
    return msgspec.structs.replace(
        first,
        id=id_,
        parent=None,
        status=_status([child.status for child in children]),
        assigned_at=_first(child.assigned_at for child in children),
        first_token_at=_first(child.first_token_at for child in children),
        completed_at=max(child.completed_at for child in children if child.completed_at) if ended else None,
        attempts=max(child.attempts for child in children),
        tokens_in=sum(child.tokens_in for child in children if not child.copy),
        max_tokens=sum(child.max_tokens for child in children),
        tokens_generated=sum(child.tokens_generated for child in children),
        cached_tokens=sum(child.cached_tokens for child in children if not child.copy),
        result_text=None,
        finish_reason=None,
        hold=sum(child.hold for child in children),
        cost=sum(child.cost for child in children),
        gns_reward=None if first.gns_reward is None else sum(child.gns_reward or 0 for child in children),
        parked=all(child.parked for child in children),
        settled=settled,
        stellar_tx_hash=first.stellar_tx_hash if settled else None,
    )


def _status(states: Sequence[State]) -> State:
    if all(state in TERMINAL for state in states):
        return next(state for state in _WORST if state in states)
    begun = any(state in TERMINAL or state is State.COMPUTING for state in states)
    return State.COMPUTING if begun else State.ASSIGNED if State.ASSIGNED in states else State.PENDING


def _first(times: Iterable[datetime | None]) -> datetime | None:
    return min((at for at in times if at is not None), default=None)
