"""A tiny BERT with random weights, as a GGUF and as a few lines of numpy that say what it should compute."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGUFWriter, PoolingType

LAYERS, WIDTH, HEADS, FEED, CONTEXT = 2, 32, 4, 64, 128
START, END, UNKNOWN, PADDING = 1, 2, 0, 3
WORDS = [
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[PAD]",
    *(f"\u2581{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
    *"abcdefghijklmnopqrstuvwxyz",
]
Matrix = npt.NDArray[np.float32]


class Bert:
    """The weights. `vectors` are its hidden states, one row for each token."""

    def __init__(self, seed: int = 1) -> None:
        chance = np.random.default_rng(seed)
        self.tensors: dict[str, Matrix] = {}

        def some(name: str, *shape: int, scale: float = 0.5) -> None:
            self.tensors[name] = (chance.standard_normal(shape) * scale).astype(np.float32)

        some("token_embd.weight", len(WORDS), WIDTH)
        some("token_types.weight", 2, WIDTH)
        some("position_embd.weight", CONTEXT, WIDTH)
        for norm in (
            "token_embd_norm",
            *(f"blk.{i}.{n}_output_norm" for i in range(LAYERS) for n in ("attn", "layer")),
        ):
            self.tensors[f"{norm}.weight"] = np.ones(WIDTH, np.float32)
            some(f"{norm}.bias", WIDTH, scale=0.1)
        for layer in range(LAYERS):
            for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
                some(f"blk.{layer}.{name}.weight", WIDTH, WIDTH, scale=0.3)
                some(f"blk.{layer}.{name}.bias", WIDTH, scale=0.1)
            some(f"blk.{layer}.ffn_up.weight", FEED, WIDTH, scale=0.3)
            some(f"blk.{layer}.ffn_up.bias", FEED, scale=0.1)
            some(f"blk.{layer}.ffn_down.weight", WIDTH, FEED, scale=0.3)
            some(f"blk.{layer}.ffn_down.bias", WIDTH, scale=0.1)
        some("cls.weight", WIDTH, WIDTH)
        some("cls.bias", WIDTH, scale=0.1)
        some("cls.output.weight", 1, WIDTH)
        some("cls.output.bias", 1, scale=0.1)

    def vectors(self, ids: Sequence[int]) -> Matrix:
        """The last layer's hidden states of a text."""
        t = self.tensors
        x = t["token_embd.weight"][list(ids)] + t["token_types.weight"][0] + t["position_embd.weight"][: len(ids)]
        x = self._normed("token_embd_norm", x)
        for layer in range(LAYERS):
            x = self._normed(f"blk.{layer}.attn_output_norm", x + self._attended(f"blk.{layer}", x))
            up = self._linear(f"blk.{layer}.ffn_up", x)
            up = 0.5 * up * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
            x = self._normed(f"blk.{layer}.layer_output_norm", x + self._linear(f"blk.{layer}.ffn_down", up))
        return x

    def score(self, ids: Sequence[int]) -> float:
        """What its classifier makes of a query and a document."""
        return float(self._linear("cls.output", np.tanh(self._linear("cls", self.vectors(ids)[:1])))[0, 0])

    def write(self, file: Path, pooling: PoolingType, words: Sequence[str] = WORDS) -> Path:
        """As a GGUF that wants this pooling; one that ranks has the classifier too."""
        writer = GGUFWriter(file, "bert", use_temp_file=False)
        writer.add_block_count(LAYERS)
        writer.add_context_length(CONTEXT)
        writer.add_embedding_length(WIDTH)
        writer.add_feed_forward_length(FEED)
        writer.add_head_count(HEADS)
        writer.add_layer_norm_eps(1e-12)
        writer.add_causal_attention(False)
        writer.add_pooling_type(pooling)
        writer.add_file_type(0)
        writer.add_tokenizer_model("bert")
        writer.add_tokenizer_pre("jina-v2-en")
        writer.add_token_list(list(words))
        writer.add_token_types([3] * 4 + [1] * (len(WORDS) - 4))
        writer.add_token_type_count(2)
        writer.add_bos_token_id(START)
        writer.add_sep_token_id(END)
        writer.add_unk_token_id(UNKNOWN)
        writer.add_pad_token_id(PADDING)
        for name, tensor in self.tensors.items():
            if pooling == PoolingType.RANK or not name.startswith("cls"):
                writer.add_tensor(name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return file

    def _attended(self, layer: str, x: Matrix) -> Matrix:
        def split(name: str) -> Matrix:
            return self._linear(f"{layer}.{name}", x).reshape(len(x), HEADS, -1).swapaxes(0, 1)

        q, k, v = map(split, ("attn_q", "attn_k", "attn_v"))
        scores = q @ k.swapaxes(1, 2) / np.sqrt(WIDTH // HEADS)
        shares: Any = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (shares / shares.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(x), WIDTH)
        return self._linear(f"{layer}.attn_output", mixed)

    def _linear(self, name: str, x: Matrix) -> Matrix:
        out: Matrix = x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]
        return out

    def _normed(self, name: str, x: Matrix) -> Matrix:
        centred = x - x.mean(-1, keepdims=True)
        out: Matrix = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return out * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]
