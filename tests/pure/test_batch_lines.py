"""A batch's input file: cut into lines, each looked at by itself and beside the others; how long a line may wait."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, strategies as st

from coordinator.batch.checking import MAX_FLAWS, MAX_LINES, MAX_REQUESTS, Checking
from coordinator.batch.lines import Cutter, Flaw, Line, read
from coordinator.batch.standing import LATER, PATIENCE, SOON, Pause, closing_of, pause_for
from coordinator.store.batches import BatchRow
from shared.errors import BudgetExceeded, Forbidden, HiveError, RateLimited, RequestError, TooLarge, Unavailable

CHAT = "/v1/chat/completions"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD: dict[str, Any] = {"custom_id": "a", "method": "POST", "url": CHAT, "body": {"model": "m", "messages": []}}


def line(**different: Any) -> bytes:
    return msgspec.json.encode(GOOD | different)


@given(st.binary(max_size=200), st.lists(st.integers(1, 30)))
def test_lines_are_the_same_however_the_bytes_come(data: bytes, cuts: list[int]) -> None:
    cutter, found, rest = Cutter(), [], data
    for cut in [*cuts, len(data)]:
        found += list(cutter.push(rest[:cut]))
        rest = rest[cut:]
    *whole, last = data.split(b"\n")
    assert [*found, cutter.rest()] == [*(part + b"\n" for part in whole), last]


def test_a_line_that_never_ends_is_not_held() -> None:
    cutter = Cutter(most=10)
    assert list(cutter.push(b"123456789\n12345")) == [b"123456789\n"]
    with pytest.raises(TooLarge):
        list(cutter.push(b"678901"))


def test_a_line_in_order() -> None:
    raw = line(custom_id="é 1", body={"model": "m", "n": 1})
    assert read(raw, CHAT) == Line("é 1", "m", msgspec.json.encode({"model": "m", "n": 1}))
    assert read(b"\xef\xbb\xbf" + raw + b"\r\n", CHAT) == read(raw, CHAT)


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        (b"not json\n", "invalid_json_line", None),
        (b"[1]", "invalid_json_line", None),
        (b'"\xff"', "invalid_json_line", None),
        (b"[" * 100_000, "invalid_json_line", None),
        (b"{}", "missing_required_parameter", "custom_id"),
        (line(custom_id=3), "missing_required_parameter", "custom_id"),
        (line(custom_id=""), "invalid_custom_id", "custom_id"),
        (line(custom_id="a\0b"), "invalid_custom_id", "custom_id"),
        (line(custom_id="a" * 513), "invalid_custom_id", "custom_id"),
        (b'{"custom_id": "\\ud800", "method": "POST"}', "invalid_json_line", None),
        (line(method="GET"), "invalid_method", "method"),
        (line(url="/v1/embeddings"), "invalid_url", "url"),
        (line(body=None), "missing_required_parameter", "body.model"),
        (line(body={"messages": []}), "missing_required_parameter", "body.model"),
        (line(body={"model": 3}), "missing_required_parameter", "body.model"),
    ],
)
def test_what_is_wrong_with_a_line(raw: bytes, code: str, param: str | None) -> None:
    found = read(raw, CHAT)
    assert isinstance(found, Flaw)
    assert (found.code, found.param) == (code, param)


def checked(*lines: bytes) -> list[tuple[str, int | None]]:
    checking = Checking(CHAT, {"m", "other"})
    for one in lines:
        checking.take(one)
    checking.end()
    return [(flaw.code, flaw.line) for flaw in checking.flaws]


def test_lines_together() -> None:
    other = line(custom_id="b", body={"model": "other"})
    unknown = line(body={"model": "nobody's"})
    assert checked(line(), b"\n", line(custom_id="b")) == []
    assert checked(line(), b" \r\n", line()) == [("duplicate_custom_id", 3)]
    assert checked(line(), other) == [("mismatched_model", 2)]
    assert checked(unknown) == [("model_not_found", 1)]
    assert checked() == checked(b"\n") == [("empty_file", None)]


def test_flaws_are_listed_up_to_a_bound_and_lines_counted_up_to_another() -> None:
    checking = Checking(CHAT, {"m"})
    for _ in range(MAX_FLAWS):
        assert not checking.over
        checking.take(b"{}")
    assert checking.over
    checking = Checking(CHAT, {"m"})
    for number in range(MAX_REQUESTS):
        checking.take(line(custom_id=str(number)))
    assert not checking.flaws
    assert not checking.over
    checking.take(line(custom_id="one more"))
    assert checking.over
    assert [flaw.code for flaw in checking.flaws] == ["too_many_tasks"]


def test_a_file_of_empty_lines_is_not_looked_at_to_its_end() -> None:
    checking = Checking(CHAT, {"m"})
    checking.take(line())
    for _ in range(MAX_LINES - 1):
        checking.take(b"\n")
    assert not checking.over
    checking.take(b"\n")
    assert checking.over
    assert [flaw.code for flaw in checking.flaws] == ["too_many_tasks"]


def batch(**different: Any) -> BatchRow:
    usual = BatchRow(
        id=UUID(int=1), account_id=UUID(int=2), key_id=UUID(int=3), endpoint=CHAT, input_file=UUID(int=4), headers=b"{}",
        metadata=b"{}", output_seconds=3600, status="in_progress", created_at=NOW, expires_at=NOW + timedelta(hours=24),
        feed_at=NOW,
    )  # fmt: skip
    return msgspec.structs.replace(usual, **different)


def test_a_batch_ends_when_it_is_cancelled_or_its_window_is_over() -> None:
    over = NOW + timedelta(hours=24)
    assert closing_of(batch(), NOW) is None
    assert closing_of(batch(), over) == closing_of(batch(status="validating"), over) == "batch_expired"
    assert closing_of(batch(status="cancelling"), NOW) == "batch_cancelled"
    assert closing_of(batch(status="finalizing"), over) is None


@pytest.mark.parametrize("error", [Forbidden("poor"), BudgetExceeded("spent"), Unavailable("nobody")])
def test_money_and_workers_are_waited_for(error: HiveError) -> None:
    assert pause_for(error, batch(), NOW, waits=True) == Pause(NOW + SOON, None)
    assert pause_for(error, batch(), NOW, waits=False) == Pause(NOW + LATER, NOW)
    since = NOW - PATIENCE + timedelta(seconds=1)
    assert pause_for(error, batch(short_since=since), NOW, waits=False) == Pause(NOW + LATER, since)
    assert pause_for(error, batch(short_since=NOW - PATIENCE), NOW, waits=False) is None


def test_limits_are_waited_for_however_long_and_what_is_wrong_is_not() -> None:
    long_ago = batch(short_since=NOW - 2 * PATIENCE)
    for seconds, waited in ((None, 1), (7, 7), (80_000, 60)):
        limited = RateLimited("later", retry_after_s=seconds)
        pause = Pause(NOW + timedelta(seconds=waited), long_ago.short_since)
        assert pause_for(limited, long_ago, NOW, waits=False) == pause
    for error in (RequestError("wrong"), Forbidden("blocked", code="blocked_by_guardrail"), HiveError("a bug")):
        assert pause_for(error, batch(), NOW, waits=True) is None
