"""The client over a scripted network: what it sends, what it makes of failures, when it tries again, and how it follows."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from client import AsyncHive, Hive
from client.events import Done, EventReader, Failed, Moved, Token
from client.failures import Unreachable
from client.retries import pause_s
from shared.errors import Conflict, HiveError, JobFailed, JobTimeout, NotFound, RequestError, Unauthorized, Unavailable

URL = "http://hive.test"
JOB_ID = UUID("11111111-1111-8111-8111-111111111111")
JOB: dict[str, Any] = {
    "id": str(JOB_ID), "status": "completed", "model_id": "hive-nano", "h3_cell": None, "jurisdiction": None,
    "priority": "interactive", "created_at": None, "assigned_at": None, "first_token_at": None, "completed_at": None,
    "deadline_at": None, "queue_ms": 1, "run_ms": 2, "worker_pk": "ab", "worker_handle": None, "worker_cell": None,
    "attempts": 1, "tokens_in": 3, "cached_tokens": 0, "max_tokens": 9, "tokens_generated": 2, "tokens_per_second": 1.5,
    "result_text": "Hi", "finish_reason": "stop", "error": None, "gns_reward": None, "gns_cost": 0.001, "settled": False,
    "stellar_tx_hash": None, "receipt_url": None, "seed": "1", "salt": "s", "store": False, "parent_id": None, "children": [],
    "parked": False, "message": None,
}  # fmt: skip
CREATED = {"job_id": str(JOB_ID), "status": "pending", "h3_cell": None, "created_at": "now"}

ROOT = Path(__file__).parents[2]
LARGE = ("openai", "httpx", "httpx2", "prompt_toolkit", "rich.markdown", "asyncio")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HIVE_HOME", str(tmp_path))
    for name in ("HIVE_BASE_URL", "HIVE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


class Network:
    """Answers in turn with what it was given, and notes what was asked and how long was waited."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.waited: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hive(self, **options: Any) -> Hive:
        http = httpx.Client(transport=httpx.MockTransport(self))
        return Hive(URL, "key", http=http, sleep=self.waited.append, **options)

    def async_hive(self) -> AsyncHive:
        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)

        return AsyncHive(URL, "key", http=httpx.AsyncClient(transport=httpx.MockTransport(self)), sleep=sleep)


def answer(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    error = {"message": f"{code}.", "type": "t", "param": "p", "code": code, "details": {"n": 1}}
    return answer({"error": error}, status, x_request_id="req_1", **headers)


def event(name: str, data: Any, id_: int | None = None) -> bytes:
    head = f"event: {name}\n" + (f"id: {id_}\n" if id_ is not None else "")
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Pieces of a stream, that may end in a break."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def stream(*pieces: bytes | Exception) -> httpx.Response:
    return httpx.Response(200, stream=Stream(*pieces))


def test_a_job_is_submitted_with_the_key_and_with_what_was_given_alone() -> None:
    network = Network(answer(CREATED, 201))
    created = network.hive().submit(model_id="hive-nano", prompt="Hi", gns_reward=Decimal("0.5"))
    assert created.job_id == JOB_ID
    (asked,) = network.asked
    assert (asked.method, str(asked.url)) == ("POST", f"{URL}/hive/jobs")
    assert asked.headers["authorization"] == "Bearer key"
    sent = json.loads(asked.content)
    assert len(sent.pop("idempotency_key")) == 32
    assert sent == {"model_id": "hive-nano", "prompt": "Hi", "gns_reward": 0.5}


def test_each_submission_is_another_job_and_each_try_of_one_the_same() -> None:
    busy = refusal(503, "no_workers", retry_after="1")
    network = Network(httpx.ReadTimeout("cut"), busy, answer(CREATED, 201), answer(CREATED, 201))
    hive = network.hive()
    hive.submit(model_id="m", prompt="Hi")
    hive.submit(model_id="m", prompt="Hi")
    keys = [json.loads(asked.content)["idempotency_key"] for asked in network.asked]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert 0.375 <= network.waited[0] <= 0.5
    assert network.waited[1] == 1


async def test_the_async_client_does_the_same() -> None:
    network = Network(httpx.ConnectError("no"), answer(JOB), answer({"data": [JOB], "next_cursor": None}))
    async with network.async_hive() as hive:
        assert (await hive.job(JOB_ID)).gns_cost == Decimal("0.001")
        page = await hive.jobs(status="completed", limit=3)
    assert page.data[0].has_ended
    assert dict(network.asked[2].url.params) == {"status": "completed", "limit": "3"}
    assert len(network.waited) == 1


def test_what_is_not_safe_is_not_sent_twice() -> None:
    for broken in (httpx.ReadError("cut"), refusal(500, "internal_error")):
        network = Network(broken, answer(JOB))
        with pytest.raises(HiveError):
            network.hive().cancel(JOB_ID)
        assert len(network.asked) == 1
    network = Network(httpx.ConnectError("nobody there"), answer(JOB))
    assert network.hive().cancel(JOB_ID).id == JOB_ID
    assert network.asked[0].method == "DELETE"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_model", RequestError),
        (401, "unauthorized", Unauthorized),
        (404, "not_found", NotFound),
        (409, "not_cancellable", Conflict),
        (451, "something_new", RequestError),
        (502, "job_failed", JobFailed),
        (503, "no_workers", Unavailable),
        (504, "job_timeout", JobTimeout),
        (599, "something_else", HiveError),
    ],
)
def test_a_failure_is_the_error_of_its_status(status: int, code: str, kind: type[HiveError]) -> None:
    network = Network(refusal(status, code, x_should_retry="false"))
    with pytest.raises(kind) as raised:
        network.hive().status()
    error = raised.value
    assert (error.code, error.param, error.details, error.request_id) == (code, "p", {"n": 1}, "req_1")
    assert error.message == f"{code}."
    assert len(network.asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b"[" * 3000, b'{"error": "x"}'])
@pytest.mark.parametrize("status", [200, 302, 502])
def test_what_is_not_hives_is_said_to_be_so(body: bytes, status: int) -> None:
    network = Network(httpx.Response(status, content=body, headers={"location": "http://elsewhere.test"}))
    with pytest.raises(HiveError, match="does not read") as raised:
        network.hive(max_retries=0).status()
    assert raised.value.code == "unreadable_answer"
    assert {asked.url.host for asked in network.asked} == {"hive.test"}


def test_nobody_there_is_a_sentence_with_a_way_out() -> None:
    network = Network(*[httpx.ConnectError("refused")] * 3)
    with pytest.raises(Unreachable, match="hive up"):
        network.hive().status()
    assert len(network.asked) == 3


@pytest.mark.parametrize(
    ("error", "safe", "repeats"),
    [
        (HiveError("ours"), True, True),
        (HiveError("ours"), False, False),
        (HiveError("ours", dispatched=True), True, False),
        (RequestError("yours"), True, False),
        (Unavailable("nobody can"), True, False),
        (Unavailable("in a moment", retry_after_s=2), True, True),
        (Unavailable("in an hour", retry_after_s=3600), True, False),
        (Unreachable("cut", sent=True), True, True),
        (Unreachable("cut", sent=True), False, False),
        (Unreachable("none", sent=False), False, True),
    ],
)
def test_only_what_may_help_and_cannot_harm_is_repeated(error: HiveError, safe: bool, repeats: bool) -> None:
    assert (pause_s(error, 1, 2, 0.5, safe=safe) is not None) is repeats
    assert pause_s(error, 3, 2, 0.5, safe=safe) is None


BEGIN = event("status", {"status": "assigned", "attempt": 1, "worker": None}, 1)
TOKENS = [event("token", {"index": n, "text": f"{n}\u2028é", "count": 1}, n + 2) for n in range(3)]
END = event("done", JOB, 5)


def test_events_are_read_however_they_are_cut() -> None:
    whole = b": keep-alive\n\n" + BEGIN + b"".join(TOKENS) + event("newer", {}) + END.replace(b"\n", b"\r\n")
    for size in (1, 2, 7, len(whole)):
        reader = EventReader()
        events = [one for at in range(0, len(whole), size) for one in reader.feed(whole[at : at + size])]
        assert [type(one) for one in events] == [Moved, Token, Token, Token, Done]
        assert [one.text for one in events if isinstance(one, Token)] == ["0\u2028é", "1\u2028é", "2\u2028é"]
        assert reader.ended
        assert reader.last_id == 5


def test_a_broken_stream_goes_on_where_it_broke() -> None:
    network = Network(
        stream(BEGIN, TOKENS[0], TOKENS[1][:20], httpx.ReadError("cut")),
        httpx.ConnectError("restarting"),
        refusal(503, "restarting", retry_after="1"),
        stream(TOKENS[1], TOKENS[2]),
        stream(END),
    )
    events = list(network.hive().events(JOB_ID))
    assert [type(one) for one in events] == [Moved, Token, Token, Token, Done]
    assert [asked.headers.get("last-event-id") for asked in network.asked] == [None, "2", "2", "2", "4"]
    assert len(network.waited) == 4
    assert network.waited[2] == 1


async def test_the_async_client_follows_too_and_leaves_out_what_it_told() -> None:
    network = Network(stream(*TOKENS[:2], httpx.ReadError("cut")), stream(BEGIN, *TOKENS, END))
    async with network.async_hive() as hive:
        told = [one async for one in hive.events(JOB_ID, last_id=1)]
    assert [one.index for one in told if isinstance(one, Token)] == [0, 1, 2]
    assert isinstance(told[-1], Done)
    assert network.asked[0].headers["last-event-id"] == "1"


def test_a_stream_that_never_brings_news_is_given_up_and_a_refusal_at_once() -> None:
    network = Network(*[stream(b": keep-alive\n\n") for _ in range(20)])
    with pytest.raises(Unreachable, match="the job goes on"):
        list(network.hive().events(JOB_ID))
    assert len(network.asked) == 9
    assert sum(network.waited) < 45
    with pytest.raises(NotFound):
        list(Network(refusal(404, "not_found")).hive().events(JOB_ID))
    with pytest.raises(HiveError, match="does not read"):
        list(Network(*[stream(b"event: done\ndata: {\n\n") for _ in range(20)]).hive().events(JOB_ID))


@pytest.mark.parametrize(
    ("status", "kind"), [("failed", JobFailed), ("timed_out", JobTimeout), ("cancelled", JobFailed)]
)
def test_a_job_that_fails_ends_its_events_with_the_reason(status: str, kind: type[HiveError]) -> None:
    error = {"message": "It was so.", "type": "server_error", "param": None, "code": "job_failed"}
    failed = event("error", {"error": error, "job": {**JOB, "status": status}}, 2)
    job = Network(stream(BEGIN, failed)).hive().wait(JOB_ID)
    assert job.status == status
    (last,) = EventReader().feed(failed)
    assert isinstance(last, Failed)
    assert type(last.error) is kind
    assert last.error.message == "It was so."


def test_ids_are_quoted_and_addresses_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(refusal(404, "not_found"))
    with pytest.raises(NotFound):
        network.hive().worker("../a?b")
    assert network.asked[0].url.raw_path == b"/hive/workers/..%2Fa%3Fb"
    monkeypatch.setenv("HIVE_BASE_URL", "https://one.example/v1")
    monkeypatch.setenv("HIVE_API_KEY", "mine")
    network = Network(refusal(404, "not_found"))
    with pytest.raises(NotFound):
        Hive(http=httpx.Client(transport=httpx.MockTransport(network))).status()
    assert str(network.asked[0].url) == "https://one.example/hive/status"
    assert network.asked[0].headers["authorization"] == "Bearer mine"


def test_the_commands_help_waits_for_no_large_library() -> None:
    commands = "client, client.chat.command, client.jobs.command, client.status.command"
    code = f"import sys, {commands}; print([name for name in {LARGE} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout == "[]\n"
