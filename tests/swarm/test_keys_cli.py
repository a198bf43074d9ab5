"""`hive keys` against a running coordinator: a key is shown once, works, is listed, and stops working."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest

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
    async with httpx.AsyncClient(
        base_url=swarm.base_url, headers={"authorization": f"Bearer {key}"}, timeout=30
    ) as client:
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

        await eventually(refused, 30, "the key stops working")


async def test_a_key_that_is_not_there_is_one_sentence(swarm: Swarm) -> None:
    code, said = await hive(swarm, "keys", "revoke", "nothing")
    assert code == 1
    assert "No key is called nothing" in said
    assert "Traceback" not in said


async def test_a_key_has_a_plan_limits_scopes_and_an_end(swarm: Swarm) -> None:
    terms = ("--plan", "pro", "--rpm", "7", "--tpm", "9000", "--at-once", "2", "--scopes", "inference, read")
    money = ("--budget", "1", "--recharge", "2", "--recharge-below", "0.5", "--recharge-daily", "8")
    code, said = await hive(swarm, "keys", "create", "--name", "mine", *terms, *money, "--expires", "30d", "--json")
    assert code == 0, said
    made = json.loads(said)
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {made['key']}"}, base_url=swarm.base_url) as client:
        shown = (await client.get("/hive/key")).json()
        assert (await client.post("/hive/jobs", json={})).status_code == 403
    assert shown["limits"] == {"requests": 7, "daily": False, "tokens": 9000, "at_once": 2}
    assert (shown["plan"], shown["scopes"]) == ("pro", ["inference", "read"])
    assert shown["budget"] == {"total": 1, "held": 0, "spent": 0, "left": 1, "recharge": 2}
    ends = datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < ends <= timedelta(days=30)
    (row,) = json.loads((await hive(swarm, "keys", "list", "--json"))[1])[-1:]
    assert (row["recharge_below"], row["recharge_daily"], row["expires_at"]) == (0.5, 8, shown["expires_at"])
    listed = (await hive(swarm, "keys", "list"))[1]
    assert "7/min" in listed


async def test_a_key_is_rotated_and_both_secrets_work(swarm: Swarm) -> None:
    made = json.loads((await hive(swarm, "keys", "create", "--plan", "free", "--json"))[1])
    code, said = await hive(swarm, "keys", "rotate", made["prefix"], "--overlap", "1h", "--json")
    assert code == 0, said
    turned = json.loads(said)
    for secret in (made["key"], turned["key"]):
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {secret}"}, base_url=swarm.base_url) as client:
            assert (await client.get("/hive/key")).json()["limits"]["daily"] is True
    code, said = await hive(swarm, "keys", "rotate", turned["prefix"])
    assert code == 0
    assert said.startswith("sk-hive-")
    assert "works until" in said


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("create", "--plan", "gold"), "There is no plan 'gold'"),
        (("create", "--plan", "free", "--rpm", "3"), "counts by the day"),
        (("create", "--expires", "soon"), "--expires soon is no time"),
        (("create", "--scopes", "all"), "scopes takes one or more of inference, jobs, read"),
        (("rotate", "nothing"), "No key is called nothing"),
        (("rotate", "x", "--overlap", "long"), "--overlap long is no length of time"),
    ],
)
async def test_what_is_wrong_is_one_sentence(swarm: Swarm, wrong: tuple[str, ...], sentence: str) -> None:
    code, said = await hive(swarm, "keys", *wrong)
    assert code == 1
    assert sentence in " ".join(said.split())
    assert "Traceback" not in said
