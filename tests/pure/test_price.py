"""What a job may cost, how much room it has, and what its row says."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st

from coordinator.match.needs import PER, Need, least
from coordinator.settle.split import split
from coordinator.store.callers import KeyRow
from coordinator.store.rows import Kind, KindSpec, NewJob
from coordinator.submit.placement import Placement
from coordinator.submit.prepare import ENTROPY, Planned, Size, kind_of, known_model, new_jobs, room
from coordinator.submit.price import LEAST, cost
from coordinator.submit.request import JobRequest, Submission
from shared.errors import Forbidden, RequestError, TooLarge
from shared.ids import day_of
from tests.swarm.http_hive import CONTEXT, MODEL, entry

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = KeyRow(
    id=UUID(int=1), account_id=UUID(int=2), name="", plan=None, prefix="", budget=None, models=None,
    created_at=NOW, revoked_at=None,
)  # fmt: skip
KIND = Kind(
    id=3, model=MODEL, region="", countries=None, cell=None, strict=False, min_tier=0, min_evidence=0, context=256
)
ASKED = Submission((JobRequest(MODEL, prompt="x"),), Placement(), "hive")


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_the_price_is_by_tokens_rounded_up_and_never_below_the_least(tokens_in: int, tokens_out: int) -> None:
    stroops = cost(entry(), tokens_in, tokens_out, None)
    exact = tokens_in * 100 + tokens_out * 200
    assert stroops == max(LEAST, exact)
    assert cost(entry(), tokens_in, tokens_out, 7) == 7


def test_a_price_that_is_no_whole_stroop_is_rounded_up() -> None:
    odd = msgspec.structs.replace(entry(), price_in=1, price_out=0)
    assert cost(odd, 10_000 * 1_000_000 + 1, 0, None) == 10_001


@pytest.mark.parametrize(
    ("tokens_in", "asked", "left"),
    [(10, 5, 5), (10, None, CONTEXT - 10), (10, 10**9, CONTEXT - 10), (CONTEXT - 1, None, 1), (0, None, 2048)],
)
def test_the_room(tokens_in: int, asked: int | None, left: int) -> None:
    assert room(tokens_in, asked, entry()) == left


def test_unasked_is_at_most_2048() -> None:
    assert room(10, None, msgspec.structs.replace(entry(), context=100_000)) == 2048


@pytest.mark.parametrize("tokens_in", [CONTEXT, CONTEXT + 1])
def test_a_prompt_that_does_not_fit_is_refused(tokens_in: int) -> None:
    with pytest.raises(RequestError) as caught:
        room(tokens_in, 1, entry())
    assert caught.value.code == "context_length_exceeded"


def asking(model: str) -> Submission:
    return Submission(requests=(JobRequest(model=model, prompt="Hello"),), placement=Placement(), source="v1")


def test_models_are_known_and_allowed() -> None:
    catalogue = {MODEL: entry()}
    assert known_model(asking(MODEL), catalogue, KEY) is catalogue[MODEL]
    with pytest.raises(RequestError) as unknown:
        known_model(asking("gpt-7"), catalogue, KEY)
    assert (unknown.value.code, unknown.value.param) == ("invalid_model", "model")
    with pytest.raises(RequestError) as unknown:
        known_model(msgspec.structs.replace(asking("gpt-7"), source="hive"), catalogue, KEY)
    assert unknown.value.param == "model_id"
    with pytest.raises(Forbidden) as barred:
        known_model(asking(MODEL), catalogue, msgspec.structs.replace(KEY, models=["other"]))
    assert barred.value.code == "model_not_allowed"


def test_a_kind_holds_prompt_and_answer() -> None:
    assert kind(200, 100).context == 512
    assert kind(CONTEXT - 1, 1).context == CONTEXT
    placed = kind(placement=Placement(region="EU", countries=frozenset({"IT", "DE"})))
    assert placed.countries == ("DE", "IT")


def kind(tokens_in: int = 1, max_tokens: int = 1, *, owns: bool = False, **asked: Any) -> KindSpec:
    different = msgspec.structs.replace(ASKED, **asked)
    return kind_of(
        different, entry(), Size(tokens_in, max_tokens, tokens_in + max_tokens), account_id=KEY.account_id, owns=owns
    )


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        ({}, 0),
        ({"seed": "7"}, Need.SEEDED),
        ({"placement": Placement(seeded=True)}, Need.SEEDED),
        ({"placement": Placement(own=True)}, Need.OWN),
        ({"placement": Placement(own=True), "seed": "7"}, Need.OWN | Need.SEEDED),
        ({"requests": (JobRequest(MODEL, prompt="x", tools="[]"),)}, Need.SEEDED),
        ({"requests": (JobRequest(MODEL, prompt="x", response_format="{}"),)}, Need.SEEDED),
        ({"requests": (JobRequest(MODEL, prompt="x", logit_bias={"1": 5}),)}, Need.SEEDED),
        ({"requests": (JobRequest(MODEL, prompt="x", logprobs=0),)}, Need.SEEDED),
    ],
)
def test_what_only_our_own_engine_does_is_needed(asked: dict[str, Any], needs: int) -> None:
    assert kind(**asked).needs == needs


def test_an_account_without_workers_makes_no_kinds_of_its_own() -> None:
    assert kind().owner is None
    assert kind(owns=True).owner == KEY.account_id
    assert kind(placement=Placement(own=True)).owner == KEY.account_id


@given(st.integers(0, 2**53), st.integers(1, 10**6))
def test_a_kind_never_promises_more_than_its_jobs_pay_and_at_least_half(reward: int, max_tokens: int) -> None:
    pays = split(reward).worker * PER // max_tokens
    promised = least(kind(1, max_tokens, reward=reward).price)
    assert promised <= pays
    assert pays < 2 * promised or not pays


def rows(asked: Submission = ASKED, tokens_in: int = 5, max_tokens: int = 100) -> tuple[NewJob, ...]:
    """The jobs of a submission, its entropy the numbers from 0 on."""
    planned = [Planned(request, tokens_in, max_tokens, KIND) for request in asked.requests]
    entropy = bytes(n % 251 for n in range(ENTROPY * (1 + len(planned) * asked.n)))
    return new_jobs(asked, planned, key=KEY, entry=entry(), now=NOW, entropy=entropy)


def test_the_row_of_a_job() -> None:
    (row,) = rows()
    assert (row.hold, row.reward, row.deadline_at) == (20_500, None, NOW + timedelta(hours=24))
    assert (row.seed, row.salt) == (bytes(range(16, 32)).hex(), bytes(range(96, 128)).hex())
    assert day_of(row.id) == NOW.date()
    assert msgspec.json.decode(row.request, type=JobRequest) == ASKED.request
    assert not msgspec.json.decode(row.request, type=JobRequest).fresh
    (seeded,) = rows(msgspec.structs.replace(ASKED, seed="42", reward=0), max_tokens=1)
    assert (seeded.seed, seeded.hold) == ("42", 0)
    assert msgspec.json.decode(seeded.request, type=JobRequest).fresh


def test_a_large_prompt_is_not_answered_very_often_at_once() -> None:
    large = JobRequest(model=MODEL, prompt="x" * (2 << 20))
    often = msgspec.structs.replace(ASKED, requests=(large,), n=31)
    jobs = rows(often)
    assert len({id(job.request) for job in jobs}) == 1, "one text for all of them"
    with pytest.raises(TooLarge):
        rows(msgspec.structs.replace(often, n=32))


def test_several_answers_have_one_parent_and_pay_for_each_prompt_once() -> None:
    several = rows(msgspec.structs.replace(ASKED, requests=ASKED.requests * 2, n=2, seed="42"))
    assert [(job.choice, job.copy) for job in several] == [(0, False), (1, True), (2, False), (3, True)]
    assert len({job.parent for job in several}) == 1
    assert len({job.id for job in several} | {several[0].parent}) == 5
    assert [job.hold for job in several] == [20_500, 20_000, 20_500, 20_000]
    assert several[0].seed == "42"
    assert several[1].seed == hashlib.sha256(b"421").hexdigest()
    assert len({job.seed for job in several} | {job.salt for job in several}) == 8
    assert rows()[0].parent is None
