"""The OpenAPI document of the public API, made from the table of its routes, and its page."""

import html
import json
from typing import Any, Final

import msgspec
from litestar import get
from litestar.types import ASGIApp

from coordinator.api.answers import Answer, json_answer
from coordinator.api.operations import OPERATIONS, Operation
from coordinator.web.assets import PAGE_HEADERS

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
    optional = [("query", name) for name in operation.query] + [("header", name) for name in operation.headers]
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
