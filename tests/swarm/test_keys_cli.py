"""`hive keys` against a running coordinator: a key is shown once, works, is listed, and stops working."""

import asyncio
import json
import os
import sys

import httpx

from tests.support_wait import eventually
from tests.swarm.whole import Swarm


async def hive(swarm: Swarm, *args: str) -> tuple[int, str]:
    """What the command says, and its exit code."""
    env = os.environ | {"HIVE_ADMIN_URL": swarm.admin_url, "HIVE_ADMIN_KEY": swarm.admin_key}
    asked = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shared", *args, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asked.communicate()
    assert asked.returncode is not None
    return asked.returncode, said.decode()


async def test_a_key_is_made_listed_and_revoked(swarm: Swarm) -> None:
    code, said = await hive(swarm, "keys", "create", "--name", "mine", "--grant", "1", "--budget", "0.5", "--json")
    assert code == 0, said
    key = json.loads(said)["key"]
    async with httpx.AsyncClient(base_url=swarm.base_url, headers={"authorization": f"Bearer {key}"}) as client:
        assert (await client.get("/v1/models")).status_code == 200
        code, said = await hive(swarm, "keys", "list")
        assert code == 0
        assert "mine" in said
        assert key not in said
        prefix = next(
            row["prefix"]
            for row in json.loads((await hive(swarm, "keys", "list", "--json"))[1])
            if row["name"] == "mine"
        )
        assert (await hive(swarm, "keys", "revoke", prefix))[0] == 0

        async def refused() -> bool:
            return (await client.get("/v1/models")).status_code == 401

        await eventually(refused, 10, "the key stops working")


async def test_a_key_that_is_not_there_is_one_sentence(swarm: Swarm) -> None:
    code, said = await hive(swarm, "keys", "revoke", "nothing")
    assert code == 1
    assert "No key is called nothing" in said
    assert "Traceback" not in said
