"""What a GGUF's header says of the model in it, in the words that planning needs."""

import re
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from shared.gguf.kinds import FILE
from shared.gguf.reader import GgufError, Header, Skipped, read_file
from shared.protocol.messages import Task

_LAYER: Final = re.compile(r"blk\.(\d{1,4})\.")
_MOST_LAYERS: Final = 4096
_LONGEST_NAME: Final = 100
_MOST: Final = 1 << 31
_POOLING: Final = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}
_PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_Plain = TypeVar("_Plain", int, str)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its file describes it: 0 or empty where the file does not say.

    Lengths are in values, `context` in tokens, sizes in bytes; `kv_heads` has one number for each layer. `layer_bytes`
    are the weights of each layer and `outside_bytes` those of all other tensors: what to keep where on a GPU.
    `kind` is what the file is: a model, or a part that runs only beside one.
    """

    architecture: str
    name: str
    kind: Literal["model", "projector", "adapter", "vocabulary"]
    quantization: str
    parameters: int
    size_bytes: int
    context: int
    layers: int
    embedding: int
    feed_forward: int
    heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    key_length: int
    value_length: int
    sliding_window: int
    vocabulary: int
    layer_bytes: tuple[int, ...]
    outside_bytes: int
    experts: int
    pooling: str
    chat_template: str
    vision: bool
    parts: int
    causal: bool = True

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it can be asked: every model embeds, and one that reads ahead or whose file names how its vectors are
        pooled is no writer."""
        writes = self.causal and self.pooling in ("", "none")
        can: dict[Task, bool] = {"generate": writes, "embed": True, "rank": self.pooling == "rank"}
        return tuple(task for task, does in can.items() if does)


def facts_of_file(path: Path) -> Facts:
    """The facts of a file; raises GgufError, or OSError where it cannot be read."""
    return facts_of(read_file(path))


def facts_of(header: Header) -> Facts:
    """The facts of a header; raises GgufError for a value of the wrong kind or beyond reason."""
    said = _Said(header)
    heads, embedding = said.each("attention.head_count"), said.number("embedding_length")
    key = said.number("attention.key_length") or (embedding // heads[0] if heads and heads[0] else 0)
    layer_bytes, outside = _by_layer(header, said.layers)
    return Facts(
        architecture=said.architecture,
        name="".join(filter(str.isprintable, said.text("general.name")))[:_LONGEST_NAME],
        kind=_kind(said, header),
        quantization=_quantization(said, header),
        parameters=sum(tensor.values for tensor in header.tensors),
        size_bytes=header.size_bytes,
        context=said.number("context_length"),
        layers=said.layers,
        embedding=embedding,
        feed_forward=max(said.each("feed_forward_length"), default=0),
        heads=heads,
        kv_heads=said.each("attention.head_count_kv") or heads,
        key_length=key,
        value_length=said.number("attention.value_length") or key,
        sliding_window=said.number("attention.sliding_window"),
        vocabulary=said.count("tokenizer.ggml.tokens") or said.number("vocab_size"),
        layer_bytes=layer_bytes,
        outside_bytes=outside,
        experts=said.number("expert_count"),
        pooling=_POOLING.get(said.number("pooling_type"), "") if said.has("pooling_type") else "",
        chat_template=said.text("tokenizer.chat_template"),
        vision=said.flag("clip.has_vision_encoder"),
        parts=said.whole("split.count") or 1,
        causal=header.metadata.get(f"{said.architecture}.attention.causal") is not False,
    )


class _Said:
    """The metadata by kind: a value of another kind than was asked for is an error, a missing one is nothing."""

    def __init__(self, header: Header) -> None:
        self._metadata = header.metadata
        self.architecture = self.text("general.architecture")
        if self.architecture and not _PLAIN.fullmatch(self.architecture):
            raise GgufError("its architecture has no plain name")
        self.layers = self.number("block_count")
        if self.layers > _MOST_LAYERS:
            raise GgufError(f"it claims to have {self.layers} layers")

    def has(self, name: str) -> bool:
        return f"{self.architecture}.{name}" in self._metadata

    def text(self, key: str) -> str:
        return self._of(key, str, "")

    def whole(self, key: str) -> int:
        return _reasonable(key, self._of(key, int, 0))

    def number(self, name: str) -> int:
        return self.whole(f"{self.architecture}.{name}")

    def flag(self, key: str) -> bool:
        return self._metadata.get(key) is True

    def count(self, key: str) -> int:
        found = self._metadata.get(key)
        return found.count if isinstance(found, Skipped) else len(found) if isinstance(found, tuple) else 0

    def each(self, name: str) -> tuple[int, ...]:
        """A number for each layer, whether the file has one for all of them or a list."""
        key = f"{self.architecture}.{name}"
        found = self._metadata.get(key)
        if found is None:
            return ()
        if isinstance(found, tuple):
            return tuple(_reasonable(key, one) for one in found[: self.layers])
        return (_reasonable(key, found),) * self.layers

    def _of(self, key: str, kind: type[_Plain], missing: _Plain) -> _Plain:
        found = self._metadata.get(key, missing)
        if isinstance(found, Skipped):
            raise GgufError(f"its {key} is too long")
        if type(found) is not kind:
            raise GgufError(f"its {key} is not what it should be")
        return found


def _reasonable(key: str, value: object) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise GgufError(f"its {key} is beyond reason")
    return value


def _kind(said: _Said, header: Header) -> Literal["model", "projector", "adapter", "vocabulary"]:
    named = said.text("general.type")
    if named == "mmproj" or said.architecture == "clip":
        return "projector"
    if named == "adapter":
        return "adapter"
    return "model" if header.tensors else "vocabulary"


def _quantization(said: _Said, header: Header) -> str:
    """What the file calls itself, else the type that most of its values have."""
    if "general.file_type" in header.metadata and (name := FILE.get(said.whole("general.file_type"))):
        return name
    values: dict[str, int] = {}
    for tensor in header.tensors:
        values[tensor.kind] = values.get(tensor.kind, 0) + tensor.values
    return max(values, key=lambda kind: values[kind], default="")


def _by_layer(header: Header, layers: int) -> tuple[tuple[int, ...], int]:
    """The bytes of each layer, and of what belongs to none."""
    inside, outside = [0] * layers, 0
    for tensor in header.tensors:
        match = _LAYER.match(tensor.name)
        if match and int(match[1]) < layers:
            inside[int(match[1])] += tensor.size
        else:
            outside += tensor.size
    return tuple(inside), outside
