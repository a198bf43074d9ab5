"""`hive jobs` and `hive status` in front of a real swarm, from scripts and in a real terminal."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from client import AsyncHive
from tests.machine.terminal import hive
from tests.machine.test_chat_terminal import asked, there
from tests.support_up import Up, running
from tests.support_wait import eventually

pytestmark = pytest.mark.timeout(240)
SLOTS = 4
"""How many answers a worker makes at once."""
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n")


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running("--worker-max-tps", "20") as swarm:
        yield swarm


@pytest.fixture
async def jobs(up: Up) -> AsyncIterator[AsyncHive]:
    async with AsyncHive(up.ready.base_url, up.ready.api_key) as client:
        yield client


async def occupy(jobs: AsyncHive, place: str) -> list[UUID]:
    """Gives the only worker of a place as much as it takes at once, for half a minute: what is asked there now waits."""
    story = "Tell me a long story."
    busy = [await jobs.submit(model_id="hive-nano", prompt=story, jurisdiction=place) for _ in range(SLOTS)]
    return [job.job_id for job in busy]


async def release(jobs: AsyncHive, busy: list[UUID]) -> None:
    """The worker has room again, and begins what waits."""
    for job_id in busy:
        await jobs.cancel(job_id)


async def test_a_job_from_a_script_from_submit_to_usage(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    words = (
        "jobs",
        "submit",
        "What is the capital of France?",
        "--temperature",
        "0",
        "--reward",
        "0.5",
        "--place",
        "it",
    )
    code, out, err = await asked(tmp_path, there(up), *words)
    assert (code, err) == (0, "")
    assert ID.fullmatch(out)
    job = await jobs.wait(out.strip())
    assert (job.jurisdiction, float(job.gns_cost)) == ("IT", 0.5)
    code, out, _ = await asked(tmp_path, there(up), "jobs", "get", str(job.id)[:8], "--json")
    assert json.loads(out)["result_text"] == job.result_text == "The capital of France is Paris."
    code, out, _ = await asked(tmp_path, there(up), "jobs", "get", f"hive-{str(job.id)[:8]}")
    assert re.search(r"cost +0\.5 GNS", out)
    assert out.endswith("\n\nThe capital of France is Paris.\n")
    code, out, _ = await asked(tmp_path, there(up), "jobs", "why", str(job.id)[:8], "--json")
    assert (code, json.loads(out)["sentence"]) == (0, "It was completed by attempt 1.")
    code, out, _ = await asked(tmp_path, there(up), "jobs", "why", str(job.id))
    assert re.search(r"attempt 1 +\S+Z complete", out)
    code, out, _ = await asked(tmp_path, there(up), "jobs", "watch", str(job.id))
    assert (code, out) == (0, "The capital of France is Paris.\n")
    code, out, _ = await asked(tmp_path, there(up), "jobs", "list", "--status", "completed", "--json", "--limit", "101")
    assert str(job.id) in [one["id"] for one in json.loads(out)]
    code, out, _ = await asked(tmp_path, there(up), "jobs", "usage", "--by", "", "--json")
    told = json.loads(out)
    assert len(told["usage"]) == 1
    assert float(told["usage"][0]["cost"]) >= 0.5
    code, out, _ = await asked(tmp_path, there(up), "jobs", "usage")
    assert "hive-nano" in out
    assert "credit 1000 GNS" in out


async def test_what_is_piped_in_is_the_prompt_and_its_events_are_lines(up: Up, tmp_path: Path) -> None:
    words = ("jobs", "submit", "--watch", "--json", "--max-tokens", "8", "--idempotency-key", "once")
    code, out, err = await asked(tmp_path, there(up), *words, piped=b"Tell me a story\n")
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert {"status", "token", "done"} >= {event["event"] for event in events}
    assert events[-1]["event"] == "done"
    code, out, _ = await asked(tmp_path, there(up), *words, piped=b"Tell me a story\n")
    assert json.loads(out.splitlines()[-1])["job_id"] == events[0]["job_id"]


async def test_a_job_is_cancelled_and_what_is_wrong_is_one_sentence(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    job = await jobs.submit(model_id="hive-nano", prompt="Tell me a long story")
    code, out, _ = await asked(tmp_path, there(up), "jobs", "cancel", str(job.job_id))
    assert (code, out) == (0, f"{job.job_id} is cancelled\n")
    cases = {
        ("jobs", "cancel", str(job.job_id)): "it is cancelled",
        ("jobs", "watch", str(job.job_id)): "cancelled",
        ("jobs", "get", "x"): "is no job's id",
        ("jobs", "get", "00000000"): "None of the last 100 jobs",
        ("jobs", "list", "--status", "lost"): "status must be one of",
        ("jobs", "submit", "Hi", "--reward", "much"): "no amount of GNS",
        ("jobs", "usage", "--by", "moon"): "by takes day, key, model",
    }
    for words, says in cases.items():
        code, out, err = await asked(tmp_path, there(up), *words)
        assert (code, out) == (1, ""), words
        assert says in err, words
        assert err.count("\n") == 1, words


async def test_one_job_is_watched_while_it_is_computed(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    busy = await occupy(jobs, "DE")
    job = await jobs.submit(model_id="hive-nano", prompt="Tell me a story.", jurisdiction="DE", max_tokens=80)
    with hive(tmp_path, "jobs", "watch", str(job.job_id)[:8], columns=100, environment=there(up)) as t:
        await t.shows("pending")
        await release(jobs, busy)
        await t.shows("computing by ", "DE, cell 841f1d5ffffffff", " of 80 tokens", "tokens/s")
        assert await t.ends() == 0
        assert "completed by " in t.text
        assert " GNS" in t.text
        assert "computing" not in t.text
        result = (await jobs.job(job.job_id)).result_text or ""
        assert " ".join(t.scrollback.split()).startswith(" ".join(result.split()))


async def test_leaving_a_watched_job_changes_nothing_for_it(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    busy = await occupy(jobs, "DE")
    job = await jobs.submit(model_id="hive-nano", prompt="Tell me a story.", jurisdiction="DE", max_tokens=60)
    with hive(tmp_path, "jobs", "watch", str(job.job_id), columns=100, environment=there(up)) as t:
        await t.shows("pending")
        await release(jobs, busy)
        await t.shows("computing by ")
        t.press("\x03")
        assert await t.ends() == 130
        assert t.cooked()
    assert (await jobs.wait(job.job_id)).status == "completed"


async def test_all_unfinished_jobs_are_a_table_until_they_have_ended(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    prompts = ("Tell me a story.", "Tell me a long story.", "Tell me a story about a fox.")
    busy = await occupy(jobs, "IT")
    asked_for = [await jobs.submit(model_id="hive-nano", prompt=it, jurisdiction="IT", max_tokens=40) for it in prompts]
    names = [str(job.job_id)[:8] for job in asked_for]
    with hive(tmp_path, "jobs", "watch", columns=120, environment=there(up)) as t:
        await t.shows(*names, "pending", "tokens/s")
        await release(jobs, busy)

        async def computing() -> bool:
            await t.shows(*names)
            rows = [line for line in t.lines if line.strip().startswith(tuple(names))]
            return any(all(word in row for word in ("computing", "/40", "IT, cell")) for row in rows)

        await eventually(computing, 30, f"a row of one that is computed\n{t.text}")
        assert await t.ends(60) == 0
        assert t.text.count("completed") == 3
        assert t.text.count("/40") >= 3
    code, out, err = await asked(tmp_path, there(up), "jobs", "watch")
    assert (code, out, err) == (0, "", "")


async def test_the_swarm_in_a_terminal(up: Up, tmp_path: Path) -> None:
    public = {"HIVE_BASE_URL": up.ready.base_url}
    _, out, _ = await asked(tmp_path, public, "status", "--json")
    told = json.loads(out)
    assert (told["status"]["active_nodes"], len(told["workers"])) == (3, 3)
    with hive(tmp_path, "status", environment=public) as t:
        assert await t.ends() == 0
        for words in ("3 online of 3", "hive-nano  loaded", "DE             1", "on a local ledger"):
            assert words in t.text
    with hive(tmp_path, "status", "--watch", environment=public) as t:
        await t.shows("3 online of 3")
        t.press("\x03")
        assert await t.ends() == 0
        assert t.cooked()


async def test_tab_completes_commands_options_and_jobs(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    job = await jobs.submit(model_id="hive-nano", prompt="Hi", max_tokens=1)

    async def completed(line: str) -> list[str]:
        asking = {"_HIVE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        code, out, err = await asked(tmp_path, {**there(up), **asking})
        assert (code, err) == (0, "")
        return out.split()

    assert await completed("hive ch") == ["chat"]
    assert {"submit", "get", "list", "watch", "cancel", "usage"} <= set(await completed("hive jobs "))
    assert await completed("hive jobs submit --max") == ["--max-tokens"]
    assert str(job.job_id) in await completed(f"hive jobs get {str(job.job_id)[:4]}")
