"""What all routes share: what they are given, and how they answer."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from deploy.devledger.faults import Faults
from deploy.devledger.horizon.problems import Problem, bad_request
from deploy.devledger.network import MAX_INT64
from deploy.devledger.node import Node
from deploy.devledger.store import Slice

Reply = Response[bytes]
AnyRequest = Request[Any, Any, Any]
GivenNode = NamedDependency[Node]
GivenFaults = NamedDependency[Faults]
GivenPatience = NamedDependency[float]
MAX_LIMIT = 200


def reply(outcome: dict[str, Any] | Problem, status: int = 200) -> Reply:
    """Answer with a document, or with the problem that stood in its way."""
    if isinstance(outcome, Problem):
        body, status, kind = outcome.body(), outcome.status, "application/problem+json"
    else:
        body, kind = outcome, "application/hal+json"
    return Response(msgspec.json.encode(body), status_code=status, media_type=kind)


@dataclass(frozen=True)
class Paging:
    """The three paging parameters as they came."""

    cursor: str | None
    order: str
    limit: int

    def part(self) -> Slice | Problem:
        """Return which part of a list they ask for, or what is wrong with them."""
        if self.order not in ("asc", "desc"):
            return bad_request("order", "order: invalid value")
        if not 1 <= self.limit <= MAX_LIMIT:
            return bad_request("limit", f"limit: must be between 1 and {MAX_LIMIT}")
        descending = self.order == "desc"
        if not self.cursor or self.cursor == "now":
            return Slice(None, descending, self.limit)
        if not self.cursor.isascii() or not self.cursor.isdigit() or int(self.cursor) > MAX_INT64:
            return bad_request("cursor", "cursor: invalid value")
        return Slice(int(self.cursor), descending, self.limit)


def read_paging(
    cursor: FromQuery[str | None] = None, order: FromQuery[str] = "asc", limit: FromQuery[int] = 10
) -> Paging:
    """Gather the paging parameters of a request."""
    return Paging(cursor, order, limit)


GivenPaging = NamedDependency[Paging]


def page(request: AnyRequest, records: list[dict[str, Any]], part: Slice) -> dict[str, Any]:
    """Wrap records up as a page whose `next` goes on behind the last of them."""
    here = str(request.url)
    cursor = records[-1]["paging_token"] if records else request.query_params.get("cursor", "")
    kept = {name: value for name, value in request.query_params.items() if name not in ("cursor", "order", "limit")}
    order = "desc" if part.descending else "asc"
    query = urlencode({**kept, "cursor": cursor, "limit": part.limit, "order": order})
    following = f"{here.partition('?')[0]}?{query}"
    links = {"self": {"href": here}, "next": {"href": following}}
    return {"_links": links, "_embedded": {"records": records}}


class _BrokenOff(ASGIResponse):
    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Promise a body and end without it, at which the server cuts the connection."""
        headers = [(b"content-type", b"application/hal+json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


class Cut(Response[bytes]):
    """An answer whose connection ends in its middle."""

    def __init__(self) -> None:
        super().__init__(b"")

    def to_asgi_response(self, *_args: Any, **_kwargs: Any) -> ASGIResponse:
        """Return the answer that breaks off."""
        return _BrokenOff()
