"""A model's vocabulary, without its weights: counts, chat template, and bytes back from token ids."""

import ctypes
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol

import llama_cpp

from shared.chat.asked import AskedError
from shared.chat.constraint import offered_tools
from shared.chat.formats import Format, format_of
from shared.chat.template import ChatTemplate, TemplateError
from shared.chat.turns import told_in_words
from shared.protocol.messages import Message

__all__ = ["Asked", "ModelFileError", "TemplateError", "Vocabulary", "is_long", "silence"]

_META_BYTES: Final = 1 << 16
_PIECE_BYTES: Final = 512
_LONG: Final = 16_384
_TEXT: Final = 64
"""How many characters take as long to read as to begin with a text."""
LONGEST_TEXT: Final = 2048
"""A text of more tokens is neither embedded nor ranked: a model reads all of it in one step."""
_RANK: Final = "4"
_RANK_TEMPLATE: Final = "tokenizer.chat_template.rerank"
_PLACE: Final = re.compile(r"\{query\}|\{document\}")
_DEFINED: Final = llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
_CONTROL: Final = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
_TAKES_SPACE: Final = llama_cpp.LLAMA_TOKEN_ATTR_LSTRIP
_PIECE: Final = 4096
"""Bytes of a long text that are read at once, at least."""


class ModelFileError(ValueError):
    """The file is no GGUF that llama.cpp can read."""


class Asked(Protocol):
    """What an offer or a request asks: messages for the template, or a raw prompt. It may also have `tools` and
    `tool_choice`, OpenAI's as JSON text, or the `inputs` of another task."""

    @property
    def messages(self) -> Sequence[Message] | None: ...

    @property
    def prompt(self) -> str | None: ...


def is_long(asked: Asked) -> bool:
    """Whether reading the prompt's tokens takes longer than handing it to a thread (about a millisecond)."""
    text = asked.prompt or "".join(message.content or "" for message in asked.messages or [])
    inputs = sum(len(text) + _TEXT for text in getattr(asked, "inputs", ()))
    begun = _TEXT * len(asked.messages or ())
    return len(text) + begun + len(getattr(asked, "tools", None) or "") + inputs > _LONG


def cut_before(raw: bytes, names: re.Pattern[bytes]) -> list[bytes]:
    """A text in pieces of some 4 KiB, each but the first of which begins with one of these names."""
    cuts = [0]
    for found in names.finditer(raw):
        if found.start() - cuts[-1] >= _PIECE:
            cuts.append(found.start())
    return [raw[begin:end] for begin, end in pairwise([*cuts, len(raw)])]


_NO_LOG: Final = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)


def silence() -> None:
    """Keeps llama.cpp and ggml from writing to stderr, for the life of this process."""
    llama_cpp.llama_log_set(_NO_LOG, ctypes.c_void_p(0))


class Vocabulary:
    """The tokens of one GGUF file, as llama.cpp has them; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Reads the vocabulary alone; raises ModelFileError."""
        silence()
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise ModelFileError(f"llama.cpp cannot read {path.name} as a GGUF model")
        self._model = model
        self._vocab = llama_cpp.llama_model_get_vocab(model)
        self.size: Final[int] = llama_cpp.llama_vocab_n_tokens(self._vocab)
        self._piece = lru_cache(maxsize=65_536)(self._read_piece)

    def __del__(self) -> None:
        if getattr(self, "_model", None):
            llama_cpp.llama_model_free(self._model)

    @cached_property
    def context(self) -> int:
        """How many tokens the model was trained to look back on; 0 where the file does not say."""
        text = self._of_architecture("context_length")
        return int(text) if text and text.isdecimal() else 0

    @cached_property
    def ranks(self) -> bool:
        """Whether the model scores documents."""
        return self._of_architecture("pooling_type") == _RANK

    @cached_property
    def dimensions(self) -> int:
        """How many numbers its vectors have; 0 where the file does not say."""
        text = self._of_architecture("embedding_length_out") or self._of_architecture("embedding_length")
        return int(text) if text and text.isdecimal() else 0

    @cached_property
    def longest_text(self) -> int:
        """How many tokens a text may have that is embedded or ranked."""
        return min(LONGEST_TEXT, self.context or LONGEST_TEXT)

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return frozenset(i for i in range(self.size) if llama_cpp.llama_vocab_is_eog(self._vocab, i))

    def metadata(self, key: str) -> str | None:
        """A value of the file's header as text; None where there is none."""
        size = _META_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), buffer, size)
            if length < size:
                return buffer.value.decode("utf-8", "replace") if length >= 0 else None
            size = length + 1

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> str:
        """What the model sees of a conversation, by the file's own template in a sandbox; raises TemplateError.

        Tools that the template knows nothing of are described in the system message.
        """
        if self._template is None:
            raise TemplateError("This model has no chat template: send a raw prompt instead.")
        rows: Sequence[Any] = messages
        if not self.format.native:
            rows, tools = told_in_words(messages, tools or ()), None
        return self._template.render(rows, tools=tools, add_generation_prompt=add_generation_prompt)

    @cached_property
    def format(self) -> Format:
        """How the model writes tool calls and reasoning."""
        return format_of(self.metadata("tokenizer.chat_template"))

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        """The ids of a text; with `special` the names of control tokens in it count as those tokens."""
        return self._tokenise(text, special, start=False)

    def prompt_ids(self, asked: Asked) -> list[int]:
        """The ids that the model reads before it answers, never none: the start token is put in front where the model
        wants one and the text has none; raises TemplateError."""
        text = asked.prompt if asked.prompt is not None else self._rendered(asked)
        bos = llama_cpp.llama_vocab_bos(self._vocab)
        has_one = bos >= 0 and text.startswith(self._name(bos))
        ids = self._tokenise(text, True, start=not has_one)
        return ids or [bos if bos >= 0 else min(self.end_ids, default=0)]

    def text_ids(self, text: str) -> list[int]:
        """The ids of a text to embed, never none, with the start and end tokens that the model wants."""
        ids = self._tokenise(text, False, start=True)
        return ids or [max(llama_cpp.llama_vocab_bos(self._vocab), 0)]

    def pair_ids(self, query: str, document: str) -> list[int]:
        """The ids of a query and a document to rank: as the file's own template has them, else with the tokens between
        them that the model wants."""
        if self._rank_template:
            places = {"{query}": query, "{document}": document}
            return self.tokenise(_PLACE.sub(lambda place: places[place[0]], self._rank_template), special=True)
        vocab = self._vocab
        starts, ends, parts = (
            wanted(vocab)
            for wanted in (
                llama_cpp.llama_vocab_get_add_bos,
                llama_cpp.llama_vocab_get_add_eos,
                llama_cpp.llama_vocab_get_add_sep,
            )
        )
        eos, separator = llama_cpp.llama_vocab_eos(vocab), llama_cpp.llama_vocab_sep(vocab)
        end = [eos if eos >= 0 else separator] if ends else []
        return [
            *([llama_cpp.llama_vocab_bos(vocab)] if starts else []),
            *self.tokenise(query, special=False),
            *end,
            *([separator] if parts else []),
            *self.tokenise(document, special=False),
            *end,
        ]

    @property
    def native(self) -> Any:
        """llama.cpp's vocabulary, for a grammar over its tokens."""
        return self._vocab

    def detokenise(self, ids: Sequence[int]) -> bytes:
        """The bytes of the ids, one after the other. Control tokens have none, but for those that mark calls and
        reasoning; nor have ids out of range."""
        return b"".join(map(self._piece, ids))

    def _of_architecture(self, name: str) -> str | None:
        return self.metadata(f"{self.metadata('general.architecture') or ''}.{name}")

    @cached_property
    def _rank_template(self) -> str:
        return self.metadata(_RANK_TEMPLATE) or ""

    @cached_property
    def _template(self) -> ChatTemplate | None:
        source = self.metadata("tokenizer.chat_template")
        bos, eos = llama_cpp.llama_vocab_bos(self._vocab), llama_cpp.llama_vocab_eos(self._vocab)
        return ChatTemplate(source, self._name(bos), self._name(eos)) if source else None

    @cached_property
    def _marks(self) -> dict[int, bytes]:
        """The tokens that are whole marks of the format, and their text."""
        ids = {marker: self._tokenise(marker, True, start=False) for marker in self.format.markers}
        return {tokens[0]: marker.encode() for marker, tokens in ids.items() if len(tokens) == 1}

    def _rendered(self, asked: Asked) -> str:
        try:
            tools = offered_tools(getattr(asked, "tools", None), getattr(asked, "tool_choice", None))
        except AskedError as error:
            raise TemplateError(str(error)) from error
        return self.render(asked.messages or [], tools=[tool.as_json() for tool in tools])

    def _tokenise(self, text: str, special: bool, *, start: bool) -> list[int]:
        raw = text.encode("utf-8", "replace")
        names = self._cuts[special] if len(raw) > _LONG and not (start and self._closes) else None
        pieces = [raw] if names is None else cut_before(raw, names)
        return [token for i, piece in enumerate(pieces) for token in self._read(piece, special, start=start and not i)]

    @cached_property
    def _cuts(self) -> tuple[re.Pattern[bytes] | None, re.Pattern[bytes] | None]:
        """The names before which a text may be read in pieces, if those of control tokens are none, and if they are.

        llama.cpp looks for every such name between any two that it has found, which takes hours where a text is full of
        them. What takes the space before it as well is no place to cut.
        """
        kinds = {i: llama_cpp.llama_vocab_get_attr(self._vocab, i) for i in range(self.size)}
        defined = [i for i, kind in kinds.items() if kind & _DEFINED and not kind & _TAKES_SPACE]
        control = [i for i, kind in kinds.items() if kind & _CONTROL and not kind & _TAKES_SPACE]
        return self._any_name(defined), self._any_name([*defined, *control])

    @cached_property
    def _closes(self) -> bool:
        """Whether a token ends every text that begins with the start token."""
        return bool(len(self._read(b"", False, start=True)) > llama_cpp.llama_vocab_get_add_bos(self._vocab))

    def _any_name(self, ids: Sequence[int]) -> re.Pattern[bytes] | None:
        names = sorted({self._name(i).encode() for i in ids} - {b""}, key=len, reverse=True)
        return re.compile(b"|".join(map(re.escape, names))) if names else None

    def _read(self, raw: bytes, special: bool, *, start: bool) -> list[int]:
        count, room = -len(raw) - 2, 0
        while count < -room:
            room = -count
            buffer = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(self._vocab, raw, len(raw), buffer, room, start, special)
        if count < 0:
            raise ModelFileError(f"llama.cpp cannot tokenise with this model: {count}")
        return list(buffer[:count])

    def _read_piece(self, token_id: int) -> bytes:
        if not 0 <= token_id < self.size:
            return b""
        if (mark := self._marks.get(token_id)) is not None:
            return mark
        size = _PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = llama_cpp.llama_token_to_piece(self._vocab, token_id, buffer, size, 0, False)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _name(self, token_id: int) -> str:
        """How the file spells a token; empty where there is none."""
        if token_id < 0:
            return ""
        return str((llama_cpp.llama_vocab_get_text(self._vocab, token_id) or b"").decode("utf-8", "replace"))
