"""A coordinator may ask for a model; what happens is the owner's decision, and has a reason."""

import msgspec
import pytest
from hypothesis import given, strategies as st

from shared.catalogue import library
from shared.gguf.memory import Need
from shared.protocol.messages import Wanted
from worker.fetching import MARGIN
from worker.models import LocalModel
from worker.wanting import Fetch, Ignore, Load, Means, Policy, decide

GB = 10**9
DIGEST = "ab" * 32
TINY = library()["tinyllama"]
WANTED = Wanted("tinyllama", DIGEST, TINY.size_bytes)
HERE = LocalModel("tinyllama", "/x", DIGEST, 2048, TINY.size_bytes, "llama", source="fetched", need=Need(GB, 25_000))
MEANS = Means(policy="fetch", budget=10 * GB, disk=100 * GB, memory=8 * GB, slots=4)


def means(**changes: object) -> Means:
    return msgspec.structs.replace(MEANS, **changes)


def why(wanted: Wanted, *here: LocalModel, loaded: str = "", busy: str = "", **changes: object) -> str:
    decision = decide(wanted, {model.id: model for model in here}, {loaded}, {busy}, means(**changes))
    assert isinstance(decision, Ignore)
    return decision.reason


@pytest.mark.parametrize("policy", ["load", "fetch"])
def test_a_model_that_is_here_is_loaded(policy: Policy) -> None:
    assert decide(WANTED, {"tinyllama": HERE}, (), (), means(policy=policy)) == Load(HERE, 2048)


def test_a_small_memory_gives_a_small_context() -> None:
    load = decide(WANTED, {"tinyllama": HERE}, (), (), means(memory=GB + 4 * 1024 * 25_000))
    assert load == Load(HERE, 1024)


def test_a_model_that_is_not_here_is_fetched_with_its_digest_alone() -> None:
    assert decide(WANTED, {}, (), (), MEANS) == Fetch(TINY, DIGEST, TINY.size_bytes)
    old = msgspec.structs.replace(HERE, digest="cd" * 32)
    assert decide(WANTED, {"tinyllama": old}, (), (), MEANS) == Fetch(TINY, DIGEST, TINY.size_bytes)


def test_every_refusal_has_its_reason() -> None:
    assert "lets nobody ask" in why(WANTED, HERE, policy="never")
    assert "on its way" in why(WANTED, HERE, busy="tinyllama")
    assert "loaded" in why(WANTED, HERE, loaded="tinyllama")
    assert "another one" in why(WANTED, msgspec.structs.replace(HERE, digest="cd" * 32, source="added"))
    assert "memory" in why(WANTED, HERE, memory=GB)
    assert "memory" in why(WANTED, HERE, memory=-5)
    assert "lets nobody have models fetched" in why(WANTED, policy="load")
    assert "not in the library" in why(msgspec.structs.replace(WANTED, model_id="evil/model"))
    assert "budget" in why(WANTED, budget=TINY.size_bytes - 1)
    assert "disk" in why(WANTED, disk=TINY.size_bytes + MARGIN - 1)
    assert "memory" in why(WANTED, memory=TINY.size_bytes)
    assert "budget" in why(msgspec.structs.replace(WANTED, size_bytes=1 << 60))


@given(
    st.sampled_from(["never", "load", "fetch"]), st.integers(0, 20 * GB), st.integers(0, 20 * GB), st.integers(0, 20 * GB),
    st.integers(1, 64), st.integers(0, 20 * GB), st.sampled_from([*library(), "hive-nano", "other"]),
)  # fmt: skip
def test_no_policy_and_no_bound_is_ever_exceeded(
    policy: Policy, budget: int, disk: int, memory: int, slots: int, size: int, name: str
) -> None:
    has = Means(policy=policy, budget=budget, disk=disk, memory=memory, slots=slots)
    match decide(Wanted(name, DIGEST, size), {"tinyllama": HERE}, (), (), has):
        case Load(model, context):
            assert policy != "never"
            assert model.need is not None
            assert model.need.of(context, slots) <= memory
        case Fetch(listed, digest, size_bytes):
            assert policy == "fetch"
            assert (listed.id, digest) == (name, DIGEST)
            assert size_bytes <= budget
            assert size_bytes + MARGIN <= disk
        case Ignore(reason):
            assert reason.endswith(".")
