"""Batches and their files in the database: a large input file is looked at in little memory, and no statement walks."""

import tracemalloc
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from coordinator.batch.checking import MAX_REQUESTS, Checking
from coordinator.batch.lines import MAX_LINE
from coordinator.batch.reading import RENEW_EVERY, check, lines_from
from coordinator.store import batch_lines, batches, files
from coordinator.store.batches import BatchRow
from coordinator.store.engine import Engine
from coordinator.store.files import CHUNK, FileRow
from tests.postgres.made import FORGET, NOW, Shop, open_shop
from tests.postgres.test_plans import plan_of

CHAT: Final = "/v1/chat/completions"


async def file_of(shop: Shop, lines: int, length: int) -> FileRow:
    """A file of so many good lines, each of about so many bytes, written as it is made."""
    row = FileRow(
        id=uuid4(), account_id=shop.account, purpose="batch", filename="f", bytes=0, whole=True, created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )  # fmt: skip
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * length}]}
    async with shop.engine.begin() as conn:
        await files.insert(conn, row)
        held, at = bytearray(), 0
        for number in range(lines):
            line = {"custom_id": f"line-{number}", "method": "POST", "url": CHAT, "body": body}
            held += msgspec.json.encode(line) + b"\n"
            if len(held) >= CHUNK or number == lines - 1:
                await files.write(conn, row.id, at, bytes(held))
                at += len(held)
                held.clear()
        await files.grow(conn, row.id, at)
    return msgspec.structs.replace(row, bytes=at)


async def test_fifty_thousand_lines_are_looked_at_in_little_memory(engine: Engine) -> None:
    shop = await open_shop(engine)
    file = await file_of(shop, MAX_REQUESTS, 900)
    assert file.bytes > 48 * 2**20
    renewed = 0

    async def renew() -> None:
        nonlocal renewed
        renewed += 1

    tracemalloc.start()
    try:
        checking = Checking(CHAT, {"m"})
        await check(engine, file.id, checking, renew)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (checking.flaws, checking.total, checking.model) == ([], MAX_REQUESTS, "m")
    assert peak < 16 * 2**20, "of 48 MiB, with the names of 50 000 lines"
    assert renewed == file.bytes // RENEW_EVERY


async def test_a_line_that_never_ends_is_a_flaw(engine: Engine) -> None:
    shop = await open_shop(engine)
    file = await file_of(shop, 1, 10)
    async with engine.begin() as conn:
        at = file.bytes
        while at < MAX_LINE + 2 * CHUNK:
            await files.write(conn, file.id, at, b"x" * CHUNK)
            at += CHUNK

    async def renew() -> None:
        raise AssertionError("it is not as much as that")

    checking = Checking(CHAT, {"m"})
    await check(engine, file.id, checking, renew)
    assert [(flaw.code, flaw.line) for flaw in checking.flaws] == [("invalid_json_line", 2)]


async def test_a_file_is_read_on_from_any_of_its_lines(engine: Engine) -> None:
    shop = await open_shop(engine)
    file = await file_of(shop, 700, 900)
    whole = [one async for one in lines_from(engine, file.id, 1, 0)]
    assert [one.number for one in whole] == list(range(1, 701))
    assert whole[-1].next_at == file.bytes
    for place in (0, 1, 299, 300, 698, 699):
        rest = [one async for one in lines_from(engine, file.id, place + 2, whole[place].next_at)]
        assert rest == whole[place + 1 :]


STATEMENTS: Final = {
    "claim": batches.CLAIM, "list of batches": str(batches._PAGE), "same": str(batches._SAME),
    "list of files": str(files._PAGES["desc"]), "and back": str(files._PAGES["asc"]), "read": files.READ,
    "quota": str(files._RESERVE), "purge pieces": files.PURGE_PIECES, "purge": files.PURGE,
    "forget": str(batches._FORGET), "delete": str(files._DELETE),
    "over": batch_lines.OVER, "ended": batch_lines.ENDED, "children": str(batch_lines._CHILDREN),
    "untold": str(batch_lines._LIST), "tell": str(batch_lines._TELL), "made": str(batch_lines._MADE),
    "standing": str(batch_lines._STANDING),
}  # fmt: skip
OURS: Final = ("files", "file_chunks", "batches", "batch_lines", "jobs", "jobs_ended", "idempotency")
ORDERED: Final = {
    "claim": "batches_due",
    "purge pieces": "files_expiry",
    "purge": "files_expiry",
    "forget": "batches_over",
}
"""What goes through all that is due, by an index of its own in the order in which it is."""


def keyed(node: Any) -> bool:
    """Whether a scan, or each index that it puts together, is by a key, or by places that another has found."""
    parts = node.get("Plans", [])
    return (
        "Index Cond" in node
        or "TID Cond" in node
        or (node["Node Type"].startswith("Bitmap") and all(map(keyed, parts)) and bool(parts))
    )


def walks(node: Any) -> list[str]:
    """Where a plan reads our tables otherwise than by a key."""
    found = [walk for part in node.get("Plans", []) for walk in walks(part)]
    table = str(node.get("Relation Name", ""))
    if table.startswith(OURS) and node["Node Type"].endswith("Scan") and not keyed(node):
        found.append(f"{node['Node Type']} of {table}")
    return found


async def test_no_statement_walks(engine: Engine) -> None:
    async with engine.connect() as conn:
        await conn.execute(text(FORGET))  # and until this transaction is over no vacuum says again how little there is
        plans = {name: await plan_of(conn, statement) for name, statement in STATEMENTS.items()}
    assert {name: walks(plan) for name, plan in plans.items()} == {name: [] for name in STATEMENTS}
    for name, index in ORDERED.items():
        assert f"'Index Name': '{index}'" in str(plans[name])
        assert "'Sort'" not in str(plans[name])


async def test_a_large_file_goes_piece_by_piece_from_its_end(engine: Engine) -> None:
    shop = await open_shop(engine)
    file, later = await file_of(shop, 3000, 900), await file_of(shop, 3, 900)
    over = NOW + timedelta(days=2)
    async with engine.begin() as conn:
        pieces = await conn.scalar(text("SELECT count(*) FROM file_chunks"))
        await conn.execute(text("UPDATE files SET expires_at = :at WHERE id = :id"), {"at": over, "id": later.id})
        assert (await files.purge_pieces(conn, NOW, 10), await files.purge(conn, over, 10)) == (0, 0)
        assert await files.purge_pieces(conn, over, 2) == 2
        assert await files.read(conn, file.id, 0)
        assert await files.read(conn, file.id, file.bytes - 1) == b"", "it ends before"
        assert await files.purge(conn, over, 10) == 0
        assert await files.purge_pieces(conn, over, pieces) == pieces - 2, "with that of the other file"
        assert await files.purge(conn, over, 10) == 2


async def test_whoever_writes_the_same_piece_twice_writes_neither(engine: Engine) -> None:
    shop = await open_shop(engine)
    file = await file_of(shop, 1, 10)
    async with engine.begin() as conn:
        with pytest.raises(IntegrityError, match="file_chunks_pkey"):
            await files.write(conn, file.id, 0, b"again")
        await conn.rollback()


@pytest.mark.parametrize(
    "change", ["status = 'completed'", "due_at = NULL", "completed = 1", "status = 'ready'", "ended_at = now()"]
)
async def test_the_database_refuses_nonsense(engine: Engine, change: str) -> None:
    shop = await open_shop(engine)
    row = BatchRow(
        id=uuid4(), account_id=shop.account, key_id=shop.key, endpoint=CHAT, input_file=uuid4(), headers=b"{}",
        metadata=b"{}", output_seconds=1, status="validating", created_at=NOW, expires_at=NOW, feed_at=NOW, due_at=NOW,
    )  # fmt: skip
    async with engine.begin() as conn:
        await batches.insert(conn, row)
        with pytest.raises(IntegrityError, match="batches_"):
            await conn.execute(text(f"UPDATE batches SET {change}"))
        await conn.rollback()
