"""The only wiring: parts are made once from the settings, every loop is owned by one task group."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Any, Final, TypeVar, cast

import structlog
from litestar import WebSocket, websocket

from coordinator.api.app import admin_app, public_app
from coordinator.api.face import Face, face_of
from coordinator.api.told import courier_of
from coordinator.batch import rounds
from coordinator.bus import bus_of, subject_name
from coordinator.dispatch import elsewhere, ending, loops, register, watch
from coordinator.dispatch.between import Adrift
from coordinator.dispatch.hub import Hub
from coordinator.dispatch.relay import Relay
from coordinator.dispatch.socket import worker_socket
from coordinator.dispatch.state import Dispatch
from coordinator.listening import GRACE_S, Listener, bind, config
from coordinator.observe import lag
from coordinator.observe.tracing import TRACING
from coordinator.pinned import FOLDER, servable
from coordinator.queue import retention, sweep
from coordinator.queue.reach import Reach
from coordinator.settings import Secrets, Settings, load_secrets
from coordinator.settle.payout import Payer, Policy
from coordinator.settle.stellar import Horizon, LedgerAway, LedgerKeys
from coordinator.store.embedded import EmbeddedPostgres
from coordinator.store.engine import Away, Engine, connect, has_tables
from coordinator.submit.kinds import KindCache
from coordinator.submit.writer import Writer
from shared.catalogue import Entry
from shared.crypto import fingerprint, public_key
from shared.errors import RequestError
from shared.files import write_private
from shared.geo import index
from shared.logs import configure_logs
from shared.tokens import Vocabulary

log = structlog.get_logger()

SWEEP_S: Final = 1.0
PAYOUT_S: Final = 0.5
FORGETTING_S: Final = 3600.0
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
RECONNECT_MS: Final = 500

Result = TypeVar("Result")


@dataclass(frozen=True)
class Hive:
    """The parts of one coordinator, as the HTTP face sees them."""

    settings: Settings
    secrets: Secrets
    engine: Engine
    dispatch: Dispatch
    writer: Writer
    kinds: KindCache
    catalogue: Mapping[str, Entry]
    vocabularies: Mapping[str, Vocabulary]
    clock: Callable[[], datetime]
    ledger_keys: LedgerKeys | None

    @property
    def network(self) -> str | None:
        """The passphrase of the network that workers are paid on; None where nothing is paid out."""
        return self.ledger_keys.passphrase if self.ledger_keys else None

    @property
    def hub(self) -> Hub:
        """Who is connected."""
        return self.dispatch.hub

    @property
    def relay(self) -> Relay:
        """Who reads what."""
        return self.dispatch.relay

    async def look_elsewhere(self) -> None:
        """Reads which workers are online at other coordinators; raises Away."""
        await elsewhere.look(self.dispatch)


def build(settings: Settings, url: str) -> Hive:
    """Makes the parts of a coordinator on the database at `url`; nothing runs yet."""
    secrets = load_secrets(settings.secrets_folder)
    engine, kinds = connect(url), KindCache()
    models = servable(settings.state_dir / FOLDER, lambda problem: log.warning("model_left_out", reason=problem))
    vocabularies = {name: Vocabulary(entry.path) for name, entry in models.items()}
    name = subject_name(f"{socket.gethostname()}-{settings.port}-{token_hex(4)}")
    dispatch = Dispatch(
        engine=engine,
        key=secrets.server_key,
        name=name,
        bus=bus_of(settings.nats_url, public_key(secrets.server_key)[:16], name),
        public_host=settings.public_host,
        geo_digest=index.load().digest,
        catalogue=models,
        vocabularies=vocabularies,
        kinds=kinds,
        clock=_now,
    )
    writer, keys = Writer(engine), _ledger_keys(settings)
    return Hive(settings, secrets, engine, dispatch, writer, kinds, models, vocabularies, _now, keys)


def _ledger_keys(settings: Settings) -> LedgerKeys | None:
    if not settings.horizon_url:
        return None
    if settings.ledger_keys is None:
        raise RequestError("HIVE_HORIZON_URL is set but HIVE_LEDGER_KEYS is not; name the file with the payout keys.")
    try:
        return LedgerKeys.read(settings.ledger_keys)
    except (ValueError, OSError) as e:
        raise RequestError(f"The payout keys cannot be used: {e}.") from e


async def serve_until_stopped(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then takes nothing more, sends workers away, ends requests within seconds and stops;
    told so again it does not wait for those that another coordinator could end."""
    configure_logs(settings.log_level)
    TRACING.start(os.environ)
    stop, hurry = asyncio.Event(), asyncio.Event()

    def told() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told)
    embedded = None if settings.database_url else EmbeddedPostgres(settings.state_dir / "postgres")
    try:
        url = settings.database_url or (embedded.start() if embedded else "")
        if embedded:
            await _migrate(url)
        async with serving(build(settings, url), hurry):
            await stop.wait()
    finally:
        if embedded:
            embedded.stop()
        TRACING.stop()


async def _migrate(url: str) -> None:
    from coordinator.store.migrate import migrate  # noqa: PLC0415 - alembic takes 11 MB, and only this needs it

    await migrate(url)


@contextlib.asynccontextmanager
async def serving(hive: Hive, hurry: asyncio.Event | None = None) -> AsyncIterator[None]:
    """Listens and runs every loop inside the block; a loop that fails ends the block. At its end clients of a fleet may get
    the rest of their answers, unless it is told to `hurry`."""
    settings = hive.settings
    sockets = bind(settings.host, settings.port), bind(settings.admin_host, settings.admin_port)
    grace_s = GRACE_S + (loops.FINISH_S if settings.nats_url else 0)
    public = Listener(config(public_app(hive, [worker]), grace_s))
    admin = Listener(config(admin_app(hive)))
    payer = _payer(hive)
    if await _unless_away("tables", lambda: has_tables(hive.engine)) is False:
        raise RequestError("The database has no tables of Hive; run 'hive coordinator migrate' first.")
    await _unless_away("register", lambda: watch.renew(hive.dispatch))
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for work in _loops(hive, payer)]
            listening = [
                tasks.create_task(listener.serve(sockets=[bound]))
                for listener, bound in zip((public, admin), sockets, strict=True)
            ]
            _announce(hive, sockets)
            try:
                yield
            finally:
                public.should_exit = admin.should_exit = True
                loops.drain(hive.dispatch, RECONNECT_MS)
                await loops.finish(hive.dispatch, hurry or asyncio.Event())
                hive.relay.stop()
                await asyncio.gather(*listening, return_exceptions=True)
                await _unless_away("departure", lambda: register.depart(hive.dispatch))
                for task in running:
                    task.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    finally:
        await hive.engine.dispose()


def _loops(hive: Hive, payer: Payer | None) -> list[Any]:
    owned = [hive.writer.run(), loops.run(hive.dispatch), _sweeping(hive), courier_of(hive).run()]
    owned += [rounds.run(Face(hive)), lag.run(), _forgetting(hive)]
    return [*owned, _paying(payer)] if payer else owned


async def _sweeping(hive: Hive) -> None:
    """Sweeps for ever: at once again after a full round, else after a second. After a start or an outage what is held
    here is renewed first, or the sweep would take jobs whose workers and readers are there."""
    renewed, reach = False, Reach()
    while True:
        if not renewed:
            renewed = bool(await _unless_away("renewal", lambda: _renewed(hive)))
            reach = Reach()
        swept = await _unless_away("sweep", partial(_swept, hive, reach)) if renewed else None
        renewed = swept is not None
        if swept is None or not swept.more:
            await asyncio.sleep(SWEEP_S)


async def _swept(hive: Hive, reach: Reach) -> sweep.Swept:
    since = reach.since(now := _now())
    swept = await sweep.one_round(hive.engine, now, partial(ending.delivered, hive.dispatch), since)
    if not swept.more:
        reach.swept(since, now, _now())
    hive.hub.wake_ids(swept.again)
    if swept.adrift:
        hive.dispatch.bus.tell(Adrift(list(swept.adrift)))
    return swept


async def _renewed(hive: Hive) -> bool:
    await watch.renew(hive.dispatch)
    return True


async def _forgetting(hive: Hive) -> None:
    """Forgets days whose time is over, for ever."""
    days = hive.settings.keep_days
    while True:
        if gone := await _unless_away("retention", lambda: retention.one_round(hive.engine, _now(), days)):
            log.info("old days are forgotten", tables=gone)
        await asyncio.sleep(FORGETTING_S)


async def _paying(payer: Payer) -> None:
    """Pays for ever; a ledger or a database that is away is asked again."""
    opened = False
    while True:
        if opened:
            await _unless_away("payout", lambda: payer.one_round(_now()))
        else:
            opened = bool(await _unless_away("payout", lambda: _opened(payer)))
        await asyncio.sleep(PAYOUT_S)


async def _opened(payer: Payer) -> bool:
    try:
        await payer.open_channels()
    except ValueError as e:
        raise RequestError(f"Workers cannot be paid: {e}.") from e
    return True


async def _unless_away(what: str, work: Callable[[], Awaitable[Result]]) -> Result | None:
    """Does one round; None, with a line in the log, if the database or the ledger is away."""
    try:
        return await work()
    except (Away, LedgerAway) as e:
        log.warning("away", what=what, reason=str(e))
        return None


def _payer(hive: Hive) -> Payer | None:
    settings = hive.settings
    if hive.ledger_keys is None:
        return None
    policy = Policy(settings.pay_held_jobs, settings.pay_held_hours, settings.payout_threshold, settings.payout_age_s)
    return Payer(hive.engine, Horizon(settings.horizon_url), hive.ledger_keys, policy)


@websocket("/hive/worker")
async def worker(socket: WebSocket[Any, Any, Any]) -> None:
    """A worker's connection, for as long as it lasts."""
    await worker_socket(socket, cast("Hive", face_of(socket).hive).dispatch)


def _announce(hive: Hive, sockets: tuple[socket.socket, ...]) -> None:
    settings = hive.settings
    urls = ["http://{}:{}".format(*bound.getsockname()[:2]) for bound in sockets]
    told = {"base_url": urls[0], "admin_url": urls[1], "server_key": fingerprint(public_key(hive.secrets.server_key))}
    log.info("listening", **told)
    if settings.host not in LOOPBACK and not settings.public_host:
        log.warning("only workers on this machine can join: set HIVE_PUBLIC_HOST to the name that the others dial")
    if settings.ready_file:
        write_private(settings.ready_file, json.dumps(told).encode())


def _now() -> datetime:
    return datetime.now(UTC)
