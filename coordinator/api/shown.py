"""The swarm as anybody may see it: no addresses, no cell finer than resolution 4. Memory in bytes, money in GNS."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal

import msgspec

from coordinator.api.views import written
from coordinator.store.rows import StatusNumbers, WorkerRow
from shared.geo.cells import format_cell, public_cell
from shared.ids import to_gns
from shared.protocol.messages import Capabilities, Hardware, ModelOffer
from shared.tiers import EVIDENCE, tier_name

Ledger = Literal["none", "local", "testnet", "stellar"]
_NETWORKS: Final[dict[str, Ledger]] = {
    "Public Global Stellar Network ; September 2015": "stellar",
    "Test SDF Network ; September 2015": "testnet",
}
_GIB: Final = 2**30


class ShownModel(msgspec.Struct, frozen=True):
    """A model at a worker: in memory, on the way there or only on its disk; `verifiability` is weak where another program
    makes the tokens, and `tokens_per_second` is what the worker measured of one stream, 0 where it did not."""

    id: str
    context_length: int
    loaded: bool
    loading: bool
    verifiability: str
    tokens_per_second: float


class ShownGpu(msgspec.Struct, frozen=True):
    """A graphics card of a worker; memory in bytes."""

    name: str
    memory_total: int


class ShownHardware(msgspec.Struct, frozen=True):
    """What a worker runs on; memory in bytes, `tflops` measured (0 where nobody has)."""

    cpu: str
    cores: int
    memory_total: int
    gpus: list[ShownGpu]
    tflops: float


class ShownWorker(msgspec.Struct, frozen=True):
    """A registered worker; `running` is how many of its slots are taken now."""

    pk: str
    handle: str | None
    cell: str
    countries: list[str]
    tier: str
    evidence: str
    state: str
    online: bool
    slots: int
    running: int
    models: list[ShownModel]
    hardware: ShownHardware
    engine_build: str
    first_seen: str
    last_seen: str


class WorkerList(msgspec.Struct, frozen=True):
    """Every worker seen within a day, the ones online first."""

    data: list[ShownWorker]


class SwarmStatus(msgspec.Struct, frozen=True):
    """What the swarm does now and did so far. `total_tokens_distributed` is GNS paid out, `tokens_per_second` over the
    last ten seconds, `avg_ram_gb` in GiB; `ledger` says where it is paid."""

    active_nodes: int
    total_tflops: float
    computing_nodes: int
    avg_ram_gb: float
    active_h3_cells: int
    total_tokens_distributed: Decimal
    jobs: dict[str, int]
    tokens_in: int
    tokens_out: int
    tokens_per_second: float
    registered_nodes: int
    models: int
    ledger: Ledger


def ledger_of(passphrase: str | None) -> Ledger:
    """Which ledger a network passphrase names: any but Stellar's own two is a local one; None pays nothing out."""
    return "none" if passphrase is None else _NETWORKS.get(passphrase, "local")


def _hardware(found: Hardware) -> ShownHardware:
    gpus = [ShownGpu(gpu.name, gpu.memory_total) for gpu in found.gpus]
    return ShownHardware(found.cpu, found.cores, found.memory_total, gpus, found.tflops_milli / 1000)


def shown_worker(row: WorkerRow, running: Mapping[str, int]) -> ShownWorker:
    """A worker for everybody; `running` has the taken slots of those online."""
    capabilities = msgspec.json.decode(row.capabilities, type=Capabilities)
    return ShownWorker(
        pk=row.pk,
        handle=row.handle,
        cell=format_cell(public_cell(row.cell)),
        countries=sorted(row.countries),
        tier=tier_name(row.tier),
        evidence=EVIDENCE[row.evidence],
        state=row.state,
        online=row.pk in running,
        slots=capabilities.slots,
        running=running.get(row.pk, 0),
        models=[_at_worker(model) for model in capabilities.models],
        hardware=_hardware(capabilities.hardware),
        engine_build=capabilities.engine_build,
        first_seen=written(row.first_seen),
        last_seen=written(row.last_seen),
    )


def status(
    numbers: StatusNumbers,
    workers: Iterable[ShownWorker],
    cells: Iterable[int],
    *,
    tokens_per_second: float,
    models: int,
    ledger: Ledger,
) -> SwarmStatus:
    """The swarm in numbers; `cells` are those of the workers online."""
    known = list(workers)
    online = [worker for worker in known if worker.online]
    memory = [worker.hardware.memory_total for worker in online]
    states = ("pending", "assigned", "computing", "completed", "failed", "timed_out", "cancelled")
    return SwarmStatus(
        active_nodes=len(online),
        total_tflops=round(sum(worker.hardware.tflops for worker in online), 3),
        computing_nodes=sum(worker.running > 0 for worker in online),
        avg_ram_gb=round(sum(memory) / len(memory) / _GIB, 1) if memory else 0.0,
        active_h3_cells=len(set(cells)),
        total_tokens_distributed=to_gns(numbers.paid),
        jobs={state: getattr(numbers, state) for state in states},
        tokens_in=numbers.tokens_in,
        tokens_out=numbers.tokens_out,
        tokens_per_second=tokens_per_second,
        registered_nodes=len(known),
        models=models,
        ledger=ledger,
    )


def rate(samples: Sequence[tuple[float, int]]) -> float:
    """Tokens a second from (seconds, total) samples, oldest first; 0 while there is nothing to compare."""
    if len(samples) < 2 or samples[-1][0] <= samples[0][0]:
        return 0.0
    (start, before), (end, after) = samples[0], samples[-1]
    return round(max(0, after - before) / (end - start), 1)


def _at_worker(model: ModelOffer) -> ShownModel:
    pace = round(model.mtps / 1000, 1)
    return ShownModel(model.id, model.context, model.loaded, model.loading, model.verifiability, pace)
