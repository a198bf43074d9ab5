"""The client says what the OpenAPI document says: each method's path, parameters, body and answer. Neither can drift."""

import inspect
import json
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from client import routes
from client.call import Call
from client.events import Done, EventReader, Failed, Moved, ServingWorker, Token
from client.hive import AsyncHive, Hive, Route, Routes
from coordinator.api.document import openapi
from coordinator.api.events import event_bytes
from coordinator.api.operations import OPERATIONS
from coordinator.dispatch.channel import Ended, Status, Token as TokenTold, WorkerPublic
from coordinator.queue.lifecycle import TERMINAL, State
from tests.pure.test_told import ended

DOCUMENT = openapi()
ROUTES = {name: route.describe for name, route in vars(Routes).items() if isinstance(route, Route)}
OTHERS = {
    "/health": "an operator's probe",
    "/hive/workers/{pk}/earnings": "signed by a worker",
    "/hive/workers/{pk}/why": "signed by a worker",
    "/hive/workers/{pk}/owner": "signed by a worker",
    "/hive/jobs/{job_id}/events": "a stream, which is no Call",
}
"""Routes of Hive that are not for this client, and why."""

NOT_TEXT = {"format": "JSON is what a struct is read from"}
"""Parameters that the client has no use for, and why."""


UNCOMPARED = ("title", "description", "required", "default")


def call_of(name: str) -> Call[Any]:
    """The call with a name in braces for each argument of its path, and something for each of its query."""
    arguments = dict.fromkeys(path_arguments(name))
    given = {argument: f"{{{argument}}}" for argument in arguments}
    if name == "submit":
        given = {"model_id": "m"}
    call: Call[Any] = ROUTES[name](**given)
    return call


def path_arguments(name: str) -> list[str]:
    parameters = inspect.signature(ROUTES[name]).parameters.values()
    return [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty]


def operation(name: str) -> dict[str, Any]:
    call = call_of(name)
    found: dict[str, Any] = DOCUMENT["paths"][unquote(call.path)][call.method.lower()]
    return found


def plain(schema: Any, components: dict[str, Any]) -> Any:
    """A schema without names and words, and without what is there for older sides: only what is sent is compared."""
    if isinstance(schema, list):
        return [plain(part, components) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return plain(components[schema["$ref"].rpartition("/")[2]], components)
    if schema.get("format") == "decimal":
        return {"type": "number"}
    properties = {name: plain(part, components) for name, part in schema.get("properties", {}).items()}
    rest = {name: plain(part, components) for name, part in schema.items() if name not in UNCOMPARED}
    return {**rest, "properties": properties} if properties else rest


def of_client(kind: Any) -> Any:
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    return plain(schema, components)


def of_hive(schema: dict[str, Any]) -> Any:
    return plain(schema, DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize("name", ROUTES)
def test_each_method_is_a_route_of_the_document(name: str) -> None:
    assert operation(name)["summary"]


def test_each_route_of_hives_own_has_a_method() -> None:
    ours = {(call_of(name).method.lower(), unquote(call_of(name).path)) for name in ROUTES}
    routed = {(one.method, one.path) for one in OPERATIONS if one.path.startswith("/hive/") and one.path not in OTHERS}
    assert routed == ours
    assert {one.path for one in OPERATIONS} >= set(OTHERS)
    assert routes.EVENTS in OTHERS


@pytest.mark.parametrize("name", ROUTES)
def test_each_answer_has_the_documents_fields(name: str) -> None:
    answers = [
        answer["content"]["application/json"]["schema"]
        for status, answer in operation(name)["responses"].items()
        if status.startswith("2")
    ]
    assert [of_hive(schema) for schema in answers] == [of_client(call_of(name).answer)]


@pytest.mark.parametrize("name", ROUTES)
def test_each_query_has_the_documents_parameters(name: str) -> None:
    told = {one["name"] for one in operation(name)["parameters"] if one["in"] == "query"}
    assert told - set(NOT_TEXT) == set(call_of(name).query)


def kinds(schema: dict[str, Any]) -> set[str]:
    """What JSON a field may hold; everything where nothing is said."""
    if "anyOf" in schema:
        return {kind for one in schema["anyOf"] for kind in kinds(one)}
    if "enum" in schema:
        return {f"={value}" for value in schema["enum"]}
    return {schema["type"]} if "type" in schema else {"anything"}


@pytest.mark.parametrize("name", ROUTES)
def test_each_body_has_the_documents_fields(name: str) -> None:
    body, told = call_of(name).body, operation(name).get("requestBody")
    assert (body is None) == (told is None)
    if body is None or told is None:
        return
    ours = of_client(type(body))["properties"]
    theirs = of_hive(told["content"]["application/json"]["schema"])["properties"]
    assert ours.keys() == theirs.keys()
    wider = {
        field
        for field in ours
        if "anything" not in kinds(theirs[field]) and not kinds(ours[field]) <= kinds(theirs[field])
    }
    assert wider == set()


def test_both_clients_have_every_method() -> None:
    for client in (Hive, AsyncHive):
        assert {name for name in ROUTES if getattr(client, name).__doc__} == set(ROUTES)
        assert {"events", "wait", "send", "close"} <= set(vars(client))


def test_each_event_on_the_wire_is_read_whole() -> None:
    worker = WorkerPublic("ab" * 32, "@kitchen", "841e805ffffffff", ["IT"], "seedling")
    lines = event_bytes(Status(1, State.ASSIGNED, worker, 1), 1) + event_bytes(TokenTold(2, 4, "Hi", 5), 2)
    moved, token = EventReader().feed(lines)
    assert moved == Moved("assigned", 1, ServingWorker(**msgspec.to_builtins(worker)))
    assert token == Token(4, "Hi", 5)
    for line, event in zip(lines.split(b"\n\n"), (moved, token), strict=False):
        assert json.loads(line.partition(b"data: ")[2]) == msgspec.to_builtins(event)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_each_end_on_the_wire_is_read_whole(state: State) -> None:
    reader = EventReader()
    (event,) = reader.feed(event_bytes(Ended(3, ended(state, error_message="It was so.")), 3))
    assert reader.ended
    assert isinstance(event, Done if state is State.COMPLETED else Failed)
    assert event.job.status == state
    if isinstance(event, Failed):
        assert event.error.message == "It was so."
