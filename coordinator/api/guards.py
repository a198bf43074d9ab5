"""What guards this coordinator has, by their own words."""

from typing import Any, Final

import msgspec
from litestar import get
from litestar.types import ASGIApp

from coordinator.api.answers import json_answer
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest


class ShownGuard(msgspec.Struct, frozen=True):
    """A guard: how it decides, and what it misses or gets wrong."""

    name: str
    method: str
    limits: str


class Guards(msgspec.Struct, frozen=True):
    """The guards that `x-hive-guard` may name; `default` are those for requests without it."""

    data: list[ShownGuard]
    default: list[str]


@get("/hive/guards", name="guards")
async def guards(request: HttpRequest) -> ASGIApp:
    """The guards, and which of them look at requests that choose none."""
    gate = face_of(request).gate
    shown = [ShownGuard(guard.name, guard.method, guard.limits) for guard in gate.known.values()]
    return json_answer(Guards(shown, [guard.name for guard in gate.default]))


ROUTES: Final[list[Any]] = [guards]
