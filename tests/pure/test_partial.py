"""What a job costs that ended before it was whole: pro rata, to its worker by its own part, and never beyond the hold."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st

from coordinator.dispatch.channel import Channel, WorkerPublic
from coordinator.queue.lifecycle import State
from coordinator.settle.partial import Delivered, Made, Part
from coordinator.store.changes import Live
from coordinator.submit.price import LEAST, cost
from shared.catalogue import Entry

WORKER, OTHER, JOB = "aa" * 32, "bb" * 32, UUID(int=7)
ENTRY = Entry(
    id="m", digest="ab" * 32, path=Path("m.gguf"), context=4096, size_bytes=1000, price_in=100_000_000,
    price_out=900_000_000, owned_by="tests", created=0, quantization="none", architecture="none", licence="none", note="",
)  # fmt: skip
LIVE = Live(
    id=JOB, state=State.COMPUTING, attempt=2, worker_pk=WORKER, account_id=UUID(int=1), key_id=UUID(int=2), model="m",
    source="v1", priority="interactive", created_at=datetime.min.replace(tzinfo=UTC), assigned_at=None,
    tokens_in=50, max_tokens=100, hold=1_000_000, reward=None, copy=False, at_once=None, lost=0, store=False, attached=True,
    due_at=datetime.max.replace(tzinfo=UTC), lease_until=None, reader_until=None,
)  # fmt: skip


def part(made: Made | None, **different: Any) -> Part:
    known = {} if made is None else {JOB: made}
    return Delivered(known, {"m": ENTRY}).part(msgspec.structs.replace(LIVE, **different))


def test_by_the_price_of_the_model_the_prompt_and_what_was_made_are_paid() -> None:
    made = Made(2, WORKER, 40, 10)
    assert part(made) == Part(40, (10, 40), 50 * 100 + 40 * 900, WORKER, 50)
    assert part(Made(2, WORKER, 1, 1)).cost == LEAST
    assert part(made, copy=True).cost == 40 * 900
    assert part(made, hold=7).cost == 7
    assert part(made, model="one that is gone").cost == 0


def test_what_images_are_held_for_is_not_paid_before_a_result_tells_it() -> None:
    seen = part(Made(2, WORKER, 40, 10, held=30))
    assert (seen.tokens_in, seen.cost) == (20, 20 * 100 + 40 * 900)


def test_of_a_named_reward_the_part_is_paid_that_was_made() -> None:
    for tokens, paid in ((1, 12), (40, 499), (100, 1249)):
        assert part(Made(2, WORKER, tokens, tokens), reward=1249, hold=1249).cost == paid
    assert part(Made(2, WORKER, 40, 40), reward=0, hold=0) == Part(40, (40, 40), 0, WORKER, 50)


@pytest.mark.parametrize("made", [None, Made(2, WORKER, 0, 0)])
def test_what_nobody_got_a_token_of_costs_nothing(made: Made | None) -> None:
    assert part(made) == part(made, reward=1000, hold=1000) == Part()


@pytest.mark.parametrize(
    ("different", "payee"),
    [
        ({"attempt": 3, "worker_pk": OTHER}, OTHER),
        ({"attempt": 3}, WORKER),
        ({"state": State.PENDING, "worker_pk": None}, WORKER),
    ],
)
def test_a_worker_is_paid_for_tokens_of_its_own_attempt_alone(different: dict[str, Any], payee: str) -> None:
    assert part(Made(2, WORKER, 40, 10), **different) == Part(40, (0, 40), 41_000, payee, 50)


@given(st.integers(0, 10**9), st.integers(1, 4000), st.integers(0, 4000), st.booleans())
def test_it_is_never_more_than_the_whole_and_grows_with_what_was_made(
    reward: int, most: int, made: int, named: bool
) -> None:
    made = min(made, most)
    terms: dict[str, Any] = {"reward": reward if named else None, "max_tokens": most}
    terms["hold"] = cost(ENTRY, LIVE.tokens_in, most, terms["reward"])
    costs = [part(Made(2, WORKER, n, n), **terms).cost for n in sorted({0, made // 2, made, most})]
    assert costs == sorted(costs)
    assert costs[0] == 0
    assert costs[-1] == terms["hold"]


def test_a_channel_counts_what_it_relayed() -> None:
    log, first = Channel(JOB), WorkerPublic(WORKER, None, "841e805ffffffff", ["IT"], "seedling")
    second = msgspec.structs.replace(first, pk=OTHER)
    log.assigned(1, first)
    log.tokens(1, 0, [1, 2], "ab")
    assert log.made == Made(1, WORKER, 2, 2)
    log.assigned(2, second)
    assert log.made == Made(2, OTHER, 2, 0)
    log.tokens(2, 2, [3], "c")
    assert log.made == Made(2, OTHER, 3, 1)
    log.tokens(2, 1, [9], "z")
    assert log.made == Made(2, OTHER, 3, 1)


@pytest.mark.parametrize("read", [True, False])
def test_a_rejected_result_is_not_paid_for_though_it_was_read(read: bool) -> None:
    log = Channel(JOB)
    worker = WorkerPublic(WORKER, None, "841e805ffffffff", ["IT"], "seedling")
    log.assigned(1, worker)
    log.tokens(1, 0, [1, 2], "ab")
    log.assigned(2, worker)
    log.tokens(2, 2, [3, 4, 5], "cde")
    assert log.rewind(len(log.events) if read else 0) is not read
    assert log.made == Made(2, WORKER, 2, 0)
    log.assigned(3, worker)
    assert log.made.attempt == 3
