"""The swarm as anybody may see it: no addresses, no cell finer than resolution 4. Memory in bytes, money in GNS."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal

import msgspec

from coordinator.api.views import written
from coordinator.match.rules import WorkerFacts
from coordinator.store.rows import StatusNumbers, WorkerRow
from shared.catalogue import Entry
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
_PER_TOKEN: Final = 1_000_000
FEATURES: Final = ["tools", "json_mode", "structured_outputs", "logprobs"]
"""What our own engine does with any model, by OpenRouter's names; a worker's other programs are not relied on for it."""


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


class Architecture(msgspec.Struct, frozen=True):
    """What a model reads and writes, and its family."""

    modality: str
    family: str


class Pricing(msgspec.Struct, frozen=True):
    """GNS per token and per request, as decimal strings."""

    prompt: str
    completion: str
    request: str


class Datacenter(msgspec.Struct, frozen=True):
    """A country in which a worker has the model now."""

    country_code: str


class ShownModelEntry(msgspec.Struct, frozen=True):
    """A model of the catalogue with OpenAI's four fields, and who serves it now."""

    id: str
    object: str
    created: int
    owned_by: str
    context_length: int
    architecture: Architecture
    pricing: Pricing
    quantization: str
    size_bytes: int
    licence: str
    digest: str
    supported_features: list[str]
    is_ready: bool
    loaded: bool
    workers_online: int
    datacenters: list[Datacenter]


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


def shown_models(catalogue: Mapping[str, Entry], online: Sequence[WorkerFacts]) -> list[ShownModelEntry]:
    """The catalogue's models: loaded ones first, then those that some worker has, then the others, by name."""
    shown = [_shown_model(entry, [facts for facts in online if _serves(facts, entry)]) for entry in catalogue.values()]
    return sorted(shown, key=lambda model: (not model.loaded, not model.is_ready, model.id))


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


def _serves(worker: WorkerFacts, entry: Entry) -> bool:
    return worker.jobs and entry.id in worker.models


def _shown_model(entry: Entry, workers: Sequence[WorkerFacts]) -> ShownModelEntry:
    countries = sorted({country for worker in workers for country in worker.countries})
    return ShownModelEntry(
        id=entry.id,
        object="model",
        created=entry.created,
        owned_by=entry.owned_by,
        context_length=entry.context,
        architecture=Architecture(modality="text->text", family=entry.architecture),
        pricing=Pricing(_per_token(entry.price_in), _per_token(entry.price_out), "0"),
        quantization=entry.quantization,
        size_bytes=entry.size_bytes,
        licence=entry.licence,
        digest=entry.digest,
        supported_features=[] if workers and all(worker.models[entry.id].weak for worker in workers) else FEATURES,
        is_ready=bool(workers),
        loaded=any(worker.models[entry.id].loaded for worker in workers),
        workers_online=len(workers),
        datacenters=[Datacenter(country) for country in countries],
    )


def _per_token(stroops_per_million: int) -> str:
    return f"{to_gns(stroops_per_million) / _PER_TOKEN:f}"
