"""Traces as a collector on this machine receives them: one for a request and all that becomes of it, under the caller's own."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from coordinator.observe.tracing import TRACING, Tracing
from shared.protocol.messages import Decline, Offer
from tests.support_wait import eventually
from tests.swarm.scripted import ScriptedWorker, speak
from tests.swarm.whole import Json, Swarm

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CHAT: Json = {"model": "hive-nano", "messages": [{"role": "user", "content": "What is the capital of Italy?"}]}


class Span:
    """What was received of a span: times in ns."""

    def __init__(self, told: Any) -> None:
        self.name: str = told.name
        self.trace, self.id, self.parent = told.trace_id.hex(), told.span_id.hex(), told.parent_span_id.hex()
        self.start, self.end = told.start_time_unix_nano, told.end_time_unix_nano
        self.events = list(told.events)
        self.told: Json = {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in told.attributes}


class Collector(ThreadingHTTPServer):
    """Receives OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []
        spans, bodies = self.spans, self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                bodies.append(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    spans.extend(Span(one) for scope in resource.scope_spans for one in scope.spans)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    server = Collector()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    TRACING.start({"OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint})
    yield server
    TRACING.stop()
    server.shutdown()
    server.server_close()
    thread.join()


async def received(collector: Collector, requests: int = 1) -> dict[str, list[Span]]:
    """All spans of the caller's trace by their names, once so many of its requests and its job are over: that is in the
    database, where a client reads it, a moment before its spans are told."""

    async def look() -> bool:
        TRACING._provider.force_flush()
        ours = [span for span in list(collector.spans) if span.trace == TRACE]
        return sum(span.parent == PARENT for span in ours) >= requests and any(span.name == "end" for span in ours)

    await eventually(look, 20, f"{requests} requests and the end of their job")
    found: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(collector.spans, key=lambda span: span.start):
        if span.trace == TRACE:
            found[span.name].append(span)
    return found


async def test_a_request_and_all_that_becomes_of_it_are_one_trace(swarm: Swarm, collector: Collector) -> None:
    async with swarm.client(traceparent=f"00-{TRACE}-{PARENT}-01") as http:
        got = (await http.post("/v1/chat/completions", json=CHAT)).raise_for_status()
    spans = await received(collector)
    assert {name: len(some) for name, some in spans.items()} == {
        "POST /v1/chat/completions": 1, "submit": 1, "queue": 1, "attempt": 1, "end": 1,
    }  # fmt: skip
    (asked,), (submit,) = spans["POST /v1/chat/completions"], spans["submit"]
    queue, attempt, end = (spans[name][0] for name in ("queue", "attempt", "end"))
    assert (asked.parent, submit.parent) == (PARENT, asked.id)
    assert {queue.parent, attempt.parent, end.parent} == {submit.id}
    assert asked.start <= submit.start <= submit.end <= asked.end
    assert queue.end == attempt.start <= attempt.end == end.start <= end.end
    assert attempt.told["hive.job"] == got.headers["x-hive-job-id"] == queue.told["hive.job"]
    assert attempt.told["hive.worker"] == got.headers["x-hive-worker"]
    assert (attempt.told["hive.attempt"], attempt.told["hive.outcome"]) == (1, "complete")
    assert attempt.told["hive.tokens"] == got.json()["usage"]["completion_tokens"]
    assert asked.told["http.route"] == "/v1/chat/completions"


async def test_each_attempt_is_a_span_and_the_wait_is_one(swarm: Swarm, collector: Collector) -> None:
    async def declines_once(worker: ScriptedWorker, offer: Offer) -> None:
        worker.script = speak
        await worker.send(Decline(offer.body.job_id, offer.body.attempt, "no room"))

    job = {"model_id": "hive-nano", "prompt": "Secret", "jurisdiction": "JP"}
    async with swarm.worker(cell="872f5aad9ffffff", script=declines_once).connected(swarm.url):
        async with swarm.client(traceparent=f"00-{TRACE}-{PARENT}-01") as http:
            made = (await http.post("/hive/jobs", json=job)).raise_for_status().json()
        async with swarm.client() as other:
            await swarm.ended(other, made["job_id"])
    spans = await received(collector)
    told = [(one.told["hive.attempt"], one.told["hive.outcome"], one.told["hive.reason"]) for one in spans["attempt"]]
    assert told == [(1, "decline", ""), (2, "complete", "")]
    assert len(spans["queue"]) == len(spans["end"]) == 1
    assert {one.parent for one in (*spans["attempt"], *spans["queue"])} == {spans["submit"][0].id}


async def test_what_was_asked_and_what_went_wrong_in_words_is_in_no_span(swarm: Swarm, collector: Collector) -> None:
    async with swarm.client(traceparent=f"00-{TRACE}-{PARENT}-01") as http:
        wrong = CHAT | {"model": "a-secret-model", "messages": [{"role": "user", "content": "a secret"}]}
        assert (await http.post("/v1/chat/completions", json=wrong)).status_code == 400
        done = await http.post(
            "/v1/chat/completions", json=CHAT | {"messages": [{"role": "user", "content": "a secret"}]}
        )
        assert done.status_code == 200
        unsampled = {"traceparent": f"00-{TRACE[::-1]}-{PARENT}-00"}
        assert (await http.post("/v1/chat/completions", json=CHAT, headers=unsampled)).status_code == 200
        for odd in ("", "x", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01-" + "z" * 5000):
            assert (await http.get("/health", headers={"traceparent": odd})).status_code == 200
    spans = await received(collector, 2)
    assert len(spans["attempt"]) == 1
    assert not any(span.events for some in spans.values() for span in some)
    assert not any(b"secret" in body or swarm.api_key.encode() in body for body in collector.bodies)
    assert not any(span.trace == TRACE[::-1] for span in collector.spans)


async def test_where_no_endpoint_is_set_a_job_carries_no_trace(swarm: Swarm) -> None:
    tracing = Tracing()
    tracing.start({"OTEL_SERVICE_NAME": "hive", "OTEL_EXPORTER_OTLP_ENDPOINT": ""})
    with tracing.request({"method": "GET"}, f"00-{TRACE}-{PARENT}-01"), tracing.submit() as trace:
        assert trace is None
    tracing.stop()
    async with swarm.client(traceparent=f"00-{TRACE}-{PARENT}-01") as http:
        asking = asyncio.ensure_future(http.post("/v1/chat/completions", json=CHAT))
        workers = [swarm.rome, swarm.berlin, swarm.new_york]
        await asking
    assert sum(worker.offers.qsize() for worker in workers) == 1
