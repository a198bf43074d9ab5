"""The courier: against a real database, and a server on loopback that does not do as it should."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook

from coordinator.observe.series import REGISTRY
from coordinator.outside.addresses import allowed
from coordinator.outside.courier import CLAIMED, KEPT, POSTPONED, Courier
from coordinator.outside.http import Outside
from coordinator.outside.schedule import AT_ONCE, DELAYS_S, PER_HOST, Due
from coordinator.outside.signing import secrets_of, shown
from coordinator.store import callbacks
from coordinator.store.callbacks import STATES, CallbackRow, NewCallback
from coordinator.store.engine import Engine
from coordinator.submit.callback import Callback
from tests.postgres.made import NOW, open_shop
from tests.support_outside import Heard, Names, Other, Say, answering, other_side
from tests.support_wait import eventually

PEPPER = bytes(range(32))


class Post:
    """A courier whose time and chance the test says, and callbacks that are due."""

    def __init__(self, engine: Engine, other: Other, names: Names | None = None) -> None:
        self.engine, self.other, self.now = engine, other, datetime.now(NOW.tzinfo)
        self.bodies: dict[UUID, bytes | Exception | None] = {}
        outside = Outside(allowed([f"127.0.0.1:{other.port}"]), names or Names())
        self.courier = Courier(engine, outside, self._tell, PEPPER, lambda: self.now, lambda: 0.5)

    async def _tell(self, one: Due) -> bytes | None:
        body = self.bodies.get(one.id, b"{}")
        if isinstance(body, Exception):
            raise body
        return body

    async def add(self, *paths: str, account: UUID | None = None, host: str = "127.0.0.1") -> list[UUID]:
        """Callbacks at these paths, due now; their hosts are lanes, all of them are this server."""
        account = account or (await open_shop(self.engine)).account
        base = host if host.startswith("https:") else f"http://{host}:{self.other.port}"
        new = [
            NewCallback(
                id=uuid4(), account_id=account, callback=Callback(base + path, host, "hive"), jobs=1,
                created_at=self.now, late_at=self.now + timedelta(days=2),
            )
            for path in paths
        ]  # fmt: skip
        async with self.engine.begin() as conn:
            await callbacks.insert(conn, new)
            await callbacks.ended(conn, {one.id: 1 for one in new}, self.now)
        return [one.id for one in new]

    async def round(self) -> bool:
        """One round, and the end of all that it sends."""
        async with asyncio.TaskGroup() as tasks:
            return await self.courier.one_round(tasks, self.now)

    async def look(self, id_: UUID) -> CallbackRow:
        async with self.engine.begin() as conn:
            row = await callbacks.get(conn, id_)
        assert row is not None
        return row


async def test_an_end_is_told_once_and_signed_with_the_accounts_secret(engine: Engine) -> None:
    async with other_side() as other:
        post = Post(engine, other)
        other.scripts["/done"] = answering(204)
        (id_,) = await post.add("/done?job=1")
        told = REGISTRY.get_sample_value("hive_callbacks_total", {"outcome": "delivered"}) or 0
        post.bodies[id_] = '{"status":"completed","result_text":"grüß"}'.encode()
        await post.round()
        await post.round()
        heard = other.heard.get_nowait()
        assert other.connections == 1
        assert (heard.method, heard.path, heard.headers["content-type"]) == ("POST", "/done?job=1", "application/json")
        row = await post.look(id_)
        assert (row.state, row.calls, row.last_status, row.last_reason) == ("delivered", 1, 204, None)
        (secret,) = secrets_of(PEPPER, row.account_id, 1, None, post.now)
        verified = Webhook(shown(secret)).verify(heard.body, heard.headers)
        assert verified == {"status": "completed", "result_text": "grüß"}
        assert heard.headers["webhook-id"] == f"msg_{id_.hex}"
        assert REGISTRY.get_sample_value("hive_callbacks_total", {"outcome": "delivered"}) == told + 1


async def test_after_a_rotation_whoever_knows_either_secret_can_verify(engine: Engine) -> None:
    async with other_side() as other:
        post = Post(engine, other)
        account = (await open_shop(engine)).account
        async with engine.begin() as conn:
            await callbacks.rotate(conn, account, post.now)
        await post.add("/done", account=account)
        await post.round()
        heard = other.heard.get_nowait()
        for generation in (1, 2):
            (secret,) = secrets_of(PEPPER, account, generation, None, post.now)
            Webhook(shown(secret)).verify(heard.body, heard.headers)


async def test_a_side_that_fails_is_tried_over_a_day_with_the_same_id_and_then_given_up(engine: Engine) -> None:
    async with other_side() as other:
        post = Post(engine, other)
        other.scripts["/"] = answering(500)
        (id_,) = await post.add("/")
        for tries, delay in enumerate(DELAYS_S, 1):
            await post.round()
            row = await post.look(id_)
            assert (row.state, row.tries, row.last_status) == ("waiting", tries, 500)
            assert row.due_at == post.now + timedelta(seconds=delay)
            post.now = row.due_at - timedelta(milliseconds=1)
            await post.round()
            assert other.connections == tries, "it waits until then"
            post.now = row.due_at
        await post.round()
        row = await post.look(id_)
        assert (row.state, row.calls, row.last_reason) == ("dead", len(DELAYS_S) + 1, "answers with status 500")
        post.now += timedelta(days=1)
        await post.round()
        ids = {other.heard.get_nowait().headers["webhook-id"] for _ in range(other.connections)}
        assert (other.connections, len(ids)) == (len(DELAYS_S) + 1, 1)


async def test_a_dead_callback_can_be_replayed_and_then_arrives(engine: Engine) -> None:
    async with other_side() as other:
        post = Post(engine, other)
        other.scripts["/"] = answering(410)
        (id_,) = await post.add("/")
        await post.round()
        assert (await post.look(id_)).state == "dead"
        other.scripts["/"] = answering(200)
        async with engine.begin() as conn:
            await callbacks.replay(conn, id_, post.now)
        await post.round()
        assert (await post.look(id_)).state == "delivered"


async def delivered(post: Post, ids: Sequence[UUID]) -> bool:
    return {(await post.look(id_)).state for id_ in ids} == {"delivered"}


async def hang_up(_: Heard, __: Say) -> None:
    """Closes the connection without a word."""


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/moved", "answers with status 307"),
        ("/gone", "wants no more"),
        ("/cut", "does not speak HTTP"),
        ("/missing", "answers with status 404"),
    ],
)
async def test_what_the_other_side_did_is_told(engine: Engine, path: str, says: str) -> None:
    async with other_side() as other, other_side() as inner:
        post = Post(engine, other)
        moved = answering(307, location=f"http://127.0.0.1:{inner.port}/inner")
        other.scripts |= {"/moved": moved, "/gone": answering(410), "/cut": hang_up}
        (id_,) = await post.add(path)
        await post.round()
        row = await post.look(id_)
        assert says in (row.last_reason or "")
        assert inner.connections == 0, "no redirect is followed"


async def test_a_name_that_becomes_private_after_the_submit_is_not_called(engine: Engine) -> None:
    async with other_side() as other:
        post = Post(engine, other, Names(turncoat_example=[["10.0.0.1"]]))
        (id_,) = await post.add("/", host="https://turncoat.example")
        await post.round()
        row = await post.look(id_)
        assert (row.state, row.last_status, row.last_reason) == ("waiting", None, "has no public address")


async def test_slow_hosts_keep_nobody_else_waiting(engine: Engine) -> None:
    let_go, slow_began = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(heard: Heard, say: Say) -> None:
        slow_began.release()
        await let_go.wait()
        await answering(200)(heard, say)

    async with other_side() as other:
        names = Names(slow_example=[["127.0.0.1"]], quick_example=[["127.0.0.1"]])
        post = Post(engine, other, names)
        other.scripts |= {"/slow": slow, "/quick": answering(200)}
        account = (await open_shop(engine)).account
        waiting = await post.add(*["/slow"] * (PER_HOST + 5), host="slow.example", account=account)
        quick = await post.add("/quick", host="quick.example", account=account)
        async with asyncio.TaskGroup() as tasks:
            await post.courier.one_round(tasks, post.now)
            for _ in range(PER_HOST):
                await slow_began.acquire()
            await post.courier.one_round(tasks, post.now)
            assert slow_began.locked(), "no more than these at once"
            await eventually(partial(delivered, post, quick), 30, "the quick host's delivery")
            assert not any([await delivered(post, [id_]) for id_ in waiting])
            let_go.set()
        await post.round()
        assert await delivered(post, waiting)


async def test_no_connection_to_the_database_is_held_while_calling(engine: Engine) -> None:
    let_go, began = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(heard: Heard, say: Say) -> None:
        began.release()
        await let_go.wait()
        await answering(200)(heard, say)

    async with other_side() as other:
        post = Post(engine, other)
        other.scripts["/"] = slow
        for _ in range(3):
            await post.add("/")
        async with asyncio.TaskGroup() as tasks:
            await post.courier.one_round(tasks, post.now)
            for _ in range(3):
                await began.acquire()
            assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
            let_go.set()


async def test_a_courier_that_dies_while_it_calls_loses_nothing(engine: Engine) -> None:
    began = asyncio.Event()

    async def silent(_: Heard, __: Say) -> None:
        began.set()
        await asyncio.get_running_loop().create_future()

    async with other_side() as other:
        post = Post(engine, other)
        other.scripts["/"] = silent
        (id_,) = await post.add("/")
        running = asyncio.ensure_future(post.round())
        await began.wait()
        running.cancel()
        assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], asyncio.CancelledError)
        other.scripts["/"] = answering(200)
        await post.round()
        assert (await post.look(id_)).state == "waiting"
        post.now += CLAIMED
        await post.round()
        assert [(row.state, row.calls) for row in [await post.look(id_)]] == [("delivered", 2)]


async def test_what_has_nothing_to_tell_yet_waits_and_what_cannot_be_told_is_tried_again(engine: Engine) -> None:
    async with other_side() as other:
        post = Post(engine, other)
        early, broken = (await post.add("/", "/"))[:2]
        post.bodies |= {early: None, broken: ZeroDivisionError("a bug of ours")}
        await post.round()
        row = await post.look(early)
        assert (row.state, row.tries, row.due_at, row.last_at) == ("waiting", 0, post.now + POSTPONED, None)
        row = await post.look(broken)
        assert (row.state, row.tries, row.last_reason) == ("waiting", 1, "could not be told, which is our fault")
        assert other.connections == 0


async def test_more_than_may_run_at_once_wait_for_the_next_round(engine: Engine) -> None:
    hosts = [f"h{n}.example" for n in range(AT_ONCE // PER_HOST + 1)]
    async with other_side() as other:
        post = Post(engine, other, Names(**{host.replace(".", "_"): [["127.0.0.1"]] for host in hosts}))
        other.scripts["/"] = answering(200)
        ids = [id_ for host in hosts for id_ in await post.add(*["/"] * PER_HOST, host=host)]
        for so_far in (AT_ONCE, AT_ONCE + PER_HOST):
            await post.round()
            assert other.connections == so_far
        assert await delivered(post, ids)


async def test_rounds_forget_what_was_over_long_ago(engine: Engine) -> None:
    async with other_side() as other:
        post = Post(engine, other)
        await post.add("/")
        other.scripts["/"] = answering(200)
        await post.round()
        post.now += KEPT
        await post.round()
        async with engine.begin() as conn:
            assert await callbacks.page(conn, None, STATES, None, 10) == []


async def test_the_loop_sends_what_is_due_and_ends_when_it_is_cancelled(engine: Engine) -> None:
    async with other_side() as other:
        post = Post(engine, other)
        other.scripts["/"] = answering(200)
        await post.add("/")
        running = asyncio.ensure_future(post.courier.run())
        assert (await asyncio.wait_for(other.heard.get(), 30)).path == "/"
        running.cancel()
        assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], asyncio.CancelledError)
