"""Where a swarm on one machine keeps its things, below its data directory."""

from pathlib import Path
from typing import Final

import h3
import msgspec

ROME: Final = (41.9028, 12.4964)
BERLIN: Final = (52.52, 13.405)
NEW_YORK: Final = (40.7128, -74.006)
CITIES: Final = {"Rome": ROME, "Berlin": BERLIN, "New York": NEW_YORK}
WORKER_RESOLUTION: Final = 7


def default_cells(count: int) -> list[str]:
    """The cells of Rome, Berlin and New York in turn."""
    cities = list(CITIES.values())
    return [h3.latlng_to_cell(*cities[n % len(cities)], WORKER_RESOLUTION) for n in range(count)]


class Layout:
    """The folders and files of one data directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.logs = root / "logs"
        self.postgres = root / "postgres"
        self.ledger = root / "ledger"
        self.coordinator = root / "coordinator"
        self.seeds = root / "ledger" / "seeds.json"
        self.ledger_keys = root / "coordinator" / "ledger-keys.json"
        self.api_key = root / "coordinator" / "api.key"
        self.ready = root / "ready.json"
        self.listening = root / "coordinator" / "ready.json"
        self.nats = root / "coordinator" / "nats.conf"

    def worker(self, number: int) -> Path:
        """The HIVE_HOME of worker `number`, counted from 1."""
        return self.root / "workers" / str(number)

    def make(self) -> None:
        """Makes the folders that are not there, readable by the owner alone but for what PostgreSQL must reach."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.logs, self.ledger, self.coordinator):
            folder.mkdir(mode=0o700, exist_ok=True)


class Pids(msgspec.Struct, omit_defaults=True):
    """The processes of a running swarm: several coordinators are a list, and have a NATS server between them."""

    coordinator: int | list[int]
    postgres: int
    horizon: int
    workers: list[int]
    nats: int = 0


class WorkerPlace(msgspec.Struct):
    """One worker as the ready file tells it."""

    pk: str
    cell: str
    tier: str


class Ready(msgspec.Struct):
    """The ready file: how to reach a swarm that is up, and what it consists of. `base_url` is that of the first coordinator,
    `base_urls` are those of all."""

    base_url: str
    base_urls: list[str]
    admin_url: str
    status_url: str
    horizon_url: str
    database_url: str
    api_key: str
    admin_key: str
    pids: Pids
    workers: list[WorkerPlace]
