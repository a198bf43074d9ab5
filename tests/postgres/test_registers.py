"""Accounts and keys, workers and models, kinds, and an account's list of its jobs."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coordinator.queue.lifecycle import State
from coordinator.store import accounts, owners, views, workers
from coordinator.store.engine import Engine
from coordinator.store.rows import JobView, KindSpec, WorkerRow
from coordinator.submit.kinds import KindCache, context_class
from shared.protocol.messages import ModelOffer
from tests.postgres.made import HOLD, NOW, OTHER, WORKER, books, check_books, complete, open_shop, result, set_state


async def test_a_key_is_found_by_its_hash_until_it_is_revoked(engine: Engine) -> None:
    shop, id_ = await open_shop(engine), uuid4()
    async with engine.begin() as conn:
        await accounts.create_key(
            conn, id_, shop.account, name="ci", secret_hash="5e", prefix="hive_ab", now=NOW, plan="pro", budget=7,
            models=["hive-nano"],
        )  # fmt: skip
        found = await accounts.find_key(conn, "5e")
        assert await accounts.find_key(conn, "5f") is None
        assert [key.id for key in await accounts.list_keys(conn, shop.account)] == sorted([shop.key, id_])
        assert await accounts.list_keys(conn, uuid4()) == []
        assert [await accounts.revoke_key(conn, id_, NOW) for _ in range(2)] == [True, False]
        revoked = await accounts.find_key(conn, "5e")
    assert found is not None
    assert revoked is not None
    assert (found.account_id, found.plan, found.prefix, found.budget) == (shop.account, "pro", "hive_ab", 7)
    assert (found.models, found.revoked_at, revoked.revoked_at) == (["hive-nano"], None, NOW)


async def test_grants_are_in_the_books(engine: Engine) -> None:
    shop = await open_shop(engine, credit=5)
    async with engine.begin() as conn:
        assert await accounts.grant(conn, shop.account, 7, uuid4(), NOW) == 12
        assert await accounts.grant(conn, uuid4(), 7, uuid4(), NOW) is None
        assert await accounts.get_account(conn, uuid4()) is None
    assert (await check_books(shop)).credit == 12
    assert (await books(shop))["issue"] == -12


async def register(engine: Engine, pk: str, now: datetime, cell: int = 1, coordinator: str | None = None) -> WorkerRow:
    async with engine.begin() as conn:
        return await workers.upsert_worker(
            conn, pk=pk, handle="a\0b", cell=cell, evidence=1, capabilities=b"{}", countries=["IT"], now=now,
            coordinator=coordinator,
        )  # fmt: skip


async def test_each_worker_that_registers_has_its_own_owner_or_none(engine: Engine) -> None:
    """An owner's request may not go to a stranger's machine, however many are linked when that one joins."""
    shop, stranger, new = await open_shop(engine), uuid4(), "ee" * 32
    async with engine.begin() as conn:
        await accounts.create_account(conn, stranger, "stranger", NOW)
    for pk, account in ((WORKER, shop.account), (OTHER, stranger)):
        await register(engine, pk, NOW)
        async with engine.begin() as conn:
            await owners.link(conn, pk, account, NOW, spend=False)
        assert (await register(engine, new, NOW)).owner is None
    assert [(await register(engine, pk, NOW)).owner for pk in (WORKER, OTHER)] == [shop.account, stranger]
    async with engine.begin() as conn:
        seen = await workers.registered_since(conn, NOW)
    assert {row.pk: row.owner for row in seen} == {WORKER: shop.account, OTHER: stranger, new: None}


async def test_a_worker_keeps_its_tier_its_standing_and_its_first_day(engine: Engine) -> None:
    first = await register(engine, WORKER, NOW)
    assert (first.handle, first.tier, first.state, first.countries) == ("a\ufffdb", 0, "probation", ["IT"])
    async with engine.begin() as conn:
        assert [await workers.set_tier(conn, pk, 3) for pk in (WORKER, OTHER)] == [True, False]
        assert [await set_state(conn, pk, "active") for pk in (WORKER, OTHER)] == [1, 0]
    again = await register(engine, WORKER, NOW + timedelta(hours=1), cell=2)
    assert (again.tier, again.state, again.first_seen, again.cell) == (3, "active", NOW, 2)
    async with engine.connect() as conn:
        assert await workers.get_worker(conn, WORKER) == again
        assert await workers.get_worker(conn, OTHER) is None


async def test_the_register_by_the_last_sign_of_life(engine: Engine) -> None:
    for pk in (OTHER, WORKER):
        await register(engine, pk, NOW, coordinator="one")
    later = NOW + timedelta(seconds=1)
    async with engine.begin() as conn:
        assert await workers.touch_workers(conn, [WORKER], "one", later) == 1
        assert [w.pk for w in await workers.registered_since(conn, later)] == [WORKER]
        assert await workers.registered_since(conn, NOW, but="one") == []
        assert {w.pk for w in await workers.registered_since(conn, NOW)} == {WORKER, OTHER}


async def test_a_worker_is_where_it_connected_last_and_nobody_else_says_that_it_is_there_or_left(
    engine: Engine,
) -> None:
    assert [(await register(engine, WORKER, NOW, coordinator=name)).session for name in ("one", "two")] == [1, 2]
    later = NOW + timedelta(seconds=1)
    async with engine.begin() as conn:
        assert await workers.touch_workers(conn, [WORKER], "one", later) == 0
        assert await workers.moved_workers(conn, [WORKER, OTHER], "one") == {WORKER: 2}
        assert await workers.moved_workers(conn, [WORKER, OTHER], "two") == {}
        await workers.leave_workers(conn, {WORKER: 2}, "one")
        await workers.leave_workers(conn, {WORKER: 1}, "two")  # it came back to the same before its leaving was written
        row = await workers.get_worker(conn, WORKER)
        assert row is not None
        assert (row.coordinator, row.last_seen) == ("two", NOW)
        await workers.leave_workers(conn, {WORKER: 2, OTHER: 1}, "two")
        gone = await workers.get_worker(conn, WORKER)
    assert gone is not None
    assert (gone.coordinator, gone.session) == (None, 2)


@pytest.mark.parametrize(("state", "leaves"), [("active", True), ("suspended", False), ("revoked", False)])
async def test_disgrace_is_not_shaken_off_by_leaving(engine: Engine, state: str, leaves: bool) -> None:
    await register(engine, WORKER, NOW)
    async with engine.begin() as conn:
        await set_state(conn, WORKER, state)
        assert await workers.remove_worker(conn, WORKER) is leaves
        assert (await workers.get_worker(conn, WORKER) is None) is leaves


async def test_models_are_remembered_by_file(engine: Engine) -> None:
    offers = [ModelOffer(id="m", digest=digit * 64, context=2048, size_bytes=9) for digit in "bab"]
    later = NOW + timedelta(seconds=1)
    async with engine.begin() as conn:
        await workers.see_models(conn, offers, NOW)
        await workers.see_models(conn, offers[:1], later)
        await workers.see_models(conn, [], later)
        rows = await workers.list_models(conn)
    assert [(row.digest[0], row.first_seen, row.last_seen) for row in rows] == [("a", NOW, NOW), ("b", NOW, later)]


@pytest.mark.parametrize(("tokens", "context"), [(0, 256), (256, 256), (257, 512), (2048, 2048), (2049, 4096)])
def test_context_class(tokens: int, context: int) -> None:
    assert context_class(tokens) == context


async def test_kinds_are_interned_by_all_that_they_ask(engine: Engine) -> None:
    plain = KindSpec(model="m", context=2048)
    specs = [
        plain,
        KindSpec(model="m", context=4096),
        KindSpec(model="m", context=2048, region="EU", countries=("DE", "IT")),
        KindSpec(model="m", context=2048, cell=0x871E80520FFFFFF, strict=True),
        KindSpec(model="m", context=2048, min_tier=2, min_evidence=1),
        KindSpec(model="m", context=2048, needs=1),
        KindSpec(model="m", context=2048, price=28),
        KindSpec(model="m", context=2048, owner=UUID(int=5)),
    ]
    caches = KindCache(), KindCache()
    async with engine.begin() as conn:
        kinds = [[await cache.get(conn, spec) for spec in specs] for cache in (*caches, caches[0])]
    assert kinds[0] == kinds[1] == kinds[2]
    assert len({kind.id for kind in kinds[0]}) == len(specs)
    assert (kinds[0][2].countries, kinds[0][3].cell, kinds[0][3].strict) == (["DE", "IT"], 0x871E80520FFFFFF, True)


async def test_only_kinds_with_pending_jobs_are_waiting(engine: Engine) -> None:
    shop, idle, busy = [await open_shop(engine) for _ in range(3)]
    await shop.submit(shop.job(), shop.job())
    await busy.submit(busy.job())
    await busy.assigned()
    async with engine.connect() as conn:
        assert [kind for kind, *_ in await KindCache().first(conn)] == [shop.kind]
    assert idle.kind.id != shop.kind.id


async def test_a_list_is_newest_first_and_pages_over_live_and_ended(engine: Engine) -> None:
    shop, other = await open_shop(engine), await open_shop(engine)
    moments = [NOW + timedelta(seconds=n // 2) for n in range(9)]
    jobs = [shop.job(moment) for moment in moments]
    await shop.submit(*jobs)
    await other.submit(other.job())
    (first, *_) = await shop.assigned(now=moments[-1], most=4)
    async with engine.begin() as conn:
        await complete(conn, [result(job.id, 1) for job in jobs[:3]], NOW)
    seen: list[JobView] = []
    async with engine.connect() as conn:
        cursor: tuple[datetime, UUID] | None = None
        while page := await views.list_jobs(conn, shop.account, cursor, 2):
            seen += page
            cursor = (page[-1].created_at, page[-1].id)
        done = await views.list_jobs(conn, shop.account, None, 10, State.COMPLETED)
    assert [view.id for view in seen] == [job.id for job in sorted(jobs, key=lambda j: (j.created_at, j.id))[::-1]]
    assert {view.id for view in done} == {job.id for job in jobs[:3]}
    assert first.id in {view.id for view in done}


async def test_a_job_is_settled_when_its_batch_is_paid(engine: Engine) -> None:
    shop = await open_shop(engine)
    await register(engine, WORKER, NOW)
    (id_,) = await shop.submit(shop.job())
    await shop.assigned()
    async with engine.begin() as conn:
        await complete(conn, [result(id_, 1)], NOW)
    pay = """
        INSERT INTO payout_channels (account, seq) VALUES ('GC', 1);
        INSERT INTO payout_batches (channel, seq, state, memo_root, total, created_at, tx_hash)
            VALUES ('GC', 2, 'paid', '', 400000, now(), 'f00');
        UPDATE payables SET state = '{state}', batch_id = (SELECT max(id) FROM payout_batches)"""
    for state, settled in (("reserved", False), ("paid", True)):
        async with engine.begin() as conn:
            for statement in pay.format(state=state).split(";") if state == "reserved" else pay.split(";")[2:]:
                await conn.execute(text(statement.format(state=state)))
            view = await views.get_job(conn, id_)
            numbers = await views.status_numbers(conn)
        assert view is not None
        assert (view.settled, view.stellar_tx_hash) == (settled, "f00" if settled else None)
        assert (view.worker_handle, view.gns_reward, view.hold, numbers.paid) == ("a\ufffdb", None, HOLD, 400_000)


async def test_an_unknown_job_is_none_and_times_are_utc(engine: Engine) -> None:
    shop = await open_shop(engine)
    (id_,) = await shop.submit(shop.job())
    async with engine.connect() as conn:
        assert await views.get_job(conn, UUID(int=5)) is None
        view = await views.get_job(conn, id_)
    assert view is not None
    assert view.created_at == NOW
    assert view.created_at.utcoffset() == datetime.now(UTC).utcoffset()
