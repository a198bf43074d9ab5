"""A signed request of a worker is good for one worker, one method, one host, one path and two minutes."""

import pytest
from hypothesis import given, strategies as st
from nacl.signing import SigningKey

from shared.crypto import Context, public_key, sign
from shared.worker_request import SKEW_MS, signed, verified

KEY = SigningKey(b"\1" * 32)
PK = public_key(KEY)
NOW = 1_800_000_000_000
PATH = f"/hive/workers/{PK}/earnings"
HOST = "hive.example:8443"


def test_a_signed_request_is_accepted_within_two_minutes_either_way() -> None:
    header = signed(KEY, "GET", HOST, PATH, NOW)
    assert verified(PK, header, "GET", HOST, PATH, NOW)
    assert verified(PK, header, "GET", HOST, PATH, NOW + SKEW_MS)
    assert verified(PK, header, "GET", HOST, PATH, NOW - SKEW_MS)
    assert not verified(PK, header, "GET", HOST, PATH, NOW + SKEW_MS + 1)
    assert not verified(PK, header, "GET", HOST, PATH, NOW - SKEW_MS - 1)


@pytest.mark.parametrize(
    ("pk", "method", "host", "path"),
    [
        (public_key(SigningKey(b"\2" * 32)), "GET", HOST, PATH),
        (PK, "DELETE", HOST, PATH),
        (PK, "GET", "other.example", PATH),
        (PK, "GET", HOST, PATH.replace("earnings", "why")),
    ],
)
def test_it_is_worthless_for_any_other_request(pk: str, method: str, host: str, path: str) -> None:
    assert not verified(pk, signed(KEY, "GET", HOST, PATH, NOW), method, host, path, NOW)


def test_the_time_cannot_be_moved_nor_spelt_otherwise() -> None:
    time, _, signature = signed(KEY, "GET", HOST, PATH, NOW).partition(".")
    assert not verified(PK, f"{NOW + 1}.{signature}", "GET", HOST, PATH, NOW)
    assert not verified(PK, f"0{time}.{signature}", "GET", HOST, PATH, NOW)


def test_a_signature_made_for_a_hello_is_none_for_a_request() -> None:
    body = {"method": "GET", "path": PATH, "time": NOW, "host": HOST}
    assert not verified(PK, f"{NOW}.{sign(KEY, Context.WORKER_HELLO, body)}", "GET", HOST, PATH, NOW)
    assert verified(PK, f"{NOW}.{sign(KEY, Context.WORKER_REQUEST, body)}", "GET", HOST, PATH, NOW)


@given(st.text(max_size=300), st.text(max_size=80))
def test_no_text_makes_it_raise_or_pass(header: str, pk: str) -> None:
    assert not verified(PK, header, "GET", HOST, PATH, NOW)
    assert not verified(pk, signed(KEY, "GET", HOST, PATH, NOW), "GET", HOST, PATH, NOW)
