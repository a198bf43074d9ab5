"""Every route of the OpenAPI document under what schemathesis makes up for it: no 5xx of ours, every error in the one shape,
every answer as the document says."""

import asyncio
from random import Random
from typing import Any, Final

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from coordinator.api.document import openapi
from coordinator.api.operations import OPERATIONS
from tests.swarm.whole import Swarm

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT: Final = openapi()
ROUTES: Final = [(operation.method, operation.path) for operation in OPERATIONS]
EXAMPLES: Final = 30
STRANGE: Final = 2
HELLO: Final = [{"role": "user", "content": "Hello"}]
GOOD: Final[dict[str, dict[str, Any]]] = {
    "/v1/chat/completions": {"model": "hive-nano", "messages": HELLO},
    "/api/v3/chat/completions": {"model": "hive-nano", "messages": HELLO},
    "/v1/completions": {"model": "hive-nano", "prompt": "Hello"},
    "/v1/messages": {"model": "hive-nano", "messages": HELLO, "max_tokens": 4},
    "/v1/messages/count_tokens": {"model": "hive-nano", "messages": HELLO},
    "/v1/responses": {"model": "hive-nano", "input": "Hello"},
    "/v1/embeddings": {"model": "hive-nano", "input": "Hello"},
    "/v1/utils/token_counter": {"model": "hive-nano", "prompt": "Hello"},
    "/hive/jobs": {"model_id": "hive-nano", "prompt": "Hello"},
}
"""What makes a body of each route right but for what is strange in it."""

OURS: Final = {503: {"no_workers", "model_loading"}, 502: {"job_failed"}}
"""What may be answered with a status of the server's: that nobody is there, or that a worker could not do it."""


def told_well(got: httpx.Response) -> None:
    """An error has the one shape and says what is wrong; a status of ours is one that the contract knows."""
    error = got.json()["error"]
    assert set(error) - {"details"} == {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str), error
    assert isinstance(error["code"], str), error
    assert got.headers["x-request-id"]
    assert got.status_code < 500 or error["code"] in OURS.get(got.status_code, ()), error


def fits(got: httpx.Response, described: dict[str, Any]) -> None:
    """A good answer has the status and the shape that are written down."""
    assert str(got.status_code) in described["responses"], got.status_code
    schema = described["responses"][str(got.status_code)].get("content", {}).get("application/json", {}).get("schema")
    if schema is not None and got.headers["content-type"].startswith("application/json"):
        jsonschema.validate(got.json(), {**schema, "components": DOCUMENT["components"]})


def attack(method: str, path: str, base_url: str, api_key: str) -> None:
    """Sends what schemathesis makes up for one route."""
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    described = DOCUMENT["paths"][path][method]

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=schema[path][method].as_strategy(), sensible=st.booleans(), chance=st.randoms())
    def every(case: Any, sensible: bool, chance: Random) -> None:
        if sensible:
            mend(case, known | {"path": path}, chance)
        sent = case.as_transport_kwargs(base_url=base_url)
        placed = {} if sensible else {name: value for name, value in sent["headers"].items() if is_placing(name, value)}
        headers = placed | {"authorization": f"Bearer {api_key}"}
        content = {name: sent[name] for name in ("json", "data", "params") if sent.get(name)}
        got = http.request(sent["method"], sent["url"], headers=headers, **content)
        if got.is_success:
            fits(got, described)
        else:
            told_well(got)

    with httpx.Client(timeout=30) as http:
        asked = {"model_id": "hive-nano", "prompt": "Hello"}
        made = http.post(f"{base_url}/hive/jobs", headers={"authorization": f"Bearer {api_key}"}, json=asked)
        known = {"job_id": made.json()["job_id"], "model_id": "hive-nano"}
        every()


def mend(case: Any, known: dict[str, str], chance: Random) -> None:
    """Lets a made-up request name things that there are and be strange in few fields, so that what is behind is reached."""
    for name in case.path_parameters or {}:
        case.path_parameters[name] = known.get(name, case.path_parameters[name])
    body = case.body
    if isinstance(body, dict):
        good = GOOD.get(known["path"], {})
        strange = sorted(body.keys() - good.keys() - {"prompt", "messages"})
        kept = chance.sample(strange, min(len(strange), STRANGE))
        case.body = {name: body[name] for name in kept} | good


def is_placing(name: str, value: Any) -> bool:
    """Whether this is a header of Hive's, and one that a client could send at all."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return name.lower().startswith("x-hive-") and text.isascii() and text.isprintable() and text == text.strip()


# The coordinator beside it, in this process, draws by chance as well while requests are made up.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_whatever_is_sent_is_answered_well(lasting: Swarm, method: str, path: str) -> None:
    """Each route has an account of its own, whose money and quotas no other route has used up."""
    operator = {"authorization": f"Bearer {lasting.admin_key}"}
    async with httpx.AsyncClient(base_url=lasting.admin_url, headers=operator, timeout=30) as admin:
        made = await admin.post("/admin/keys", json={"plan": "enterprise", "grant": 1000})
    await asyncio.to_thread(attack, method, path, lasting.base_url, made.raise_for_status().json()["key"])
