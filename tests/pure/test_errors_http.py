"""What callers are told: the one shape, the field at fault, the routes that come later, keys that are not good."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from litestar import Request
from litestar.exceptions import MethodNotAllowedException, NotFoundException, PermissionDeniedException
from litestar.testing import RequestFactory

from coordinator.api.bodies import body_of, decoded
from coordinator.api.document import openapi
from coordinator.api.errors import as_hive_error, body_at, error_body, error_headers, speaks_anthropic
from coordinator.api.hive import HttpRequest
from coordinator.api.job_body import JobBody
from coordinator.api.keys import PREFIX, key_hash, new_secret, sent_secret, shown_prefix
from coordinator.api.later import LATER, is_later
from coordinator.api.operations import OPERATIONS
from coordinator.api.shown import ledger_of, rate
from coordinator.api.transport import networks
from shared.errors import Conflict, HiveError, JobFailed, RequestError, Unavailable


def test_the_shape_is_the_same_for_all() -> None:
    body = error_body(HiveError("m"))
    assert body == {"error": {"message": "m", "type": "server_error", "param": None, "code": "internal_error"}}
    assert error_body(Unavailable("m", details={"counts": {}}))["error"]["details"] == {"counts": {}}


def test_headers_say_whether_to_try_again() -> None:
    assert error_headers(Unavailable("m", retry_after_s=5)) == {"retry-after": "5"}
    assert error_headers(Conflict("m")) == {"x-should-retry": "false"}
    assert error_headers(JobFailed("m", dispatched=True)) == {"x-should-retry": "false"}
    assert error_headers(JobFailed("m")) == {}


@pytest.mark.parametrize(
    ("path", "theirs"),
    [
        ("/v1/messages", True),
        ("/messages", True),
        ("/messages/", True),
        ("/v1/messages/count_tokens", True),
        ("/v1/messages/batches", True),
        ("/messagesque", False),
        ("/v1/messages_of_ours", False),
        ("/v1messages", False),
        ("/v1/v1/messages", False),
        ("/hive/messages", False),
        ("/v1/chat/completions", False),
        ("/", False),
    ],
)
def test_anthropics_shape_is_for_anthropics_paths_alone(path: str, theirs: bool) -> None:
    assert speaks_anthropic(path) is theirs
    assert body_at(path, HiveError("m")).get("type") == ("error" if theirs else None)


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (NotFoundException(), 404, "not_found"),
        (MethodNotAllowedException(), 405, "method_not_allowed"),
        (PermissionDeniedException(), 400, "invalid_request"),
        (Conflict("m"), 409, "not_cancellable"),
    ],
)
def test_what_the_framework_raises_is_ours_too(failure: Exception, status: int, code: str) -> None:
    error = as_hive_error(failure, "GET", "/x")
    assert error is not None
    assert (error.status, error.code) == (status, code)


def test_a_bug_is_nobodys_error() -> None:
    assert as_hive_error(ZeroDivisionError(), "GET", "/x") is None


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"model_id": 5}', "model_id"),
        (b'{"model_id": "m", "messages": [{"role": 1}]}', "messages[0].role"),
        (b"{}", "model_id"),
        (b"[]", None),
        (b"{", None),
        (b"", None),
        (b'{"model_id": "\xff"}', None),
        (b'{"tools": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", None),
    ],
)
def test_a_malformed_body_names_its_field(raw: bytes, param: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        decoded(msgspec.json.Decoder(JobBody), raw)
    error = caught.value
    assert (error.status, error.code, error.param) == (400, "invalid_request", param)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_body_or_refused(raw: bytes) -> None:
    with contextlib.suppress(RequestError):
        assert decoded(msgspec.json.Decoder(JobBody), raw).model_id


def test_routes_that_come_later_are_known_by_name() -> None:
    for route in LATER:
        path = route.replace("{}", "abc")
        assert is_later(path)
        assert is_later(path + "/")
        assert is_later(path.removeprefix("/v1"))
    for path in ("/", "/v1", "/v1/chat/completions", "/hive/jobs", "/v1/files/a/b/c", "/nothing"):
        assert not is_later(path)


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer  abc "}, "abc"),
        ({"authorization": "Token abc"}, "abc"),
        ({"x-api-key": "abc"}, "abc"),
        ({"authorization": "Basic abc"}, None),
        ({"authorization": "Bearer "}, None),
        ({}, None),
    ],
)
def test_where_a_key_stands(headers: dict[str, str], secret: str | None) -> None:
    assert sent_secret(headers.get) == secret


def test_a_key_is_kept_as_a_keyed_hash() -> None:
    secret = new_secret(bytes(range(32)))
    assert secret.startswith(PREFIX)
    assert len(shown_prefix(secret)) < len(secret) / 2
    assert key_hash(secret, b"one") != key_hash(secret, b"two")
    assert secret not in key_hash(secret, b"one")


def test_a_local_ledger_is_called_one() -> None:
    assert ledger_of(None) == "none"
    assert ledger_of("Hive local ledger") == "local"
    assert ledger_of("Test SDF Network ; September 2015") == "testnet"
    assert ledger_of("Public Global Stellar Network ; September 2015") == "stellar"


def test_a_rate_needs_two_samples_and_never_falls_below_zero() -> None:
    assert rate([]) == rate([(1.0, 5)]) == 0.0
    assert rate([(0.0, 100), (5.0, 120), (10.0, 150)]) == 5.0
    assert rate([(0.0, 100), (10.0, 90)]) == 0.0


def test_the_document_is_whole() -> None:
    document = openapi()
    assert {(method, path) for path, methods in document["paths"].items() for method in methods} == {
        (operation.method, operation.path) for operation in OPERATIONS
    }
    assert document["components"]["schemas"]["JobJson"]["properties"]["gns_cost"] == {"type": "number"}
    text = msgspec.json.encode(document).decode()
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= document["components"]["schemas"].keys()


def test_a_proxy_that_is_no_address_is_one_sentence() -> None:
    with pytest.raises(RequestError, match="HIVE_TRUSTED_PROXIES"):
        networks(["10.0.0.0/8", "my-proxy"])


def request_that(receive: Callable[[], Awaitable[Any]]) -> HttpRequest:
    scope: Any = {**RequestFactory().post("/hive/jobs").scope, "state": {}}
    return Request(scope, receive=receive)


async def test_a_body_that_is_cut_off_is_the_callers_fault() -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(RequestError, match="cut off"):
        await body_of(request_that(gone))


async def test_a_body_that_never_ends_is_not_waited_for() -> None:
    async def silent() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(RequestError, match="within 0 s"):
        await body_of(request_that(silent), within_s=0)
