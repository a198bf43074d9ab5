"""A header from a stranger: a result or GgufError, whatever the bytes are."""

import io
import struct
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from shared.gguf.facts import facts_of, facts_of_file
from shared.gguf.memory import LEAST_CONTEXT, kv_bytes, memory_need, need_of
from shared.gguf.reader import FRONT, MOST_HEADER, GgufError, Header, Skipped, read
from shared.gguf.thin import thin
from tests.support_gguf import (
    BOOL,
    F32,
    U8,
    U64,
    a_model,
    gguf,
    number,
    numbers,
    some_tensors,
    string,
    strings,
    text,
)

NANO = Path("shared/models/hive-nano.gguf").read_bytes()
HEADER = read(io.BytesIO(NANO), len(NANO))
SECONDS = 5.0


def header(raw: bytes) -> Header:
    return read(io.BytesIO(raw), len(raw))


def test_the_bundled_model_is_read_in_full() -> None:
    facts = facts_of_file(Path("shared/models/hive-nano.gguf"))
    assert (facts.architecture, facts.kind, facts.quantization) == ("llama", "model", "Q8_0")
    assert (facts.context, facts.layers, facts.embedding, facts.vocabulary) == (2048, 5, 256, 4096)
    assert (facts.heads, facts.kv_heads, facts.key_length) == ((8,) * 5, (8,) * 5, 32)
    assert (facts.parameters, facts.size_bytes) == (5_311_232, len(NANO))
    assert sum(facts.layer_bytes) + facts.outside_bytes == sum(tensor.size for tensor in HEADER.tensors)
    assert facts.chat_template.startswith("{%-")
    last = HEADER.tensors[-1]
    assert (HEADER.tensors[0].offset, last.offset + last.size) == (HEADER.data_start, len(NANO))


def test_reading_stops_where_the_table_ends() -> None:
    class Watched(io.BytesIO):
        furthest = 0

        def read(self, size: int | None = -1) -> bytes:
            part = super().read(size)
            self.furthest = max(self.furthest, self.tell())
            return part

    file = Watched(NANO)
    read(file, len(NANO))
    assert HEADER.data_start <= file.furthest < HEADER.data_start + (1 << 18)


def test_a_number_for_each_layer_and_what_the_file_does_not_say() -> None:
    each = facts_of(header(a_model({"llama.attention.head_count_kv": numbers([2, 0])})))
    assert each.kv_heads == (2, 0)
    assert kv_bytes(each) == 2 * (16 + 16) * 2
    bare = facts_of(header(gguf({"general.architecture": string("bert")}, some_tensors(1, 8))))
    assert (bare.context, bare.layers, bare.kv_heads, bare.quantization, bare.pooling) == (0, 0, (), "Q8_0", "")
    pooled = gguf({"general.architecture": string("bert"), "bert.pooling_type": number(1)}, some_tensors(1, 8))
    assert facts_of(header(pooled)).pooling == "mean"


def test_parts_that_are_no_model_by_themselves() -> None:
    eyes = gguf({"general.architecture": string("clip"), "clip.has_vision_encoder": number(True, BOOL)})
    assert (facts_of(header(eyes)).kind, facts_of(header(eyes)).vision) == ("projector", True)
    adapter = gguf({"general.type": string("adapter"), "general.architecture": string("llama")})
    assert facts_of(header(adapter)).kind == "adapter"
    assert facts_of(header(a_model({"split.count": number(3)}))).parts == 3


def test_a_file_without_weights_keeps_every_byte_of_its_metadata() -> None:
    made = thin(io.BytesIO(NANO), HEADER)
    again = header(made)
    assert made[FRONT : HEADER.metadata_end] == NANO[FRONT : HEADER.metadata_end]
    assert (again.metadata, again.tensors, len(made) % 32) == (HEADER.metadata, (), 0)
    assert facts_of(again).kind == "vocabulary"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "cut off"),
        (b"GGML" + NANO[4:], "does not begin"),
        (b"GGUF\x01" + NANO[5:], "GGUF 1"),
        (b"GGUF\x00\x00\x00\x03" + NANO[8:], "byte order"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 1 << 60, 1), "tensors"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 1, 1 << 60), "metadata values"),
        (gguf({"general.alignment": number(24)}), "alignment"),
        (gguf({"general.alignment": number(1 << 30)}), "alignment"),
        (gguf({"a": struct.pack("<I", 77)}), "unknown kind"),
        (gguf({"a": struct.pack("<IIQ", 9, 9, 1)}), "list of lists"),
        (gguf({"a": struct.pack("<IIQ", 9, 8, 1 << 62)}), "too many"),
        (gguf({"a": struct.pack("<IIQ", 9, 4, 1 << 62)}), "cut off"),
        (gguf({"a": struct.pack("<IQ", 8, (1 << 64) - 1)}), "cut off"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 2) + 2 * (text("a") + number(1)), "twice"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", 1 << 40), "too long"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", 1) + b"\xff" + number(1), "no text"),
        (gguf({}, [("a", (4, 4), 0, 64), ("a", (4, 4), 0, 64)]), "one name"),
        (gguf({}, [("a", (4,) * 5, 0, 64)]), "5 dimensions"),
        (gguf({}, [("a", (), 0, 64)]), "0 dimensions"),
        (gguf({}, [("a", (0, 4), 0, 64)]), "impossible"),
        (gguf({}, [("a", (33,), 8, 64)]), "impossible"),
        (gguf({}, [("a", (1 << 40, 1 << 40), 0, 64)]), "impossible"),
        (gguf({}, [("a", (4,), 4, 64)]), "unknown type"),
        (gguf({}, [("a", (1 << 20,), 0, 64)]), "does not lie in it"),
    ],
)
def test_what_is_wrong_is_said(raw: bytes, says: str) -> None:
    with pytest.raises(GgufError, match=says):
        header(raw)


def test_values_of_another_kind_or_beyond_reason() -> None:
    for key, value, says in [
        ("general.architecture", number(1), "not what it should be"),
        ("general.architecture", string("../x y"), "no plain name"),
        ("general.name", string("x" * (1 << 19)), "too long"),
        ("llama.context_length", string("many"), "not what it should be"),
        ("llama.context_length", number(1 << 40, U64), "beyond reason"),
        ("llama.context_length", number(2.5, F32), "not what it should be"),
        ("llama.block_count", number(1_000_000), "layers"),
        ("llama.attention.head_count_kv", numbers([1.0, 2.0], F32), "beyond reason"),
        ("llama.embedding_length", number(True, BOOL), "not what it should be"),
    ]:
        with pytest.raises(GgufError, match=says):
            facts_of(header(a_model({key: value})))


def test_large_values_are_passed_over() -> None:
    found = header(gguf({"a": string("x" * (1 << 19)), "b": numbers(range(1 << 13)), "c": strings(["x"] * 9)}))
    assert found.metadata == {"a": Skipped(1 << 19), "b": Skipped(1 << 13), "c": Skipped(9)}


def test_a_hostile_header_costs_little_memory() -> None:
    """Texts without end, and a long key after a long key: neither is kept."""
    many = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 8, 1 << 16) + bytes(8 << 16)
    long = gguf({f"{n}{'k' * 60_000}": number(1, U8) for n in range(100)})
    tracemalloc.start()
    header(many)
    with pytest.raises(GgufError, match="too long"):
        header(long)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_header_longer_than_any_is_refused() -> None:
    front = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + text("a") + struct.pack("<IQ", 8, MOST_HEADER)
    with pytest.raises(GgufError, match="too long"):
        read(io.BytesIO(front), 1 << 40)


def a_result_or_a_reason(raw: bytes) -> None:
    begun, reason = time.process_time(), "it is fine"
    try:
        facts = facts_of(header(raw))
        assert memory_need(facts, facts.context, 4) >= 0
        assert need_of(facts).largest_context(facts.context, 1 << 40, 4) >= 0
    except GgufError as error:
        reason = str(error)
    assert reason.startswith(("it", "two", "the", "a "))
    assert len(reason) < 300
    assert reason.isprintable()
    assert time.process_time() - begun < SECONDS


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_random_bytes(raw: bytes) -> None:
    a_result_or_a_reason(raw)
    a_result_or_a_reason(b"GGUF\x03\0\0\0" + raw)


@settings(max_examples=200)
@given(st.integers(0, len(NANO) - 1))
def test_every_cut_is_found(length: int) -> None:
    with pytest.raises(GgufError, match="cut off"):
        header(NANO[:length])


CHANGE = st.binary(min_size=1, max_size=9)
SMALL = a_model()
SMALL_FRONT = header(SMALL).data_start


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, SMALL_FRONT - 1), CHANGE), min_size=1, max_size=6))
def test_changed_bytes(changes: list[tuple[int, bytes]]) -> None:
    raw = bytearray(SMALL)
    for at, new in changes:
        raw[at : at + len(new)] = new
    a_result_or_a_reason(bytes(raw))


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, HEADER.data_start - 1), CHANGE), min_size=1, max_size=6))
def test_changed_bytes_of_the_bundled_model(changes: list[tuple[int, bytes]]) -> None:
    raw = bytearray(NANO)
    for at, new in changes:
        raw[at : at + len(new)] = new
    a_result_or_a_reason(bytes(raw))


@settings(max_examples=100)
@given(st.integers(0, SMALL_FRONT - 1), st.binary(max_size=30), st.integers(0, 30))
def test_inserted_and_removed_bytes(at: int, new: bytes, gone: int) -> None:
    a_result_or_a_reason(SMALL[:at] + new + SMALL[at + gone :])


def test_memory_grows_with_context_slots_and_the_kind_of_cache() -> None:
    facts = facts_of(HEADER)
    assert kv_bytes(facts) == 5 * 8 * 64 * 2
    assert memory_need(facts, 2048, 1) > facts.size_bytes
    assert memory_need(facts, 2048, 4) == memory_need(facts, 4096, 2)
    assert memory_need(facts, 2048, 4, "q8_0") < memory_need(facts, 2048, 4) < memory_need(facts, 2048, 4, "f32")


@given(st.integers(0, 1 << 31), st.integers(1, 64))
def test_the_largest_context_fits_and_the_next_does_not(memory: int, slots: int) -> None:
    need, trained = need_of(facts_of(HEADER)), 2048
    context = need.largest_context(trained, memory, slots)
    if context:
        assert need.of(context, slots) <= memory
    if context < trained:
        assert need.of(context + 256, slots) > memory
    assert need.fits(trained, memory) == (need.largest_context(trained, memory, 1) == trained)


def test_a_model_fits_when_it_can_give_one_answer() -> None:
    need = need_of(facts_of(HEADER))
    assert need.fits(0, need.of(LEAST_CONTEXT, 1))
    assert not need.fits(1 << 20, need.of(LEAST_CONTEXT, 1) - 1)
