"""Text of another server as ids of real vocabularies, as llama.cpp has them, and the process that makes them."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import gguf
import pytest
from hypothesis import given, settings, strategies as st

from shared.protocol.messages import Message
from shared.tokens import Vocabulary
from tests.machine.coordinator_double import model_file
from worker.engine.pieces import Pieces, Speller
from worker.remote.tokeniser import Tokeniser
from worker.remote.upstream import UpstreamFailed
from worker.remote.words import Begin, Count, Counted, Cut, Piece, Refused

NANO = Vocabulary(model_file())
NANO_SPELLER = Speller(NANO)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60) | st.text(
    alphabet="the fox. 日é😀\n<|im_end|>", max_size=60
)
cuts = st.lists(st.integers(0, 60), max_size=10)


def split(text: str, places: Sequence[int]) -> list[str]:
    at = sorted({0, len(text), *(p % (len(text) + 1) for p in places)})
    return [text[a:b] for a, b in pairwise(at)]


def ids_of(vocabulary: Vocabulary, speller: Speller, parts: Sequence[str]) -> list[int]:
    pieces = Pieces(speller, vocabulary, stop=[], max_tokens=10_000)
    return [token for part in parts for token in pieces.push(part)[0]]


@settings(deadline=None)
@given(texts, cuts)
def test_any_text_in_any_pieces_is_said_by_its_ids(text: str, places: list[int]) -> None:
    ids = ids_of(NANO, NANO_SPELLER, split(text, places))
    assert NANO.detokenise(ids) == text.encode()
    assert not NANO.end_ids & set(ids)


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a vocabulary of the kind of Llama 2, which puts a space in front of every text."""
    file = tmp_path_factory.mktemp("spm") / "spm.gguf"
    words = ["<unk>", "<s>", "</s>", *(f"<0x{n:02X}>" for n in range(256)), "▁", "▁the", "the", "a", "b", "▁a", "ab"]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * 7
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_block_count(1)
    writer.add_feed_forward_length(8)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([-float(n) for n in range(len(words))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_a_vocabulary_that_puts_a_space_in_front_says_the_text_too(sentencepiece: Path) -> None:
    vocabulary = Vocabulary(sentencepiece)
    plain = vocabulary.tokenise("the", special=False)
    assert vocabulary.detokenise(plain) == b" the"
    for parts in (["the"], ["the", " the"], ["a", "b", " a", "日", "😀b"], ["</s>", "\n"]):
        ids = ids_of(vocabulary, Speller(vocabulary), parts)
        assert vocabulary.detokenise(ids) == "".join(parts).encode()
        assert not vocabulary.end_ids & set(ids)


async def test_the_process_counts_cuts_and_forgets() -> None:
    opened = asyncio.Event()
    it = Tokeniser(model_file(), opened.set)
    with pytest.raises(UpstreamFailed):
        await it.ask(Count(1, ["a"]))
    running = asyncio.create_task(it.run())
    await opened.wait()
    messages = [Message("user", "hi")]
    begin = Begin(1, 100, messages, stop=["END"])
    assert await it.ask(begin) == Counted(1, len(NANO.prompt_ids(begin)))
    cut = await it.ask(Piece(1, "the fox EN"))
    assert isinstance(cut, Cut)
    assert (cut.text, NANO.detokenise(cut.ids)) == ("the fox ", b"the fox EN")
    assert await it.ask(Piece(1, "D and more")) == Cut(1, NANO.tokenise("D", special=False), "", "stop")
    it.drop(1)
    assert isinstance(await it.ask(Piece(1, "more")), Refused)
    assert isinstance(await it.ask(Piece(2, "never begun")), Refused)
    lengths = [len(NANO.text_ids(text)) for text in ("a fox", "the sea at night")]
    assert await it.ask(Count(3, ["a fox", "the sea at night"])) == Counted(3, sum(lengths), max(lengths))
    pair = len(NANO.pair_ids("q", "a fox"))
    assert await it.ask(Count(4, ["a fox"], "q")) == Counted(4, pair, pair)
    await it.stop()
    await running


async def test_a_conversation_that_fits_no_template_is_the_callers_fault(sentencepiece: Path) -> None:
    opened = asyncio.Event()
    it = Tokeniser(sentencepiece, opened.set)
    running = asyncio.create_task(it.run())
    await opened.wait()
    told = await it.ask(Begin(1, 100, [Message("user", "hi")]))
    assert isinstance(told, Refused)
    assert (told.code, told.retryable) == ("invalid_request", False)
    await it.stop()
    await running
