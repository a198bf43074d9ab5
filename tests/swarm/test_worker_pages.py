"""What a worker's owner can read of it, signed by the worker: its earnings, and why it gets no jobs."""

from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from nacl.signing import SigningKey

from coordinator.settle.split import split
from shared.ids import to_gns, to_stroops
from shared.protocol.messages import Standing
from shared.worker_request import HEADER, signed
from tests.swarm.scripted import ROME, ScriptedWorker, now_ms
from tests.swarm.whole import MODEL, Json, Swarm


async def ask(swarm: Swarm, worker: ScriptedWorker, what: str, **sent: Any) -> httpx.Response:
    """GET a page of a worker with its signature; `sent` changes what is signed."""
    path = f"/hive/workers/{worker.pk}/{what}"
    said: Json = {"key": worker.key, "method": "GET", "host": urlsplit(swarm.base_url).netloc, "path": path}
    header = signed(**said | {"now": now_ms()} | sent)
    async with httpx.AsyncClient(base_url=swarm.base_url, headers={HEADER: header}, timeout=30) as http:
        return await http.get(path)


async def submitted(swarm: Swarm, **fields: Any) -> Json:
    async with swarm.client() as http:
        made = await http.post(
            "/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hello", "max_tokens": 20, **fields}
        )
        assert made.status_code == 201, made.text
        job: Json = made.json()
        return job


async def test_a_worker_reads_what_it_earned(swarm: Swarm) -> None:
    job = await submitted(swarm, jurisdiction="IT")
    async with swarm.client() as http:
        done = await swarm.ended(http, job["job_id"])
    told = (await ask(swarm, swarm.rome, "earnings")).json()
    share = f"{to_gns(split(to_stroops(done['gns_cost'])).worker):.7f}"
    day = {"jobs": 1, "tokens_in": done["tokens_in"], "tokens_out": done["tokens_generated"], "earned": share}
    zero = "0.0000000"
    assert told.pop("days") == [{"day": done["completed_at"][:10], **day}]
    assert told.pop("models") == [{"model": "hive-nano", **day}]
    assert told == {
        "today": share, "held": share, "pending": zero, "paid": zero, "credited": zero, "payments": [], "owner": None,
        "unsigned": zero, "forfeited": zero, "shares": [],
    }  # fmt: skip
    heard: Standing = await swarm.rome.standings.get()
    assert heard.workers_online in (1, 2, 3)


async def test_payments_and_the_owner_are_told(swarm: Swarm) -> None:
    from sqlalchemy import text  # noqa: PLC0415

    async with swarm.hive.engine.begin() as conn:
        await conn.execute(text("INSERT INTO payout_channels (account, seq) VALUES ('G', 1)"))
        batch = text("""
            INSERT INTO payout_batches (channel, seq, state, memo_root, total, created_at, closed_at, tx_hash)
            VALUES ('G', :seq, :state, '', 1, to_timestamp(1), to_timestamp(2), 'ab') RETURNING id""")
        order = text("INSERT INTO payout_orders VALUES (:batch, 0, :who, 'G', :amount, 'pay', :state)")
        for seq, state, fate in ((2, "paid", "paid"), (3, "failed", "returned"), (4, "open", "reserved")):
            id_ = await conn.scalar(batch, {"seq": seq, "state": state})
            values = {"batch": id_, "who": f"worker:{swarm.rome.pk}", "amount": seq, "state": fate}
            await conn.execute(order, values)
    told = (await ask(swarm, swarm.rome, "earnings")).json()
    assert told["payments"] == [
        {"amount": "0.0000004", "hash": "ab", "state": "reserved", "at": 2000},
        {"amount": "0.0000002", "hash": "ab", "state": "paid", "at": 2000},
    ]


@pytest.mark.parametrize("what", ["earnings", "why"])
@pytest.mark.parametrize(
    "sent",
    [
        {"key": SigningKey(b"\7" * 32)},
        {"method": "POST"},
        {"host": "evil.example"},
        {"path": "/hive/workers"},
        {"now": 1},
    ],
)
async def test_nobody_else_reads_it(swarm: Swarm, what: str, sent: Json) -> None:
    answer = await ask(swarm, swarm.rome, what, **sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


async def test_without_a_signature_or_for_another_name_nothing_is_told(swarm: Swarm) -> None:
    path = f"/hive/workers/{swarm.rome.pk}/why"
    for header in ("", "x", "1.2", f"{now_ms()}.", "9" * 20):
        async with httpx.AsyncClient(base_url=swarm.base_url, headers={HEADER: header}) as http:
            assert (await http.get(path)).status_code == 401
    header = signed(swarm.rome.key, "GET", "evil.example", path, now_ms())
    async with httpx.AsyncClient(base_url=swarm.base_url, headers={HEADER: header, "host": "evil.example"}) as http:
        assert (await http.get(path)).status_code == 401


async def test_where_nothing_waits_nothing_keeps_a_worker_from_it(swarm: Swarm) -> None:
    told = (await ask(swarm, swarm.rome, "why")).json()
    assert now_ms() - 60_000 < told["last_hour"].pop("since") <= now_ms()
    assert told == {
        "registered": True, "online": True, "tier": "seedling", "waiting": {"jobs": 0}, "could_take": 0,
        "reasons": [], "free_slots": 4, "last_job_at": None,
        "last_hour": {"jobs": 0, "refused": 0, "could_take": 0, "skipped": [], "others": 0},
    }  # fmt: skip


async def test_a_worker_reads_what_it_missed_within_the_hour_whoever_got_it(swarm: Swarm) -> None:
    async with swarm.client() as http:
        for place in ("IT", "DE", "DE"):
            await swarm.ended(http, (await submitted(swarm, jurisdiction=place))["job_id"])
        chat = {"model": "hive-nano", "messages": [{"role": "user", "content": "Hi"}], "min_trust_tier": "sovereign"}
        assert (await http.post("/v1/chat/completions", json=chat)).status_code == 503
        assert (await http.post("/v1/chat/completions", json=chat | {"jurisdiction": "FR"})).status_code == 503
    told = (await ask(swarm, swarm.rome, "why")).json()["last_hour"]
    assert (told["jobs"], told["refused"], told["could_take"], told["others"]) == (3, 2, 1, 0)
    assert [(one["reason"], one["jobs"], one["refused"]) for one in told["skipped"]] == [
        ("place", 2, 1),
        ("tier", 0, 1),
    ]
    assert all(one["sentence"].endswith(".") for one in told["skipped"])


async def test_a_worker_reads_why_it_gets_nothing(swarm: Swarm) -> None:
    floor = swarm.worker(cell=ROME, price_floor=10**15)
    async with floor.connected(swarm.url):
        pass
    wanting = {"min_trust_tier": "navigator"}
    key = SigningKey(b"\5" * 32)
    await swarm.raise_tier(key, ROME, "navigator")
    async with swarm.worker(key=key).connected(swarm.url):
        pass  # it is registered, so that jobs for it wait
    swarm.hive.hub.sessions.clear()
    for _ in range(3):
        await submitted(swarm, **wanting)
    await submitted(swarm)
    told = (await ask(swarm, floor, "why")).json()
    by_rule = {rule["reason"]: rule["count"] for rule in told["reasons"]}
    assert (told["waiting"], told["could_take"], by_rule) == ({"jobs": 4}, 0, {"tier": 3, "price": 1})
    assert all(rule["sentence"].endswith(".") for rule in told["reasons"])
    mine = (await ask(swarm, swarm.rome, "why")).json()
    assert (mine["could_take"], [rule["reason"] for rule in mine["reasons"]]) == (1, ["tier"])


async def test_a_stranger_is_told_that_it_is_not_registered(swarm: Swarm) -> None:
    stranger = swarm.worker(model=msgspec.structs.replace(MODEL))
    told = (await ask(swarm, stranger, "why")).json()
    assert (told["registered"], told["online"], told["could_take"], told["reasons"]) == (False, False, 0, [])
    assert (await ask(swarm, stranger, "earnings")).json()["today"] == "0.0000000"


async def test_everybody_sees_what_a_model_can_and_in_which_state_it_is_where(swarm: Swarm) -> None:
    weak = msgspec.structs.replace(MODEL, verifiability="weak", loaded=False, loading=True, mtps=12_345)
    async with swarm.worker(model=weak).connected(swarm.url) as worker, swarm.client() as http:
        (shown,) = (await http.get(f"/hive/workers/{worker.pk}")).json()["models"]
        assert shown == {
            "id": "hive-nano", "context_length": MODEL.context, "loaded": False, "loading": True,
            "verifiability": "weak", "tokens_per_second": 12.3,
        }  # fmt: skip
        assert "tools" in (await http.get("/v1/models/hive-nano")).json()["supported_features"]
        for other in (swarm.rome, swarm.berlin, swarm.new_york):
            swarm.hive.hub.leave(swarm.hive.hub.sessions[other.pk])
        assert (await http.get("/v1/models/hive-nano")).json()["supported_features"] == []
