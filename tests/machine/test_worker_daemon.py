"""A whole worker against a scripted coordinator: real engine, real websocket, real outbox."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey

from shared.crypto import chain_extend, chain_start, fingerprint, public_key
from shared.protocol.messages import (
    Accept,
    Ack,
    Cancel,
    CloseCode,
    Decline,
    Done,
    Failed,
    Heartbeat,
    Inventory,
    Leave,
    Message,
    Tokens,
)
from shared.receipt import Receipt, worker_signed
from shared.text import Deltas, prompt_hash, result_hash
from shared.tokens import Vocabulary
from tests.machine.coordinator_double import ROME, Coordinator, body, clock, coordinator, local_model, model_file
from worker.daemon import Daemon
from worker.hardware import hardware
from worker.identity import Identity, identity
from worker.link import LinkRefusedError
from worker.outbox import Outbox
from worker.report import Report, read_report
from worker.settings import settings

DIGEST = local_model().digest


def made(
    home: Path, it: Coordinator, reports: "asyncio.Queue[Report] | None" = None, look: Any = None, **flags: Any
) -> tuple[Daemon, Identity]:
    """A worker of this home, not yet running."""
    chosen = settings(home, {}, {"cell": ROME, "coordinator": it.url, "slots": 2, "log_level": "error", **flags})
    who = identity(home, now=clock(), entropy=os.urandom(32))
    show = reports.put_nowait if reports is not None else lambda _: None
    ready = home / "ready.json"
    return Daemon(
        home, chosen, who, [local_model()], clock=clock, probe=hardware([]), ready_file=ready, show=show, look=look
    ), who  # fmt: skip


@asynccontextmanager
async def working(home: Path, it: Coordinator, **flags: Any) -> AsyncIterator[tuple[Daemon, Identity]]:
    """A worker that runs with its model loaded, until the block ends."""
    daemon, who = made(home, it, **flags)
    running = asyncio.create_task(daemon.run())
    try:
        hello = await it.hellos.get()
        if not any(model.loaded for model in hello.capabilities.models):
            await it.hear(Inventory, lambda i: any(model.loaded for model in i.capabilities.models))
        yield daemon, who
    finally:
        daemon.stop()
        daemon.stop()
        await running


async def reported(reports: "asyncio.Queue[Report]", fits: Callable[[Report], bool]) -> Report:
    """The next report that fits."""
    while not fits(report := await reports.get()):
        pass
    return report


async def whole(it: Coordinator, number: int = 1) -> tuple[list[Tokens], Done]:
    """The token frames of a job, in order and once each, and its result."""
    frames: dict[int, Tokens] = {}
    while True:
        message = await it.heard.get()
        if isinstance(message, Tokens) and message.job_id.endswith(f"{number:012d}"):
            frames.setdefault(message.offset, message)
        elif isinstance(message, Done):
            return list(frames.values()), message
        assert not isinstance(message, Failed | Decline), message


async def test_an_offer_becomes_a_signed_result(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it) as (_, who):
        offer = body(who.pk, DIGEST)
        await it.offer(offer)
        assert (await it.hear(Accept)).job_id == offer.job_id
        frames, done = await whole(it)
        receipt = msgspec.convert(done.receipt, Receipt)
        vocabulary = Vocabulary(model_file())
        assert [i for frame in frames for i in frame.ids] == done.ids
        assert "".join(frame.text for frame in frames) == done.text
        assert done.text == vocabulary.detokenise(done.ids).decode("utf-8", "replace")
        assert worker_signed(receipt, done.signature)
        assert receipt.chain_head == chain_extend(chain_start(offer.job_id, 1), 0, done.ids).hex()
        assert (receipt.tokens_in, receipt.tokens_out) == (len(vocabulary.prompt_ids(offer)), len(done.ids))
        assert (receipt.prompt_hash, receipt.result_hash) == (prompt_hash(offer), result_hash(offer.salt, done.text))
        assert receipt.worker_pk == who.pk
        assert "ggml" in receipt.engine_build


async def test_the_first_token_has_a_frame_of_its_own_and_later_ones_share(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it) as (_, who):
        await it.offer(body(who.pk, DIGEST))
        frames, done = await whole(it)
        assert len(frames[0].ids) == 1
        assert len(frames) < len(done.ids)


async def test_a_result_leaves_the_outbox_when_it_is_acknowledged(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it) as (_, who):
        offer = body(who.pk, DIGEST)
        await it.offer(offer)
        await whole(it)
        assert Outbox(tmp_path / "outbox").keys() == [(offer.job_id, 1)]
        await it.say(Ack(offer.job_id, 1, "accepted"))
        await it.say(Cancel(offer.job_id, 1, "after the result: nothing to stop"))
        await it.hear(Heartbeat)
        await it.hear(Heartbeat)
        assert Outbox(tmp_path / "outbox").keys() == []


async def test_an_answer_goes_on_while_the_line_is_cut_and_comes_whole(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it, max_tps=30.0) as (_, who):
        await it.offer(body(who.pk, DIGEST, max_tokens=60))
        first = await it.hear(Tokens)
        it.cut()
        hello = await it.hellos.get()
        assert [(held.job_id, held.state) for held in hello.resume] == [(first.job_id, "running")]
        frames, done = await whole(it)
        assert frames[0].offset == 0
        assert [i for frame in frames for i in frame.ids] == done.ids
        assert "".join(frame.text for frame in frames) == done.text


async def test_a_result_made_without_a_line_is_delivered_on_reconnect(tmp_path: Path) -> None:
    reports: asyncio.Queue[Report] = asyncio.Queue()
    async with coordinator() as it, working(tmp_path, it, reports=reports) as (_, who):
        offer = body(who.pk, DIGEST)
        await it.offer(offer)
        await it.hear(Tokens)
        it.letting_in.clear()
        it.cut()
        await reported(reports, lambda report: report.waiting_results == 1 and report.state == "connecting")
        it.letting_in.set()
        hello = await it.hellos.get()
        assert [(held.job_id, held.state) for held in hello.resume] == [(offer.job_id, "done")]
        done = await it.hear(Done)
        assert hello.resume[0].tokens == len(done.ids)


async def test_an_abandoned_attempt_is_stopped_and_its_slot_is_free(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it, max_tps=20.0, slots=1) as (_, who):
        await it.offer(body(who.pk, DIGEST, max_tokens=1000))
        await it.hear(Tokens)
        it.verdict = "abandon"
        it.cut()
        await it.hellos.get()
        assert (await it.hear(Heartbeat, lambda h: h.free == 1)).running == []


async def test_a_cancelled_attempt_frees_its_slot_for_the_next(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it, slots=1, max_tps=50.0) as (_, who):
        await it.offer(body(who.pk, DIGEST, 1, max_tokens=1500))
        first = await it.hear(Tokens)
        await it.offer(body(who.pk, DIGEST, 2))
        assert (await it.hear(Decline)).reason == "no free slot"
        await it.say(Cancel(first.job_id, 1, "the client left"))
        await it.hear(Heartbeat, lambda h: h.free == 1)
        await it.offer(body(who.pk, DIGEST, 3, max_tokens=5))
        _, done = await whole(it, 3)
        assert done.receipt["job_id"].endswith("3")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"worker_pk": "00" * 32}, "for another worker"),
        ({"model_digest": "00" * 32}, "unknown model"),
        ({"model_id": "other"}, "unknown model"),
        ({"expires_at": 1}, "expired"),
        ({"messages": None}, "neither messages nor a prompt, or both"),
    ],
)
async def test_an_offer_that_is_not_right_is_declined(tmp_path: Path, changed: dict[str, Any], reason: str) -> None:
    async with coordinator() as it, working(tmp_path, it) as (_, who):
        await it.offer(body(**{"worker_pk": who.pk, "digest": DIGEST, **changed}))
        assert (await it.hear(Decline)).reason == reason


async def test_an_offer_by_another_key_is_declined(tmp_path: Path) -> None:
    async with coordinator(offers_by=SigningKey.generate()) as it, working(tmp_path, it) as (_, who):
        await it.offer(body(who.pk, DIGEST))
        assert (await it.hear(Decline)).reason == "bad signature"


async def test_messages_that_no_template_takes_fail_for_good(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it) as (_, who):
        await it.offer(body(who.pk, DIGEST, messages=[Message("user", "x " * 5000)]))
        failed = await it.hear(Failed)
        assert (failed.code, failed.retryable) == ("context_length_exceeded", False)


async def test_a_killed_engine_fails_the_attempt_and_comes_back(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it, max_tps=20.0) as (daemon, who):
        await it.offer(body(who.pk, DIGEST, 1, max_tokens=1000))
        await it.hear(Tokens)
        pid = daemon.engines()[0]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        failed = await it.hear(Failed)
        assert (failed.code, failed.retryable) == ("engine_crashed", True)
        await it.offer(body(who.pk, DIGEST, 2, max_tokens=5))
        _, done = await whole(it, 2)
        assert done.ids


async def test_another_worker_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    async with coordinator() as it, working(tmp_path, it) as (_, who):
        await it.offer(body(who.pk, DIGEST, 1, max_tokens=30))
        _, first = await whole(it, 1)
        resumed = first.ids[:10]
        offer = body(who.pk, DIGEST, 2, attempt=2, max_tokens=30, resume_ids=resumed)
        await it.offer(offer)
        frames, second = await whole(it, 2)
        vocabulary = Vocabulary(model_file())
        before = Deltas(vocabulary, [])
        read = "".join(before.push(token) for token in resumed)
        assert frames[0].offset == len(resumed)
        assert len(second.ids) <= 20
        assert read + second.text == vocabulary.detokenise(resumed + second.ids).decode("utf-8", "replace")
        assert second.receipt["chain_head"] == chain_extend(chain_start(offer.job_id, 2), 10, second.ids).hex()
        assert second.receipt["tokens_out"] == len(second.ids)


async def test_the_first_stop_waits_for_running_answers(tmp_path: Path) -> None:
    async with coordinator() as it:
        daemon, who = made(tmp_path, it, max_tps=40.0)
        running = asyncio.create_task(daemon.run())
        await it.hellos.get()
        offer = body(who.pk, DIGEST)
        await it.offer(offer)
        await it.hear(Tokens)
        os.kill(os.getpid(), signal.SIGTERM)
        await it.hear(Leave)
        await it.offer(body(who.pk, DIGEST, 2))
        _, done = await it.hear_both(Decline, Done)
        assert done.receipt["job_id"] == offer.job_id
        await it.say(Ack(offer.job_id, 1, "accepted"))
        await running
        assert read_report(tmp_path) is None


async def test_the_key_is_pinned_at_first_use_and_a_new_one_refused(tmp_path: Path) -> None:
    async with coordinator() as it:
        async with working(tmp_path, it):
            pass
        it.key = SigningKey.generate()
        daemon, _ = made(tmp_path, it)
        with pytest.raises(LinkRefusedError, match="not the one expected"):
            await daemon.run()


async def test_a_pinned_fingerprint_is_enough(tmp_path: Path) -> None:
    async with coordinator() as it:
        async with working(tmp_path, it, server_key=fingerprint(public_key(it.key))):
            pass
        daemon, _ = made(tmp_path / "other", it, server_key="00" * 32)
        with pytest.raises(LinkRefusedError, match="not the one expected"):
            await daemon.run()


async def test_a_revoked_worker_stops_with_the_reason(tmp_path: Path) -> None:
    async with coordinator() as it:
        it.refuse = (CloseCode.REVOKED, "this key was revoked")
        daemon, _ = made(tmp_path, it)
        with pytest.raises(LinkRefusedError, match="this key was revoked"):
            await daemon.run()


async def test_the_ready_file_says_who_is_ready(tmp_path: Path) -> None:
    reports: asyncio.Queue[Report] = asyncio.Queue()
    async with coordinator() as it, working(tmp_path, it, reports=reports) as (_, who):
        file = tmp_path / "ready.json"
        await reported(reports, lambda report: report.state == "online" and bool(report.loaded))
        report = msgspec.json.decode(file.read_bytes(), type=Report)
        assert (report.pk, report.state, report.loaded) == (who.pk, "online", ["hive-nano"])
        assert file.stat().st_mode & 0o777 == 0o600
