"""Every failure in the one shape, `{"error": {"message", "type", "param", "code"}}`, and the headers with it."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
)

from coordinator.api.answers import Answer, json_answer
from coordinator.api.later import is_later
from shared.errors import (
    Conflict,
    HiveError,
    MethodNotAllowed,
    NotFound,
    RequestError,
    TooLarge,
    Unauthorized,
)

OPENAI_PATHS: Final = (
    "/v1", "/chat", "/models", "/model", "/completions", "/embeddings", "/responses", "/messages", "/rerank",
    "/moderations", "/utils", "/files", "/batches",
)  # fmt: skip

JOBS: Final = "/hive/jobs/"

MAX_REASON: Final = 300
"""How much is said of what is wrong with a body: it may quote a value of any length."""


def error_body(error: HiveError) -> dict[str, Any]:
    """The body that says what went wrong; `details` is there only where counts explain it."""
    body: dict[str, Any] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.details is not None:
        body["details"] = error.details
    return {"error": body}


def error_headers(error: HiveError) -> dict[str, str]:
    """`retry-after` where waiting can help; `x-should-retry: false` after dispatch and on 409, where it cannot."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.dispatched or isinstance(error, Conflict):
        headers["x-should-retry"] = "false"
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    return headers


def error_answer(error: HiveError, headers: Mapping[str, str] | None = None, path: str = "") -> Answer:
    """The whole answer for a failure of the route at `path`."""
    return json_answer(body_at(path, error), error.status, {**error_headers(error), **(headers or {})})


def body_at(path: str, error: HiveError) -> dict[str, Any]:
    """The body of a failure on this path: Anthropic's clients look for a `type` of the whole as well."""
    body = error_body(error)
    return {"type": "error", **body} if speaks_anthropic(path) else body


def as_hive_error(failure: Exception, method: str, path: str) -> HiveError | None:
    """The error that a caller is told for what the framework, the store or our own code raised; None if it is a bug."""
    match failure:
        case HiveError():
            return failure
        case NotFoundException():
            return no_route(path)
        case MethodNotAllowedException():
            return MethodNotAllowed(f"{path[:200]} does not take {method}.")
        case HTTPException(status_code=413):
            return too_large()
        case ClientException(detail=detail):
            return RequestError(detail or "The request is malformed.")
        case _:
            return None


def too_large() -> TooLarge:
    """The 413 for a body beyond what its route takes."""
    return TooLarge("The request body is larger than 4 MiB, or than 20 MiB with images in it.")


def no_route(path: str) -> NotFound:
    """The 404 for a path without a route; a route of a supported API that comes later is called by its name."""
    if is_later(path):
        return NotFound(f"{path} is part of the API but not served by this Hive yet.")
    if path.startswith(JOBS):
        return NotFound(f"There is no job {path.removeprefix(JOBS)[:200]}.")
    return NotFound(f"There is no route {path[:200]}.")


def internal_error() -> HiveError:
    """What a caller is told of a bug: nothing but that it is ours."""
    return HiveError("Something went wrong on our side.")


def malformed(failure: Exception) -> RequestError:
    """What is wrong with a body, in words, with the field at fault as `param`."""
    if not isinstance(failure, msgspec.ValidationError):
        return RequestError("The body is not valid JSON.")
    reason, _, where = str(failure).partition(" - at `$")
    reason = reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}…"
    field = where.removesuffix("`").removeprefix(".")
    if field and not field.startswith("["):
        return RequestError(f"{field}: {reason}.", param=field)
    missing = reason.partition("required field `")[2].removesuffix("`")
    return RequestError(f"{reason}.", param=missing or None)


def speaks_openai(path: str) -> bool:
    """Whether a path is on the OpenAI face, where a bad key is called `invalid_api_key`."""
    return path.startswith(OPENAI_PATHS)


def speaks_anthropic(path: str) -> bool:
    """Whether a path is `/v1/messages` or below it, where Anthropic's clients ask; `/v1` may be left out."""
    return f"{path}/".removeprefix("/v1").startswith("/messages/")
