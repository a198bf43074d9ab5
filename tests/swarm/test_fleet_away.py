"""The database of a fleet goes away: all are told so at once, nothing that was accepted is lost, and it goes on by itself."""

import asyncio
import time
from pathlib import Path

from sqlalchemy.engine import make_url

from coordinator.store.engine import Engine
from tests.support_line import line_to
from tests.support_nats import NatsServer, nats
from tests.support_wait import eventually
from tests.swarm.fleet import CHAT, SAYS, STREAM, coordinators, known, texts, worker_of

__all__ = ["nats"]


async def test_while_the_database_is_away_all_are_told_at_once_and_afterwards_all_is_done(
    engine: Engine, database_url: str, tmp_path: Path, nats: NatsServer
) -> None:
    url = make_url(database_url)
    assert url.port is not None
    async with line_to(url.port) as line:
        through = url.set(port=line.port).render_as_string(hide_password=False)
        async with coordinators(through, tmp_path, nats.url) as (here, there):
            worker = worker_of(there, gate=asyncio.Event(), slots=1)
            assert worker.gate is not None
            async with worker.connected(there.url), here.client() as http:
                await known(here, worker)
                stream = await http.send(http.build_request("POST", "/v1/chat/completions", json=STREAM), stream=True)
                said = texts(stream.aiter_lines())
                begun = await anext(said)
                made = (await http.post("/hive/jobs", json={"model_id": "hive-nano", "prompt": "Hello"})).json()
                line.cut()
                for path, body in (
                    ("/v1/chat/completions", CHAT),
                    ("/hive/jobs", {"model_id": "hive-nano", "prompt": "Hello"}),
                ):
                    began = time.monotonic()
                    answer = await http.post(path, json=body)
                    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_away")
                    assert time.monotonic() - began < 4
                worker.gate.set()
                more = begun + await anext(said)
                line.mend()
                assert more + "".join([part async for part in said]) == SAYS
                await stream.aclose()

                async def answers() -> bool:
                    return (await http.post("/v1/chat/completions", json=CHAT)).status_code == 200

                await eventually(answers, 20, "an answer again")
                assert (await here.ended(http, made["job_id"]))["result_text"] == SAYS
