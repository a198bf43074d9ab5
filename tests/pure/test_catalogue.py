"""The library has the seeds' models under the seeds' names, and its numbers hold together."""

from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from coordinator.api.hive import Hive
from coordinator.api.swarm import Swarm
from coordinator.submit.prepare import by_id, known_model
from shared.catalogue import Entry, catalogue, library, named, names, price_by_size
from tests.pure.test_price import KEY, asking

SEEDS = (
    "tinyllama", "phi-3-mini", "gemma-2-2b", "llama3:8b-instruct-q8_0", "llama-3-70b-instruct", "gemma-2-9b-it",
    "mistral-7b-instruct-v0.3", "meta-llama/llama-3.2-1b-instruct", "llama-3.2-3b-instruct", "llama-3.1-8b-instruct",
    "llama-3.1-70b-instruct", "llama-3.3-70b-instruct",
)  # fmt: skip
GIB = 1 << 30


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_models_are_listed(name: str) -> None:
    assert named(library(), name) is not None


def test_no_name_is_taken_twice() -> None:
    known = [*names(library().values()), *catalogue()]
    assert len(set(known)) == len(known)
    assert named(library(), "gpt-9") is None


def test_numbers_hold_together() -> None:
    for model in library().values():
        bits = 8 * model.size_bytes / model.parameters
        least, most = {"Q4_K_M": (4.5, 5.6), "Q8_0": (8.3, 8.8), "F16": (15.5, 16.5)}[model.quantization]
        assert least < bits < most, model.id
        assert model.file.endswith(".gguf")
        assert 0 < model.price_in < model.price_out
        assert model.need.of(4096, 1) > model.size_bytes
    assert library()["tinyllama"].need.fits(2048, 2 * GIB)
    assert not library()["llama-3-70b-instruct"].need.fits(8192, 32 * GIB)


def test_prices_grow_with_size() -> None:
    assert price_by_size(1) == price_by_size(10**9) == (100_000_000, 200_000_000)
    assert price_by_size(42_520_000_000) == (4_300_000_000, 8_600_000_000)


def test_another_name_means_the_same_model() -> None:
    entry: Entry = msgspec.structs.replace(catalogue()["hive-nano"], id="a/b", aliases=("b",))
    models = {"a/b": entry}
    assert known_model(asking("b"), models, KEY) is known_model(asking("a/b"), models, KEY) is entry
    assert by_id(asking("b"), entry).request.model == "a/b"
    assert by_id(asking("a/b"), entry) == asking("a/b")
    swarm = Swarm(cast("Hive", SimpleNamespace(catalogue=models)))
    assert [swarm.id_of(name) for name in ("b", "a/b", "c")] == ["a/b", "a/b", "c"]
    for allowed in (["b"], ["a/b"]):
        assert known_model(asking("b"), models, msgspec.structs.replace(KEY, models=allowed)) is entry
