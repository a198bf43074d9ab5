"""What an upstream streams: the same events however the bytes are cut, and nothing that it should not be."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from worker.remote.stream import MOST_LINE, Events, Framing, Told
from worker.remote.upstream import UpstreamFailed

SSE = (
    ': a comment\r\nevent: message\ndata: {"choices":[{"delta":{"role":"assistant","content":null}}],'
    '"prompt_progress":{"total":9,"processed":4}}\n\n'
    'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\r\n\r\n'
    'data: {"choices":[{"delta":{"content":"日😀"}}]}\n\n'
    'data: {"choices":[{"text":" raw",\ndata: "finish_reason":null}]}\n\n'
    'data:{"choices":[{"delta":{},"finish_reason":"length"}]}\n\n'
    'data: {"choices":[],"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":3}}}\n\ndata: [DONE]\n\n'
).encode()
SSE_TOLD = [
    Told(read=(4, 9)), Told(thought="hm"), Told(text="日😀"), Told(text=" raw"), Told(finish="length"), Told(cached=3, prompt=9),
    Told(over=True),
]  # fmt: skip
LINES = (
    '{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}\n'
    '{"message":{"content":"日😀"},"done":false}\r\n\n{"response":" raw","done":false}\n'
    '{"response":"","done":true,"done_reason":"length","prompt_eval_count":9}\n'
).encode()
LINES_TOLD = [Told(thought="hm"), Told(text="日😀"), Told(text=" raw"), Told(finish="length", over=True, prompt=9)]


def fed(framing: Framing, raw: bytes, cuts: Sequence[int]) -> list[Told]:
    events = Events(framing)
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return [told for a, b in pairwise(places) for told in events.feed(raw[a:b])]


@given(st.lists(st.integers(0, 2000), max_size=20))
def test_any_cut_gives_the_same_events(cuts: list[int]) -> None:
    assert fed("sse", SSE, cuts) == SSE_TOLD
    assert fed("ndjson", LINES, cuts) == LINES_TOLD


@given(st.binary(max_size=200), st.sampled_from(["sse", "ndjson"]), st.booleans())
def test_garbage_is_an_event_or_a_failure_and_nothing_else(raw: bytes, framing: Framing, framed: bool) -> None:
    raw = b"data: " + raw + b"\n\n" if framed else raw + b"\n"
    with suppress(UpstreamFailed):
        assert all(isinstance(told, Told) for told in fed(framing, raw, [7, 30]))


@pytest.mark.parametrize(
    "data",
    [
        "{", "[]", "12", '"text"', '{"choices":{}}', '{"choices":[{"delta":{"content":7}}]}', "[" * 100_000,
        '{"choices":[{"delta":{"content":"\\ud83d"}}]}', '{"error":{"message":"out of memory"}}', '{"error":"no"}',
        '{"choices":[{"delta":{"tool_calls":[{}]}}]}', '{"choices":[{"finish_reason":"content_filter"}]}',
    ],
)  # fmt: skip
def test_each_of_these_fails(data: str) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        Events("sse").feed(f"data: {data}\n\n".encode())
    assert (caught.value.code, caught.value.retryable) == ("engine_error", True)
    assert "memory" not in caught.value.message


@pytest.mark.parametrize("line", ["{", '{"error":"no such model"}', '{"message":{"tool_calls":[{}]}}', '{"done":3}'])
def test_each_of_these_lines_fails(line: str) -> None:
    with pytest.raises(UpstreamFailed):
        Events("ndjson").feed(f"{line}\n".encode())


@pytest.mark.parametrize("framing", ["sse", "ndjson"])
def test_a_line_without_end_is_not_kept(framing: Framing) -> None:
    with pytest.raises(UpstreamFailed):
        fed(framing, b"x" * (MOST_LINE + 2000), range(0, MOST_LINE, 1000))


def test_an_event_without_end_is_not_kept() -> None:
    with pytest.raises(UpstreamFailed):
        fed("sse", (b"data: " + b"x" * 1000 + b"\n") * (MOST_LINE // 1000 + 2), range(0, MOST_LINE, 5000))
