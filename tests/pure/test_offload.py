"""How many layers of a model go to which GPU, and which devices count as one."""

from bisect import bisect_right
from itertools import accumulate

from hypothesis import given, strategies as st

from shared.protocol.messages import Gpu
from worker.engine.offload import ALL, RESERVE, Device, Placement, Weights, place, used

GIB = 1 << 30


def gpu(free: int, name: str = "card", backend: str = "CUDA0") -> Gpu:
    return Gpu(name, backend, free + GIB, free)


def with_room(*room: int) -> list[Gpu]:
    return [gpu(size + RESERVE, f"card {i}", f"CUDA{i}") for i, size in enumerate(room)]


def as_llama_cpp(placement: Placement, layers: int, devices: int) -> list[int | None]:
    """Which device llama.cpp gives each layer and, last, the output (`llama_model_base::load_tensors`); None is the
    processor."""
    slots = min(placement.layers, layers + 1)
    first = max(layers + 1 - placement.layers, 0)
    counts = placement.counts if devices > 1 else (1,)
    splits = [size / sum(counts) for size in accumulate(counts)] if slots else []
    return [None if il < first else bisect_right(splits, (il - first) / slots) for il in range(layers + 1)]


def test_without_a_gpu_or_with_none_allowed_everything_runs_on_the_processor() -> None:
    weights = Weights([100] * 4, 100, 1)
    for placement in (place([], weights, tokens=10), place(with_room(GIB), weights, tokens=10, most_bytes=0)):
        assert (placement.layers, placement.split()) == (0, None)
        assert "processor" in placement.reason


def test_a_model_that_fits_goes_to_one_gpu_as_a_whole() -> None:
    placement = place(with_room(1000), Weights([100] * 4, 100, 1), tokens=10)
    assert (placement.layers, placement.split()) == (ALL, None)
    assert "all 4 layers" in placement.reason


def test_the_cache_counts_and_the_last_layers_go_first_with_the_output() -> None:
    weights = Weights([100] * 4, 100, 10)
    assert place(with_room(500), weights, tokens=0).layers == ALL
    placement = place(with_room(500), weights, tokens=10)
    assert placement.layers == 3, "two layers with their cache, and the output"
    assert as_llama_cpp(placement, 4, 1) == [None, None, 0, 0, 0]
    assert place(with_room(150), weights, tokens=10).layers == 0


def test_the_owners_cap_is_over_all_gpus() -> None:
    weights = Weights([100] * 4, 100, 0)
    assert place(with_room(400, 400), weights, tokens=0).layers == ALL
    assert place(with_room(400, 400), weights, tokens=0, most_bytes=400).layers == 4
    assert place(with_room(400, 400), weights, tokens=0, most_bytes=10**6).layers == ALL


def test_what_is_left_alone_is_left_alone_on_each_gpu() -> None:
    assert place([gpu(RESERVE)], Weights([1], 0, 0), tokens=0).layers == 0
    assert place([gpu(RESERVE + 1), gpu(RESERVE)], Weights([1], 0, 0), tokens=0).counts == (2, 0)


def test_layers_that_only_fit_together_on_paper_are_not_put_on_two_gpus() -> None:
    placement = place(with_room(100, 100), Weights([60, 60, 60], 10, 0), tokens=0)
    assert placement.layers == 3
    assert as_llama_cpp(placement, 3, 2) == [None, 0, 1, 1]


def test_equal_gpus_share_alike() -> None:
    assert place(with_room(1000, 1000), Weights([100] * 9, 100, 0), tokens=0).counts == (6, 4)


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=12),
    st.integers(0, 150),
    st.lists(st.integers(0, 600), min_size=1, max_size=4),
    st.integers(0, 5),
    st.one_of(st.none(), st.integers(0, 1500)),
)
def test_no_gpu_gets_more_than_it_has_room_for(
    layers: list[int], outside: int, room: list[int], tokens: int, cap: int | None
) -> None:
    placement = place(with_room(*room), Weights(layers, outside, 3), tokens=tokens, most_bytes=cap)
    parts = [*(size + 3 * tokens for size in layers), outside]
    taken = [0] * len(room)
    for part, device in zip(parts, as_llama_cpp(placement, len(layers), len(room)), strict=True):
        if device is not None:
            taken[device] += part
    assert all(size <= most for size, most in zip(taken, room, strict=True))
    assert sum(taken) <= (sum(room) if cap is None else cap)


def test_a_card_that_two_backends_see_counts_once() -> None:
    cuda, vulkan = gpu(GIB), gpu(GIB, backend="Vulkan0")
    found = [Device(1, "0000:01:00.0", cuda), Device(1, "0000:01:00.0", vulkan), Device(0, "", gpu(0, "processor"))]
    assert used(found) == [cuda]
    assert used([Device(1, "", cuda), Device(1, "", cuda)]) == [cuda, cuda], "without a place they may be two"


def test_an_integrated_gpu_counts_where_nothing_else_is_there() -> None:
    small, again, card = gpu(GIB, "Iris", "Vulkan0"), gpu(GIB, "Iris", "SYCL0"), gpu(GIB, "RTX", "Vulkan1")
    assert used([Device(2, "", small), Device(1, "", card)]) == [card]
    assert used([Device(2, "", small), Device(2, "", again)]) == [small]
    assert used([Device(3, "", card), Device(4, "", card)]) == []
