"""A small model of lease and hand-over, to be walked through whole: one job, two coordinators, two workers, a reader at the
first coordinator. Whether a report is believed is asked of the code itself.

Frames and words between coordinators are a set: each may come late, twice or never. A coordinator may be slow (it simply does
nothing for a while), crash and start again; a worker may crash, or move to the other coordinator with what it holds. `harms`
bounds how many of these and of the sweep's takings happen in one walk.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Final, NamedTuple
from uuid import UUID

from coordinator.queue import moves
from coordinator.queue.lifecycle import TERMINAL, Event, State, after
from coordinator.store.changes import Live

LENGTH: Final = 2
"""How many tokens an answer has."""

HERE: Final = 0
BOTH: Final = (0, 1)
Ids = tuple[str, ...]


class Row(NamedTuple):
    """The job in the database; `accepted` are the (attempt, worker) whose results were."""

    state: State = State.PENDING
    attempt: int = 0
    worker: int = -1
    holder: int = -1
    lost: int = 0
    result: Ids = ()
    accepted: tuple[tuple[int, int], ...] = ()


class Memory(NamedTuple):
    """What a coordinator knows: the attempt (and worker) that it watches over, and the job's log with the attempt that
    goes on with it from its first `base` ids."""

    held: tuple[int, int] | None = None
    attempt: int = 0
    base: int = 0
    ids: Ids = ()


class Hands(NamedTuple):
    """What a worker holds of an attempt: what it continues from, and its own tokens; `link` is its coordinator."""

    link: int
    attempt: int = 0
    base: Ids = ()
    made: Ids = ()


class Frame(NamedTuple):
    """A message to a worker (`offer`), to a coordinator (`tokens`, `done`), or between them (`said`)."""

    what: str
    to: int
    worker: int
    attempt: int
    base: int
    ids: Ids


class World(NamedTuple):
    """All of it. `made_anew`: the reader was told that the result begins differently from what it read."""

    row: Row
    minds: tuple[Memory, Memory]
    hands: tuple[Hands, Hands]
    frames: frozenset[Frame]
    harms: int
    reader: str = "reads"


Believed = Callable[[Row, Event, int, int, int | None], bool]


def first(harms: int) -> World:
    """A job that was just accepted, and a worker at each coordinator."""
    return World(Row(), (Memory(), Memory()), (Hands(0), Hands(1)), frozenset(), harms)


def believed(row: Row, event: Event, attempt: int, worker: int, by: int | None = None) -> bool:
    """What `moves` says of a report."""
    job = _live(row.state, row.attempt, row.worker, row.holder)
    live = {} if row.state in TERMINAL else {job.id: job}
    return moves._believed(live, event, job.id, attempt, str(worker), None if by is None else str(by))


@cache
def _live(state: State, attempt: int, worker: int, holder: int) -> Live:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    nobody = UUID(int=0)
    return Live(
        id=UUID(int=1), state=state, attempt=attempt, worker_pk=str(worker), account_id=nobody, key_id=nobody, model="m",
        source="v1", priority="interactive", created_at=now, assigned_at=now, tokens_in=1, max_tokens=LENGTH, hold=1,
        reward=None, copy=False, at_once=None, lost=0, store=False, attached=True, due_at=now, lease_until=now,
        reader_until=now, coordinator=str(holder),
    )  # fmt: skip


def steps(world: World) -> Iterator[tuple[str, World]]:
    """All that can happen next and changes anything; nothing does once the job has ended and its reader knows of it."""
    if world.row.state in TERMINAL and world.reader != "reads":
        return
    for name, then in _all_steps(world):
        if then != world:
            yield name, then._replace(frames=frozenset(f for f in then.frames if _matters(then, f)))


def _matters(world: World, frame: Frame) -> bool:
    """Whether a frame can still change anything: a worker that moves says all of it again, so no other session's tokens do."""
    if frame.what == "offer":
        return world.hands[frame.worker].attempt < frame.attempt
    mind = world.minds[frame.to]
    return frame.what != "tokens" or (mind.held == (frame.attempt, frame.worker) and _longer(mind, frame) != mind.ids)


def _all_steps(world: World) -> Iterator[tuple[str, World]]:
    for c in BOTH:
        yield from _claims(world, c)
    for frame in world.frames:
        yield from _comes(world, frame)
    for w in BOTH:
        yield from _works(world, w)
    yield from _reads(world)
    if not _is_renewed(world):
        yield from _swept(world)
    if world.harms:
        less = world._replace(harms=world.harms - 1)
        yield from _swept(less)
        yield from _lost(less)
        for each in BOTH:
            yield f"coordinator {each} crashes", _crashed(less, each)
            alone = less._replace(frames=_ended(less, each))
            yield f"worker {each} crashes", _hand(alone, each, Hands(world.hands[each].link))
            yield from _moved(less, each)


def _claims(world: World, c: int) -> Iterator[tuple[str, World]]:
    """One guarded statement: the job is the worker's, from what this coordinator knows of its tokens."""
    row, mind = world.row, world.minds[c]
    if after(row.state, Event.ASSIGN) is None:
        return
    for w in BOTH:
        if world.hands[w].link == c:
            attempt = row.attempt + 1
            given = row._replace(state=State.ASSIGNED, attempt=attempt, worker=w, holder=c)
            knows = Memory((attempt, w), attempt, len(mind.ids), mind.ids)
            offer = Frame("offer", w, w, attempt, len(mind.ids), mind.ids)
            yield f"{c} gives it to {w}", _said(_mind(world, c, knows)._replace(row=given), c, offer)


def _comes(world: World, frame: Frame) -> Iterator[tuple[str, World]]:
    match frame.what:
        case "offer":
            hands = world.hands[frame.worker]
            if hands.attempt < frame.attempt:
                taken = Hands(hands.link, frame.attempt, frame.ids)
                yield f"the offer reaches {frame.worker}", _hand(world, frame.worker, taken)
        case "tokens" | "said" if frame.to == HERE and world.reader in ("whole", "made_anew"):
            return  # the log has its end
        case "tokens":
            mind = world.minds[frame.to]
            if mind.held == (frame.attempt, frame.worker) and frame.attempt == mind.attempt:
                heard = mind._replace(ids=_longer(mind, frame))
                yield "tokens come", _said(_mind(world, frame.to, heard), frame.to)
        case "said":
            mind = world.minds[frame.to]
            if mind.held is None and frame.attempt >= mind.attempt:
                told = mind._replace(attempt=frame.attempt, base=frame.base, ids=_longer(mind, frame))
                yield "the other coordinator says how far it is", _mind(world, frame.to, told)
        case _:
            yield from _done(world, frame)


def _longer(mind: Memory, frame: Frame) -> Ids:
    """The log with what a frame brings, if it goes on where the log is; a contradiction is dropped."""
    whole = mind.ids[: frame.base] + frame.ids if frame.what == "tokens" else frame.ids
    return whole if len(whole) > len(mind.ids) and whole[: len(mind.ids)] == mind.ids else mind.ids


def _done(world: World, frame: Frame) -> Iterator[tuple[str, World]]:
    """A result is taken up if the coordinator watches over the attempt, or the database says that the worker holds it; it
    counts if it is believed. A continued one cannot be judged where its earlier tokens are not known."""
    c, row, mind = frame.to, world.row, world.minds[frame.to]
    holds = believed(row, Event.COMPLETE, frame.attempt, frame.worker)
    if mind.held != (frame.attempt, frame.worker):
        if not holds or frame.base != (mind.base if mind.attempt == frame.attempt else 0):
            return
        row = row._replace(holder=c)
    base = mind.ids[: frame.base]
    if len(base) < frame.base:
        return
    freed = _mind(world, c, mind._replace(held=None))
    if holds:
        count = (*row.accepted, (frame.attempt, frame.worker))
        result = base + frame.ids
        row = row._replace(state=State.COMPLETED, result=result, accepted=count)
        if result[: len(mind.ids)] == mind.ids:
            freed = _mind(freed, c, freed.minds[c]._replace(ids=result))
    yield f"the result of {frame.worker} comes to {c}", freed._replace(row=row)


def _works(world: World, w: int) -> Iterator[tuple[str, World]]:
    hands = world.hands[w]
    if not hands.attempt:
        return
    base = len(hands.base)
    if base + len(hands.made) < LENGTH:
        made = (*hands.made, f"{w}.{hands.attempt}.{base + len(hands.made)}")
        told = Frame("tokens", hands.link, w, hands.attempt, base, made)
        yield f"{w} makes a token", _sent(_hand(world, w, hands._replace(made=made)), told)
    else:
        yield f"{w} signs", _sent(world, Frame("done", hands.link, w, hands.attempt, base, hands.made))


def _reads(world: World) -> Iterator[tuple[str, World]]:
    """The end is told to the reader: a proper one only if the result begins as what it read."""
    if world.reader == "reads" and world.row.state is State.COMPLETED:
        stands = world.row.result[: len(world.minds[HERE].ids)] == world.minds[HERE].ids
        yield "the reader is told the end", world._replace(reader="whole" if stands else "made_anew")


def _swept(world: World) -> Iterator[tuple[str, World]]:
    """The lease ran out: whoever sweeps moves the job, and its old coordinator need not know."""
    row, to = world.row, after(world.row.state, Event.LOSE, world.row.lost + 1)
    if to is not None:
        yield "the lease runs out", world._replace(row=row._replace(state=to, lost=row.lost + 1, worker=-1, holder=-1))


def _lost(world: World) -> Iterator[tuple[str, World]]:
    """A coordinator says of a worker that it is gone."""
    row, to = world.row, after(world.row.state, Event.LOSE, world.row.lost + 1)
    for c, mind in enumerate(world.minds):
        if mind.held is not None and to is not None and believed(row, Event.LOSE, *mind.held, c):
            back = row._replace(state=to, lost=row.lost + 1, worker=-1, holder=-1)
            yield f"{c} loses the worker", _mind(world, c, mind._replace(held=None))._replace(row=back)


def _is_renewed(world: World) -> bool:
    """Whether somebody prolongs the lease: a coordinator that watches over a worker that has the job, or will have."""
    row = world.row
    if row.worker < 0 or world.minds[row.holder].held != (row.attempt, row.worker):
        return False
    coming = any(f.what == "offer" and (f.worker, f.attempt) == (row.worker, row.attempt) for f in world.frames)
    return coming or world.hands[row.worker].attempt == row.attempt


def _ended(world: World, w: int) -> frozenset[Frame]:
    """What was on its way to a worker is gone with its connection; what it said itself may still come."""
    return frozenset(f for f in world.frames if not (f.what == "offer" and f.worker == w))


def _crashed(world: World, c: int) -> World:
    reader = "broken" if c == HERE and world.reader == "reads" else world.reader
    return _mind(world, c, Memory())._replace(reader=reader)


def _moved(world: World, w: int) -> Iterator[tuple[str, World]]:
    """A worker connects to the other coordinator; what it no longer holds it drops, else it says all of it again."""
    world = world._replace(frames=_ended(world, w))
    hands, row, to = world.hands[w], world.row, 1 - world.hands[w].link
    mind = world.minds[to]
    if not believed(row, Event.COMPLETE, hands.attempt, w):
        yield f"{w} moves and drops it", _hand(world, w, Hands(to))
        return
    known = mind.attempt == hands.attempt and len(mind.ids) >= len(hands.base)
    if hands.base and not known:
        return  # its earlier tokens are gone there: it is lost, as by the sweep
    mind = mind._replace(held=(hands.attempt, w), attempt=hands.attempt, base=len(hands.base))
    moved = _mind(_hand(world, w, hands._replace(link=to)), to, mind)._replace(row=row._replace(holder=to))
    again = Frame("tokens", to, w, hands.attempt, len(hands.base), hands.made)
    yield f"{w} moves with it", _sent(moved, again)


def _said(world: World, c: int, *more: Frame) -> World:
    """A coordinator tells the one with the reader how far the job is."""
    mind = world.minds[c]
    told = () if c == HERE else (Frame("said", HERE, -1, mind.attempt, mind.base, mind.ids),)
    return _sent(world, *told, *more)


def _sent(world: World, *frames: Frame) -> World:
    return world._replace(frames=world.frames | set(frames))


def _mind(world: World, c: int, mind: Memory) -> World:
    one, other = world.minds
    return world._replace(minds=(mind, other) if c == 0 else (one, mind))


def _hand(world: World, w: int, hands: Hands) -> World:
    one, other = world.hands
    return world._replace(hands=(hands, other) if w == 0 else (one, hands))
