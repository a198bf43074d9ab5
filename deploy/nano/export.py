"""Write a checkpoint as a GGUF file: `python -m deploy.nano.export --work DIR --out shared/models/hive-nano.gguf`.

Matrices are Q8_0, norms F32; the tokenizer and the chat template go with them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray

from deploy.nano.model import Shape
from deploy.nano.template import CHAT_TEMPLATE, END_OF_TEXT, IM_END, SPECIAL_TOKENS
from deploy.nano.tokens import PRE_TOKENIZER_NAME

NAME = "hive-nano"
DESCRIPTION = "A very small chat model for tests and first runs, trained by the Hive project on text of its own."


def quantized(weights: NDArray[np.float32]) -> tuple[NDArray[Any], gguf.GGMLQuantizationType]:
    """A matrix in Q8_0, a vector as it is."""
    kind = gguf.GGMLQuantizationType.Q8_0 if weights.ndim == 2 else gguf.GGMLQuantizationType.F32
    return gguf.quants.quantize(weights, kind), kind


def write_facts(writer: gguf.GGUFWriter, shape: Shape) -> None:
    """What the model is called and how it is built."""
    writer.add_name(NAME)
    writer.add_author("Hive")
    writer.add_license("apache-2.0")
    writer.add_description(DESCRIPTION)
    writer.add_languages(["en"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocabulary)


def write_vocabulary(writer: gguf.GGUFWriter, tokenizer: dict[str, Any]) -> None:
    """The tokens with their kinds, the merges, the special tokens and the template."""
    ids: dict[str, int] = tokenizer["model"]["vocab"]
    tokens = sorted(ids, key=lambda token: ids[token])
    kinds = [
        gguf.TokenType.CONTROL
        if t in (END_OF_TEXT, "<|im_start|>", IM_END)
        else gguf.TokenType.USER_DEFINED
        if t in SPECIAL_TOKENS
        else gguf.TokenType.NORMAL
        for t in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER_NAME)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(ids[IM_END])
    writer.add_pad_token_id(ids[END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def export(work: Path, out: Path) -> None:
    """Write the checkpoint and the tokenizer of the folder as one file."""
    saved = torch.load(work / "checkpoint.pt", weights_only=True, map_location="cpu")
    writer = gguf.GGUFWriter(out, "llama")
    write_facts(writer, Shape(**saved["shape"]))
    write_vocabulary(writer, json.loads((work / "tokenizer.json").read_text(encoding="utf-8")))
    for name, weights in saved["model"].items():
        data, kind = quantized(weights.float().numpy())
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Read the options and write the file."""
    options = argparse.ArgumentParser(description="Write hive-nano as GGUF.")
    options.add_argument("--work", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    chosen = options.parse_args()
    export(chosen.work, chosen.out)
    print(f"{chosen.out}: {chosen.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
