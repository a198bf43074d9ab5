"""Who is free and who may do what: kept as workers and slots come and go, it is what looking at all of them would give."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hypothesis import given, strategies as st

from coordinator.dispatch.attempts import Attempt, Stage
from coordinator.dispatch.hub import Hub
from coordinator.match import free as frees
from coordinator.match.free import Free, Taking
from coordinator.match.roster import MOST_CHANGES, Roster
from coordinator.match.rules import ModelFacts
from coordinator.match.score import Bench, fit, rank, stand
from shared.geo.cells import at
from tests.pure.test_assign import job
from tests.pure.test_rules import BERLIN, KIND, ROME, kind, worker

PKS = "abcdef"
MODELS = {name: ModelFacts("00" * 32, 2048, loaded=True) for name in ("m", "n")}
pks_ = st.sets(st.sampled_from(PKS))
benches_ = st.fixed_dictionaries(
    {pk: st.builds(Bench, st.integers(1, 3), st.integers(0, 3), st.integers(0, 2)) for pk in PKS}
)


@given(benches_, st.lists(st.tuples(pks_, pks_), max_size=10), pks_, st.sampled_from([0, frees.FEW]))
def test_who_stands_foremost_is_the_least_of_those_with_a_free_slot(
    benches: dict[str, Bench], looks: list[tuple[set[str], set[str]]], rests: set[str], few: int
) -> None:
    free, left = Free(lambda pk: pk not in rests), dict(benches)
    for pk, bench in benches.items():
        free.put(pk, bench, ["m"])
    taking = Taking(free)
    sets = {frozenset(members): members for members, _ in looks}  # one set for all that ask for the same
    with patch.object(frees, "FEW", few):
        for members, but in looks:
            may = [pk for pk in members - but - rests if left[pk].taken < left[pk].slots]
            best = min(((stand(left[pk]), pk) for pk in may), default=(None, None))[1]
            assert taking.first(sets[frozenset(members)], but) == best
            if best is not None:
                taking.take(best)
                left[best] = Bench(left[best].slots, left[best].taken + 1, left[best].last_ms)
            slots = sum(max(0, bench.slots - bench.taken) for bench in left.values())
            assert (taking.left, taking.of_model["m"]) == (slots, slots)


class Scene:
    """A hub with sessions and attempts that are no more than what it reads of them."""

    def __init__(self) -> None:
        self.hub, self.now, self.attempts = Hub(), 0, list[Attempt]()

    def join(self, pk: str, number: int) -> None:
        """It supersedes its older session."""
        models = {name: MODELS[name] for name in ("m", "n")[number % 2 :]}
        facts = worker(pk=pk, slots=1 + number, models=models)
        session: Any = SimpleNamespace(
            pk=pk, facts=facts, closing=None, rests_until=0, last_job_at=0, record=0, number=1, close=lambda *_: None
        )
        self.hub.join(session)

    def change(self, pk: str, number: int) -> None:
        """More slots, or fewer."""
        if session := self.hub.session_of(pk):
            self.hub.changed(session, worker(pk=pk, slots=1 + number, models=MODELS))

    def leave(self, pk: str, _: int) -> None:
        """It is gone, its attempts are not."""
        if session := self.hub.session_of(pk):
            self.hub.leave(session)

    def rest(self, pk: str, number: int) -> None:
        """It declined."""
        if session := self.hub.session_of(pk):
            session.rests_until = self.now + number

    def close(self, pk: str, _: int) -> None:
        """It is about to go."""
        if session := self.hub.session_of(pk):
            session.closing = "why"  # type: ignore[assignment]  # only that it is something counts

    def give(self, pk: str, _: int) -> None:
        """It gets a job, as a round gives it."""
        body = SimpleNamespace(worker_pk=pk, attempt=1)
        attempt = Attempt(job(), SimpleNamespace(body=body), 0, 0, 0)  # type: ignore[arg-type]  # see above
        self.attempts.append(attempt)
        self.hub.attempts.add(attempt)
        if session := self.hub.session_of(pk):
            session.last_job_at = self.now

    def end(self, _: str, number: int) -> None:
        """An attempt is over, and later gone."""
        if self.attempts:
            self.attempts[number % len(self.attempts)].stage = Stage.OVER

    def remove(self, _: str, number: int) -> None:
        """An attempt is gone."""
        if self.attempts:
            self.hub.attempts.remove(self.attempts[number % len(self.attempts)])

    def tick(self, _: str, number: int) -> None:
        """Time passes."""
        self.now += number


STEPS = ("join", "change", "leave", "rest", "close", "give", "end", "remove", "tick")


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(PKS), st.integers(0, 3)), max_size=40))
def test_the_free_workers_are_those_that_all_benches_would_show(steps: list[tuple[str, str, int]]) -> None:
    scene = Scene()
    for pk in PKS[:3]:
        scene.join(pk, 1)
    for step, pk, number in steps:
        getattr(scene, step)(pk, number)
        free = scene.hub.free(scene.now)
        plain = {pk: b for pk, b in scene.hub.benches(scene.now).items() if b.taken < b.slots}
        assert {pk: bench for pk, bench in free.benches.items() if free.takes(pk)} == plain
        assert free.order == sorted((stand(bench), pk) for pk, bench in free.benches.items())
        assert free.slots == sum(bench.slots - bench.taken for bench in free.benches.values())
        for model in ("m", "n"):
            of_model = {pk for pk in free.benches if model in scene.hub.sessions[pk].facts.models}
            slots = sum(free.benches[pk].slots - free.benches[pk].taken for pk in of_model)
            assert free.of_model.get(model, 0) == slots
            assert (model in free.of_model) == (slots > 0)


KINDS = (
    KIND, kind(id=2, model="n"), kind(id=3, cell=ROME), kind(id=4, min_tier=3), kind(id=5, model="none"),
    kind(id=6, cell=BERLIN, strict=True), kind(id=7, cell=at(ROME, 6)), kind(id=8, cell=at(ROME, 4)),
)  # fmt: skip
facts_ = st.builds(
    lambda pk, tier, cell, names: worker(pk=pk, tier=tier, cell=cell, models={name: MODELS[name] for name in names}),
    st.sampled_from(PKS), st.integers(0, 4), st.sampled_from([ROME, BERLIN]), st.sets(st.sampled_from(("m", "n"))),
)  # fmt: skip


@given(
    st.lists(st.one_of(facts_, st.sampled_from(PKS), st.sampled_from(KINDS)), max_size=40),
    st.sampled_from([1, MOST_CHANGES]),
)
def test_who_may_do_a_kind_is_what_the_rules_say_of_all_who_are_online(steps: list[Any], changes: int) -> None:
    roster, online = Roster(), dict[str, Any]()
    with patch("coordinator.match.roster.MOST_CHANGES", changes):
        for step in steps:
            if isinstance(step, str):
                roster.drop(step)
                online.pop(step, None)
            elif step in KINDS:
                fits = {pk: found for pk, facts in online.items() if (found := fit(facts, step)) is not None}
                told = roster.fits(step)
                assert told.workers == fits
                assert [(place, pk) for place, pks in told.ranks() for pk in sorted(pks)] == sorted(
                    (rank(found), pk) for pk, found in fits.items()
                )
                assert told.own == any(found.own for found in fits.values())
                assert told.weak == {pk for pk, found in fits.items() if found.weak}
            else:
                roster.put(step)
                online[step.pk] = step


def test_who_has_just_left_stays_known_until_the_register_says_so() -> None:
    scene = Scene()
    scene.join("a", 0)
    scene.leave("a", 0)
    scene.hub.register([])
    assert scene.hub.facts_of("a") is not None, "the register still has it as being here, and leaves it out"
    scene.hub.left.clear()
    scene.hub.register([])
    assert scene.hub.facts_of("a") is None
    scene.join("b", 0)
    scene.hub.strike_off("b")
    scene.hub.register([])
    scene.leave("b", 0)
    scene.hub.register([])
    assert scene.hub.facts_of("b") is None, "it has left for good"
