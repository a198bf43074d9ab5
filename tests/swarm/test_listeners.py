"""Two listeners, and no route on both: what is the operator's cannot be reached from outside, with whatever key."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from coordinator.api.app import admin_app, public_app
from coordinator.store.engine import Engine
from tests.swarm.http_hive import Served, serving

ANY_ID = str(UUID(int=7))
PARAMETER = re.compile(r"\{[^}]*\}")


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        yield running


def routes(front: Any) -> list[tuple[str, str]]:
    """Every method and path that an app really has, with an id for each parameter."""
    return [
        (method, PARAMETER.sub(ANY_ID, route.path))
        for route in front._app.routes
        for method in sorted(route.methods - {"OPTIONS"})
    ]


async def strays(url: str, asked: list[tuple[str, str]], keys: list[str]) -> list[tuple[str, str, int]]:
    """Those that answer anything but that there is no such route."""
    found = []
    async with httpx.AsyncClient(base_url=url, timeout=20) as http:
        for method, path in asked:
            for key in keys:
                got = await http.request(method, path, headers={"authorization": f"Bearer {key}"})
                if (got.status_code, got.json()["error"]["code"]) != (404, "not_found"):
                    found.append((method, path, got.status_code))
    return found


async def test_no_route_of_the_operator_is_public(served: Served) -> None:
    asked = routes(admin_app(served.hive))
    assert {("POST", "/admin/keys"), ("GET", "/metrics")} < set(asked)
    assert await strays(served.base_url, asked, [served.admin_key, served.api_key, "nonsense"]) == []


async def test_no_public_route_is_on_the_operators_listener(served: Served) -> None:
    asked = routes(public_app(served.hive))
    assert {("POST", "/v1/chat/completions"), ("GET", "/hive/status"), ("GET", "/")} < set(asked)
    assert await strays(served.admin_url, asked, [served.admin_key, served.api_key]) == []


async def test_the_operators_routes_ask_for_the_operators_key(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.admin_url, timeout=20) as http:
        for method, path in routes(admin_app(served.hive)):
            for key in (served.api_key, "nonsense"):
                got = await http.request(method, path, headers={"authorization": f"Bearer {key}"})
                assert (got.status_code, got.json()["error"]["code"]) == (401, "unauthorized"), (method, path)
