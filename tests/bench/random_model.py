"""A GGUF of TinyLlama's shape (1.1 B parameters, Q8_0) with random weights and hive-nano's vocabulary, padded."""

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

from shared.catalogue import catalogue

LAYERS, WIDTH, FEED, HEADS, KV_HEADS, VOCABULARY, CONTEXT = 22, 2048, 5632, 32, 4, 32_000, 4096
BLOCK, BLOCK_BYTES = 32, 34
UNUSED = 5
"""The token type of padding."""
SCALE = 0.0003


def write(file: Path) -> None:
    """Writes the model: some 1.2 GB."""
    writer = GGUFWriter(file, "llama", use_temp_file=False)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(7)
    _vocabulary(writer, GGUFReader(catalogue()["hive-nano"].path))
    _tensors(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary(writer: GGUFWriter, nano: Any) -> None:
    def values(key: str) -> list[Any]:
        field = nano.fields[key]
        return [field.parts[i].tolist() for i in field.data]

    def text(key: str) -> str:
        return str(nano.fields[key].contents())

    words = [bytes(value).decode() for value in values("tokenizer.ggml.tokens")]
    types = [value[0] for value in values("tokenizer.ggml.token_type")]
    padding = VOCABULARY - len(words)
    writer.add_tokenizer_model(text("tokenizer.ggml.model"))
    writer.add_tokenizer_pre(text("tokenizer.ggml.pre"))
    writer.add_token_list([*words, *(f"<unused{i}>" for i in range(padding))])
    writer.add_token_types([*types, *[UNUSED] * padding])
    writer.add_token_merges([bytes(value).decode() for value in values("tokenizer.ggml.merges")])
    writer.add_chat_template(text("tokenizer.chat_template"))
    for key in ("bos", "eos", "padding"):
        field = nano.fields.get(f"tokenizer.ggml.{key}_token_id")
        if field is not None:
            writer.add_uint32(field.name, int(field.contents()))


def _tensors(writer: GGUFWriter) -> None:
    chance = np.random.default_rng(1)
    kv = WIDTH // HEADS * KV_HEADS
    norm = np.ones(WIDTH, np.float32)
    writer.add_tensor("token_embd.weight", _random(chance, VOCABULARY, WIDTH), raw_dtype=GGMLQuantizationType.Q8_0)
    writer.add_tensor("output.weight", _random(chance, VOCABULARY, WIDTH), raw_dtype=GGMLQuantizationType.Q8_0)
    writer.add_tensor("output_norm.weight", norm)
    shapes = {
        "attn_q": (WIDTH, WIDTH), "attn_k": (kv, WIDTH), "attn_v": (kv, WIDTH), "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (FEED, WIDTH), "ffn_up": (FEED, WIDTH), "ffn_down": (WIDTH, FEED),
    }  # fmt: skip
    for layer in range(LAYERS):
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", norm)
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", norm)
        for name, (rows, columns) in shapes.items():
            data = _random(chance, rows, columns)
            writer.add_tensor(f"blk.{layer}.{name}.weight", data, raw_dtype=GGMLQuantizationType.Q8_0)


def _random(chance: np.random.Generator, rows: int, columns: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Blocks of a half-precision scale and 32 signed bytes."""
    blocks = np.empty((rows, columns // BLOCK, BLOCK_BYTES), np.uint8)
    blocks[:, :, :2] = np.frombuffer(np.float16(SCALE).tobytes(), np.uint8)
    blocks[:, :, 2:] = chance.integers(0, 256, (rows, columns // BLOCK, BLOCK), np.uint8)
    return blocks.reshape(rows, columns // BLOCK * BLOCK_BYTES)
