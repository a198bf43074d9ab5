"""What was measured holds for one file, build, number of threads and set of GPUs."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.protocol.messages import Gpu
from worker.engine.wire import Loaded
from worker.measured import FILE, MOST, Measured, lookup, measured_of, remember

GPU = Gpu("RTX", "CUDA0", 24, 20)
LOADED = Loaded(2048, 4, 2, "build 1", 10, [GPU])


def made(digest: str = "ab", loaded: Loaded = LOADED, tps: float = 12.3456) -> Measured:
    return measured_of(digest, loaded, prompt_tps=100.0, tps=tps, slots=4, total_tps=40.0, now=7)


def test_a_measurement_is_found_again_in_thousandths(tmp_path: Path) -> None:
    assert lookup(tmp_path, "ab", LOADED) is None
    remember(tmp_path, made())
    found = lookup(tmp_path, "ab", LOADED)
    assert found is not None
    assert (found.prompt_mtps, found.mtps, found.total_mtps, found.slots, found.at) == (100_000, 12_346, 40_000, 4, 7)


@pytest.mark.parametrize("changed", [{"engine_build": "build 2"}, {"threads": 3}, {"gpus": []}])
def test_it_does_not_hold_for_another_engine(tmp_path: Path, changed: dict[str, Any]) -> None:
    remember(tmp_path, made())
    assert lookup(tmp_path, "ab", msgspec.structs.replace(LOADED, **changed)) is None
    assert lookup(tmp_path, "cd", LOADED) is None


def test_free_memory_and_context_do_not_matter(tmp_path: Path) -> None:
    remember(tmp_path, made())
    other = msgspec.structs.replace(LOADED, context=512, gpus=[msgspec.structs.replace(GPU, memory_free=1)])
    assert lookup(tmp_path, "ab", other) is not None


def test_a_newer_measurement_replaces_the_older_one(tmp_path: Path) -> None:
    remember(tmp_path, made(tps=1))
    remember(tmp_path, made("cd", tps=2))
    remember(tmp_path, made(tps=3))
    assert (found := lookup(tmp_path, "ab", LOADED)) is not None
    assert found.mtps == 3_000
    assert len(msgspec.json.decode((tmp_path / FILE).read_bytes())) == 2


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    lots = [msgspec.structs.replace(made(), digest=f"{i}") for i in range(MOST)]
    (tmp_path / FILE).write_bytes(msgspec.json.encode(lots))
    remember(tmp_path, made())
    assert lookup(tmp_path, "0", LOADED) is None
    assert lookup(tmp_path, "ab", LOADED) is not None


@pytest.mark.parametrize("content", [b"", b"[", b"[1]", b"\xff", b'[{"digest": "\xff"}]', b"[" * 100_000])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert lookup(tmp_path, "ab", LOADED) is None
    remember(tmp_path, made())
    assert lookup(tmp_path, "ab", LOADED) is not None
