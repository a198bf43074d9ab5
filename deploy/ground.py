"""What a local swarm's database must hold before its coordinator starts: tables, the owner's key, the workers' tiers."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import msgspec

from coordinator.api.keys import PREFIX, key_hash, new_secret, shown_prefix
from coordinator.store import accounts, workers
from coordinator.store.engine import Connection, connect
from coordinator.store.migrate import migrate
from deploy.layout import Layout, WorkerPlace
from shared.errors import RequestError
from shared.files import read_private, write_private
from shared.geo.cells import at, format_cell, parse_cell
from shared.geo.index import countries
from shared.ids import STROOPS_PER_GNS
from shared.protocol.messages import Capabilities, Hardware
from shared.tiers import tier_rank

CREDIT_GNS: Final = 1_000
RESOLUTION: Final = 7


async def prepare_database(url: str, layout: Layout, pepper: bytes, places: Sequence[WorkerPlace]) -> str:
    """Migrates, makes the owner's account and key if they are missing, enrols the workers; returns the API key."""
    await migrate(url)
    if not layout.api_key.exists():
        write_private(layout.api_key, new_secret(secrets.token_bytes(32)).encode())
    secret = read_private(layout.api_key).decode(errors="replace").strip()
    if not secret.startswith(PREFIX):
        raise RequestError(
            f"{layout.api_key} is damaged; put back a copy of it, or move it away to have a new key made."
        )
    engine = connect(url)
    now = datetime.now(UTC)
    try:
        async with engine.begin() as conn:
            if await accounts.find_key(conn, key_hash(secret, pepper)) is None:
                await _make_account(conn, uuid4(), secret, pepper, now)
            for place in places:
                await _enrol(conn, place, now)
    finally:
        await engine.dispose()
    return secret


async def _make_account(conn: Connection, account: UUID, secret: str, pepper: bytes, now: datetime) -> None:
    await accounts.create_account(conn, account, "local", now)
    await accounts.grant(conn, account, CREDIT_GNS * STROOPS_PER_GNS, account, now)
    await accounts.create_key(
        conn,
        uuid4(),
        account,
        name="local",
        plan="enterprise",
        secret_hash=key_hash(secret, pepper),
        prefix=shown_prefix(secret),
        now=now,
    )


async def _enrol(conn: Connection, place: WorkerPlace, now: datetime) -> None:
    """The operator's word on a worker's tier, before it has said anything itself."""
    cell = at(parse_cell(place.cell), RESOLUTION)
    nothing = Hardware(cpu="", cores=0, memory_total=0, memory_free=0, os="")
    unseen = Capabilities(
        cell=format_cell(cell), slots=0, models=[], hardware=nothing, engine_build="", agent="", jobs=False
    )
    if await workers.get_worker(conn, place.pk) is None:
        await workers.upsert_worker(
            conn,
            pk=place.pk,
            handle=None,
            cell=cell,
            evidence=0,
            capabilities=msgspec.json.encode(unseen),
            countries=sorted(countries(cell)),
            now=now,
        )
    rank = tier_rank(place.tier)
    assert rank is not None, f"{place.tier} was checked before"
    await workers.set_tier(conn, place.pk, rank)
