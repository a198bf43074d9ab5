"""The OpenAPI document of the public API, made from the structs that the routes really read and write, and its page."""

import html
import json
from typing import Any, Final

import msgspec
from litestar import get
from litestar.types import ASGIApp

from coordinator.answer.cache import HEADER as CACHE
from coordinator.anthropic.messages import CountBody, MessagesBody
from coordinator.api.answers import Answer, json_answer
from coordinator.api.callbacks import CallbackJson, CallbackList, WebhookSecret
from coordinator.api.earned import Earned
from coordinator.api.guards import Guards
from coordinator.api.job_body import JobBody
from coordinator.api.offered import Offered, OfferedList
from coordinator.api.own_key import OwnKey
from coordinator.api.owner import Link, LinkBody
from coordinator.api.shown import ShownWorker, SwarmStatus, WorkerList
from coordinator.api.usage import Balance, Usage
from coordinator.api.views import JobCreated, JobJson, JobList
from coordinator.api.why import WhyJob
from coordinator.api.why_idle import Why
from coordinator.guard.gate import HEADER as GUARD
from coordinator.openai.chat import ChatBody
from coordinator.openai.completions import CompletionBody
from coordinator.openai.embeddings import EmbeddingBody
from coordinator.openai.moderations import ModerationBody
from coordinator.openai.rerank import RerankBody
from coordinator.openai.responses_body import ResponseBody
from coordinator.openai.token_counter import Counted, CounterBody
from coordinator.submit.placement import HEADERS
from coordinator.thehive.v2 import TaskBody
from coordinator.web.assets import PAGE_HEADERS
from shared.receipt import SignedReceipt


class Operation(msgspec.Struct, frozen=True):
    """One route: `answer` None is a stream or a shape of OpenAI's, which `says` names; `query` are its parameters."""

    method: str
    path: str
    says: str
    status: int = 200
    body: type | None = None
    answer: type | None = None
    public: bool = False
    query: tuple[str, ...] = ()


_PAGE_OF: Final = ("limit", "cursor")
OPERATIONS: Final = (
    Operation("post", "/v1/chat/completions", "OpenAI's chat completion, streamed or whole", body=ChatBody),
    Operation("post", "/v1/completions", "OpenAI's older text completion, streamed or whole", body=CompletionBody),
    Operation("post", "/v1/messages", "Anthropic's message, streamed or whole", body=MessagesBody),
    Operation("post", "/v1/messages/count_tokens", "How many tokens a message's prompt has", body=CountBody),
    Operation("post", "/v1/responses", "OpenAI's response: streamed, whole or in the background", body=ResponseBody),
    Operation("get", "/v1/responses/{response_id}", "A response, or its events", query=("stream", "starting_after")),
    Operation("delete", "/v1/responses/{response_id}", "Forget a response, its prompt and its text"),
    Operation("post", "/v1/responses/{response_id}/cancel", "Cancel a response that is made in the background"),
    Operation(
        "get",
        "/v1/responses/{response_id}/input_items",
        "What a response was made from",
        query=("limit", "order", "after"),
    ),
    Operation("post", "/v1/responses/compact", "A conversation made short by its model", body=ResponseBody),
    Operation("post", "/v1/responses/input_tokens", "How many tokens a model would read", body=ResponseBody),
    Operation("post", "/v1/embeddings", "OpenAI's embeddings: texts as vectors", body=EmbeddingBody),
    Operation(
        "post", "/v1/rerank", "Documents by how well they answer a query, as Cohere and Jina do", body=RerankBody
    ),
    Operation(
        "post", "/v1/moderations", "OpenAI's moderations: a guard model's verdicts on texts", body=ModerationBody
    ),
    Operation("get", "/v1/models", "The models that a worker serves now; all=true for all", query=("all",)),
    Operation("get", "/v1/models/{model_id}", "One model", answer=Offered),
    Operation(
        "post",
        "/v1/utils/token_counter",
        "How many tokens a model would read, counted and not estimated",
        body=CounterBody,
        answer=Counted,
    ),
    Operation("get", "/v1/model/info", "The model that is named", answer=Offered, query=("model",)),
    Operation("post", "/hive/jobs", "Submit a job", status=201, body=JobBody, answer=JobCreated),
    Operation("get", "/hive/jobs", "The account's jobs, the newest first", answer=JobList, query=("status", *_PAGE_OF)),
    Operation("get", "/hive/jobs/{job_id}", "A job", answer=JobJson),
    Operation("delete", "/hive/jobs/{job_id}", "Cancel a job", answer=JobJson),
    Operation("get", "/hive/jobs/{job_id}/events", "Follow a job: server-sent events status, token, done, error"),
    Operation(
        "get", "/hive/jobs/{job_id}/why", "Why a job waits, by counts, and what became of its attempts", answer=WhyJob
    ),
    Operation("get", "/hive/key", "What the key that this is sent with may do, and what is left", answer=OwnKey),
    Operation(
        "get",
        "/hive/usage",
        "What the account used, by day, key and model, as JSON or CSV",
        answer=Usage,
        query=("from", "to", "by", "format"),
    ),
    Operation("get", "/hive/balance", "What the account has left, and the key's budget of it", answer=Balance),
    Operation("get", "/hive/callbacks", "The account's callbacks", answer=CallbackList, query=("state", *_PAGE_OF)),
    Operation("post", "/hive/callbacks/{job_id}/replay", "Send a callback again", answer=CallbackJson),
    Operation("get", "/hive/webhook-secret", "The secret that callbacks are signed with", answer=WebhookSecret),
    Operation("post", "/hive/webhook-secret/rotate", "Sign with a new one, for a day with both", answer=WebhookSecret),
    Operation("post", "/api/v3/chat/completions", "thehive's V3; with callback_url a task", body=ChatBody),
    Operation("post", "/api/v2/task/async", "thehive's V2: a task, told of at its callback_url", body=TaskBody),
    Operation("get", "/hive/receipts/{job_id}", "The signed receipt of a job", answer=SignedReceipt, public=True),
    Operation("get", "/hive/status", "The swarm in numbers", answer=SwarmStatus, public=True),
    Operation(
        "get", "/hive/models", "Every model of the catalogue, and who serves it now", answer=OfferedList, public=True
    ),
    Operation(
        "get", "/hive/guards", "The guards that x-hive-guard may name, and what they miss", answer=Guards, public=True
    ),
    Operation("get", "/hive/workers", "Every worker seen within a day", answer=WorkerList, public=True),
    Operation("get", "/hive/workers/{pk}", "One worker", answer=ShownWorker, public=True),
    Operation("get", "/hive/workers/{pk}/earnings", "What a worker earned; signed by the worker", answer=Earned),
    Operation("get", "/hive/workers/{pk}/why", "Why a worker gets no jobs; signed by the worker", answer=Why),
    Operation(
        "post",
        "/hive/workers/{pk}/owner",
        "Link a worker, which signs, to the key's account",
        body=LinkBody,
        answer=Link,
    ),
    Operation("delete", "/hive/workers/{pk}/owner", "Part them again: by signature or by key", answer=Link),
    Operation("get", "/health", "Whether the coordinator serves", public=True),
)
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
                "details": {"type": "object"},
            },
        }
    },
}


def openapi() -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    structs = [kind for operation in OPERATIONS for kind in (operation.body, operation.answer) if kind is not None]
    unique = list(dict.fromkeys(structs))
    schemas, components = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    components = _with_numbers(components)
    named = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, named)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Hive", "version": "0.1.0", "description": "Machines at home as one inference service."},
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _with_numbers(schema: Any) -> Any:
    """Amounts are written as JSON numbers, and read from those as well as from text."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            return {"type": "number"}
        return {name: _with_numbers(part) for name, part in schema.items()}
    return [_with_numbers(part) for part in schema] if isinstance(schema, list) else schema


def _described(operation: Operation, named: dict[type, dict[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": operation.says}
    if operation.answer is not None:
        answer["content"] = {"application/json": {"schema": named[operation.answer]}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    described: dict[str, Any] = {
        "summary": operation.says,
        "security": [] if operation.public else [{"key": []}],
        "parameters": _parameters(operation),
        "responses": {str(operation.status): answer, "default": {"description": "What went wrong", "content": error}},
    }
    if operation.body is not None:
        schema = named[operation.body]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    placed = (*HEADERS.values(), GUARD, CACHE) if operation.body is not None else ()
    optional = [("query", name) for name in operation.query] + [("header", name) for name in placed]
    return in_path + [{"name": name, "in": where, "schema": {"type": "string"}} for where, name in optional]


def page(document: dict[str, Any]) -> str:
    """The document as a page to read, without a script."""
    parts = [_PAGE_HEAD]
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            parts.append(
                f'<details><summary><span class="method">{method.upper()}</span> <code>{html.escape(path)}</code> '
                f"{html.escape(described['summary'])}</summary>{_fields(described, document)}</details>"
            )
    return "".join(parts) + "</main></body></html>"


def _fields(described: dict[str, Any], document: dict[str, Any]) -> str:
    shown = "" if described["security"] else "<p>No key is needed.</p>"
    body = described.get("requestBody")
    if body is not None:
        shown += _table("Body", body["content"]["application/json"]["schema"], document)
    for status, answer in described["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None and status != "default":
            shown += _table(f"Answer {status}", schema, document)
    return shown or "<p>See OpenAI's reference for the shape of the answer.</p>"


def _table(title: str, schema: dict[str, Any], document: dict[str, Any]) -> str:
    struct = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    rows = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(_kind(field))}</td></tr>"
        for name, field in struct.get("properties", {}).items()
    )
    return f"<p>{title}: {html.escape(struct.get('description', ''))}</p><table>{rows}</table>"


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "enum" in field:
        return ", ".join(json.dumps(value) for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}))}"
    return str(field.get("type", "anything"))


_PAGE_HEAD: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Hive: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="/web/style.css"><link rel="icon" href="/web/icon.svg" type="image/svg+xml"></head><body>
<header><h1>Hive: API</h1><p class="what">Send <code>Authorization: Bearer KEY</code>. The whole description:
<a href="/openapi.json">openapi.json</a>. What the swarm does now: <a href="/">status</a>.</p></header><main>"""


_DOCUMENT: Final = openapi()
_PAGE: Final = Answer(page(_DOCUMENT).encode(), "text/html; charset=utf-8", headers=PAGE_HEADERS)


@get("/openapi.json", name="openapi")
async def openapi_json() -> ASGIApp:
    """The OpenAPI document."""
    return json_answer(_DOCUMENT)


@get("/docs", name="docs")
async def docs() -> ASGIApp:
    """The document as a page."""
    return _PAGE


ROUTES: Final[list[Any]] = [openapi_json, docs]
