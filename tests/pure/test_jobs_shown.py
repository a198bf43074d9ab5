"""Jobs and the swarm as people see them, and what a watched job is known to do."""

import io
import json
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
import pytest
from rich.console import Console, RenderableType

from client.events import Done, Event, Failed, Moved, ServingWorker, Token
from client.given import MOST_TEXT, question
from client.hive import AsyncHive, Hive
from client.jobs.board import Board
from client.jobs.lines import event_json, event_line
from client.jobs.naming import named
from client.jobs.shown import age, detailed, listed
from client.jobs.using import used
from client.jobs.watched import Watched
from client.jobs.watching import rest
from client.shapes.account import Balance, Budget, Used
from client.shapes.jobs import Job, JobPage
from client.shapes.swarm import SwarmStatus
from client.status.shown import shown
from shared.errors import HiveError, JobFailed, NotFound, RequestError
from tests.pure.test_chat_lines import MODEL, worker
from tests.pure.test_client import JOB, JOB_ID

NOW = datetime(2026, 1, 2, tzinfo=UTC)
WORKER = ServingWorker("cd" * 32, "@kitchen", "841e805ffffffff", ["IT"], "seedling")


def job(**different: Any) -> Job:
    return msgspec.convert({**JOB, **different}, Job)


def text(shown_: RenderableType, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown_)
    return cast(io.StringIO, console.file).getvalue()


def test_jobs_are_listed_with_what_tells_them_apart() -> None:
    one = job(created_at="2026-01-01T23:59:30.000Z", status="timed_out", model_id="evil\x1b[2J")
    table = text(listed([one, job(tokens_per_second=None)], NOW))
    assert table.splitlines()[1].split() == ["11111111", "timed", "out", "evil[2J", "3", "2", "2", "0.001", "30", "s"]
    assert "–" in table.splitlines()[2]
    assert "hive jobs submit" in text(listed([], NOW))


@pytest.mark.parametrize(
    ("since", "told"),
    [
        ("2026-01-01T23:59:59.500Z", "0 s"),
        ("2026-01-01T23:58:00Z", "2 min"),
        ("2026-01-01T20:00:00Z", "4 h"),
        ("2025-12-25T00:00:00Z", "8 d"),
        ("2026-01-03T00:00:00Z", "0 s"),
        ("yesterday", ""),
        ("2026-01-01T00:00:00", ""),
        (None, ""),
    ],
)
def test_an_age_is_told_in_its_largest_unit(since: str | None, told: str) -> None:
    assert age(since, NOW) == told


def test_a_job_is_told_with_all_that_matters() -> None:
    failed = job(status="failed", error={"message": "It broke.\x07"}, parked=True, attempts=3, jurisdiction="EU")
    told = text(detailed(failed))
    for words in (
        "failed",
        "It broke.",
        "attempts  3",
        "wanted in  EU",
        "waits",
        "0.001 GNS",
        "3 in, 2 of 9 out at 2 tokens/s",
    ):
        assert " ".join(words.split()) in " ".join(told.split())
    assert "\x07" not in told


def test_a_watched_job_is_told_by_its_events() -> None:
    watched = Watched(job(status="pending", tokens_generated=0, worker_pk=None))
    assert watched.sentence() == "pending"
    watched.take(Moved("computing", 2, WORKER), 0.0)
    watched.take(Token(9, "many", 10), 1.0)
    assert watched.sentence() == "computing by @kitchen · IT, cell 841e805ffffffff · attempt 2 · 10 of 9 tokens"
    watched.take(Token(29, "x", 1), 3.0)
    assert watched.speed == "10"
    watched.take(Token(30, "x", 1), 3.1)
    assert watched.tokens == 31
    watched.take(Moved("pending", 2, None), 4.0)
    assert watched.worker == "@kitchen"
    watched.take(Done(job()), 5.0)
    assert watched.has_ended
    assert (watched.tokens, watched.speed) == (2, "2")


def test_what_was_there_before_is_no_speed() -> None:
    watched = Watched(job(status="computing"))
    for index in range(100):
        watched.take(Token(index, "x", 1), 10.0 + index / 10_000)
    assert watched.speed == ""
    for tick in range(1, 31):
        watched.take(Token(100 + tick, "x", 1), 10.0 + tick)
    assert watched.speed == "1"


def test_events_are_lines_of_json_or_words() -> None:
    failed = Failed(job(status="cancelled", error={"code": "job_failed"}), JobFailed("It was\x1b so."))
    events: list[Event] = [Moved("assigned", 1, WORKER), Token(0, "é", 1), Done(job()), failed]
    told = [json.loads(event_json(JOB_ID, event)) for event in events]
    assert [one["event"] for one in told] == ["status", "token", "done", "error"]
    assert {one["job_id"] for one in told} == {str(JOB_ID)}
    assert told[0]["worker"]["handle"] == "@kitchen"
    assert told[3]["error"] == {"code": "job_failed"}
    assert [event_line(JOB_ID, event).removeprefix(f"{JOB_ID} ") for event in events] == [
        "assigned by @kitchen", "", "completed, 2 tokens", "cancelled: It was so.",
    ]  # fmt: skip


def test_what_of_a_result_was_not_said_is_said_at_its_end() -> None:
    assert rest("One", "One two") == " two"
    assert rest("", "One") == "One"
    assert rest("One", "Another").endswith("\nAnother")


def hive(*jobs: Job) -> Hive:
    return cast(Hive, SimpleNamespace(jobs=lambda limit: JobPage(list(jobs), None)))


def test_a_job_may_be_named_by_its_beginning() -> None:
    first, other = job(id="1a2b3c4d-1111-8111-8111-111111111111"), job(id="1a2b9999-1111-8111-8111-111111111111")
    for name in (str(first.id), first.id.hex, "1a2b3c4d", "hive-1A2B3C4D", "1a2b3"):
        assert named(hive(first, other), name) == first.id
    wrong: dict[str, tuple[type[HiveError], str]] = {
        "1a2b": (RequestError, "2 jobs begin"),
        "1a2": (RequestError, "is no job's id"),
        "ffff": (NotFound, "None of the last"),
    }
    for name, (kind, says) in wrong.items():
        with pytest.raises(kind, match=says):
            named(hive(first, other), name)


def test_what_was_used_is_told_with_sums() -> None:
    budget = Budget(Decimal(5), Decimal(0), Decimal(1), Decimal(4), None)
    balance = Balance(Decimal(10), Decimal(0), Decimal(1), Decimal(9), budget)
    rows = [Used(2, 10, 0, 1000, "0.5000000", model="a"), Used(1, 5, 5, 234, "0.0000001", model="b")]
    told = text(used(rows, balance))
    assert told.splitlines()[3].split() == ["in", "all", "3", "15", "5", "1,234", "0.5000001"]
    assert "left 9 GNS · this key may still spend 4 GNS" in told
    assert "in all" not in text(used(rows[:1], balance))
    assert "Nothing was used" in text(used([], balance))


def test_the_swarm_is_told_by_country_and_an_empty_one_without_tables() -> None:
    status = SwarmStatus(
        3, 1.5, 1, 8.0, 3, Decimal("1.5"), {"completed": 4, "failed": 1, "timed_out": 1}, 1, 2, 0.5, 4, 1, "none"
    )
    workers = [worker("IT"), worker("IT"), worker("DE", "FR"), worker("US", online=False)]
    told = text(shown("http://hive.test", status, [MODEL], workers))
    for words in (
        "3 online of 4, 1 computing",
        "4 completed, 2 failed",
        "seer   loaded",
        "IT             2",
        "DE/FR",
        "1.5 GNS",
    ):
        assert words in told
    assert "US" not in told
    assert "model" not in text(shown("http://hive.test", status, [], []))


@pytest.mark.parametrize(
    ("words", "piped", "asked"),
    [("One?", None, "One?"), ("One?", b" two\n", "One?\n\ntwo"), ("", b"two\n", "two"), ("One?", b"", "One?")],
)
def test_what_is_piped_in_goes_below_the_words(
    words: str, piped: bytes | None, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None if piped is None else io.TextIOWrapper(io.BytesIO(piped)))
    assert question(words) == asked


@pytest.mark.parametrize(
    ("piped", "says"), [(b"", "nothing to ask"), (b"\xff", "not UTF-8"), (b"x" * (MOST_TEXT + 1), "512.0 kB")]
)
def test_what_cannot_be_asked_is_told(piped: bytes, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
    with pytest.raises(RequestError, match=says):
        question("")


class Script:
    """A Hive whose jobs end when they are told to; its events come from a list, or fail."""

    def __init__(self, jobs: list[Job], events: Callable[[UUID], list[Event]]) -> None:
        self.all = {one.id: one for one in jobs}
        self._events = events

    async def jobs(self, *, status: str, limit: int) -> JobPage:
        return JobPage([one for one in self.all.values() if one.status == status][:limit], None)

    async def job(self, job_id: UUID) -> Job:
        return self.all[job_id]

    async def events(self, job_id: UUID) -> AsyncIterator[Event]:
        told = self._events(job_id)
        if not told:
            raise NotFound("There is no such job.")
        for event in told:
            yield event
        self.all[job_id] = msgspec.structs.replace(self.all[job_id], status="completed")


async def test_the_board_follows_what_has_not_ended_until_all_has() -> None:
    jobs = [job(id=str(uuid4()), status="computing") for _ in range(3)] + [job(id=str(uuid4()))]
    script = Script(jobs, lambda job_id: [Moved("computing", 1, WORKER), Done(job(id=str(job_id)))])
    told: list[UUID] = []
    board = Board(cast(AsyncHive, script), lambda job_id, _: told.append(job_id))
    await board.run()
    assert {told.count(one.id) for one in jobs[:3]} == {2}
    assert jobs[3].id not in told
    assert text(board.table(10)).count("completed") == 3
    assert "and 2 more" in text(board.table(1))


async def test_a_job_whose_events_cannot_be_read_is_told_by_the_list() -> None:
    one = job(status="pending")
    script = Script([one], lambda _: [])
    board = Board(cast(AsyncHive, script), lambda *_: None)
    tasks: set[Any] = set()
    assert await board.look(tasks)
    for task in list(tasks):
        await task
    script.all[one.id] = msgspec.structs.replace(one, status="cancelled")
    assert not await board.look(tasks)
    assert "cancelled" in text(board.table(5))


async def test_an_idle_swarm_has_an_empty_board() -> None:
    board = Board(cast(AsyncHive, Script([], lambda _: [])), lambda *_: None)
    assert "looking" in text(board.table(5))
    await board.run()
    assert "No job is waiting" in text(board.table(5))
