"""`hive chat` in front of a real swarm: one question from a script, and a conversation in a real terminal."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from client import AsyncHive
from client.shapes.jobs import Job
from tests.machine.terminal import HIVE, ROOT, Terminal, hive
from tests.support_up import Up, running
from tests.support_wait import eventually

pytestmark = pytest.mark.timeout(120)
READY = "Alt-Ent"
"""What stands below the line when it may be written in."""


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running("--worker-max-tps", "30") as swarm:
        yield swarm


@pytest.fixture
async def jobs(up: Up) -> AsyncIterator[AsyncHive]:
    async with AsyncHive(up.ready.base_url, up.ready.api_key) as client:
        yield client


def there(up: Up) -> dict[str, str]:
    return {"HIVE_BASE_URL": up.ready.base_url, "HIVE_API_KEY": up.ready.api_key}


async def asked(home: Path, environment: dict[str, str], *words: str, piped: bytes = b"") -> tuple[int, str, str]:
    """What `hive …` without a terminal says on stdout and stderr, and its exit code."""
    named = {**os.environ, "HIVE_HOME": str(home), "PYTHONPATH": str(ROOT), **environment}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *HIVE, *words, env=named, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(piped)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def last_job(jobs: AsyncHive, status: str, but: Sequence[Job] = ()) -> Job:
    """The newest job, once it is in this state and none of those that were there before."""

    async def look() -> Job | None:
        newest = [job for job in (await jobs.jobs(limit=1)).data if job.status == status]
        return next((job for job in newest if job.id not in {other.id for other in but}), None)

    return await eventually(look, 10, f"the last job {status}")


async def say(t: Terminal, line: str) -> None:
    """Types a line once it may be written, and sends it."""
    await t.shows(READY)
    t.press(line)
    await t.shows(line[-30:])
    t.press("\r")


async def answered(t: Terminal, number: int) -> None:
    """Waits until so many answers are on the screen."""

    async def look() -> bool:
        await t.shows(READY)
        return t.text.count("computed in") == number

    await eventually(look, 20, f"{number} answers\n{t.text}")


async def test_one_question_from_a_script(up: Up, tmp_path: Path) -> None:
    code, out, err = await asked(tmp_path, there(up), "chat", "What is the capital of", "France?", "--temperature", "0")
    assert (code, out, err) == (0, "The capital of France is Paris.\n", "")
    code, out, err = await asked(tmp_path, there(up), "chat", piped=b"What is the capital of Italy?\n")
    assert (code, out, err) == (0, "The capital of Italy is Rome.\n", "")
    assert not (tmp_path / "chat_history").exists()


async def test_one_question_as_json_in_a_place(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    words = (
        "chat",
        "Tell me a story",
        "--json",
        "--place",
        "DE",
        "--max-tokens",
        "12",
        "--seed",
        "7",
        "--system",
        "Hi",
    )
    code, out, err = await asked(tmp_path, there(up), *words)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["countries"], told["finish_reason"], told["tokens_out"]) == (["DE"], "length", 12)
    job = await jobs.job(told["job_id"])
    assert (job.jurisdiction, job.result_text, job.worker_pk) == ("DE", told["content"], told["worker"])
    assert told["gns_cost"] == float(job.gns_cost) > 0


async def test_what_goes_wrong_is_one_sentence(up: Up, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    cases = {
        ("chat", "Hi", "--place", "FR"): "No eligible worker in FR",
        ("chat", "Hi", "--model", "gpt-9"): "gpt-9",
        ("chat",): "nothing to ask",
        ("chat", "Hi", "--file", str(tmp_path / "binary")): "neither UTF-8 text nor a picture",
    }
    for words, says in cases.items():
        code, out, err = await asked(tmp_path, there(up), *words)
        assert (code, out) == (1, "")
        assert says in err
        assert err.startswith("hive: ")
        assert err.count("\n") == 1
    code, _, err = await asked(tmp_path, {"HIVE_BASE_URL": "http://127.0.0.1:9"}, "chat", "Hi")
    assert "HIVE_API_KEY" in err
    code, _, err = await asked(tmp_path, {"HIVE_BASE_URL": "http://127.0.0.1:9", "HIVE_API_KEY": "k"}, "chat", "Hi")
    assert "No Hive answers at http://127.0.0.1:9" in err


async def test_a_conversation(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    with hive(tmp_path, "chat", "--temperature", "0", environment=there(up)) as t:
        await say(t, "What is the capital of France?")
        text = await t.shows("The capital of France is Paris.", " tokens/s · computed in ", " GNS")
        assert "waiting" not in text
        t.press("And\x1b\rItaly\\\rplease?\r")
        await t.shows("› And\n  Italy\n  please?", " GNS\n\n› And")
        await answered(t, 2)
        job = await last_job(jobs, "completed")
        assert job.tokens_in > 20, "the first question and its answer went along"
        await say(t, "/undo")
        await t.shows("Taken back: And")
        await say(t, "/new")
        await say(t, f"/save {tmp_path}/nothing.md")
        await t.shows("There is nothing to save yet.")
        await say(t, "/quit")
        assert await t.ends() == 0
        assert t.cooked()
    history = tmp_path / "chat_history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "+What is the capital of France?\n" in history.read_text()
    assert "Paris" not in history.read_text()


async def test_ctrl_c_ends_the_answer_and_its_job_and_the_chat_goes_on(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    with hive(tmp_path, "chat", "--no-history", environment=there(up)) as t:
        await say(t, "Tell me a long story.")
        await last_job(jobs, "computing")
        t.press("\x03")
        await t.shows("stopped · ", "computed in", READY)
        stopped = await last_job(jobs, "cancelled")
        assert stopped.tokens_generated < 100
        assert "^C" not in t.text
        await say(t, "What is the capital of Italy?")
        await t.shows("Rome", " tokens/s · computed in ")
        t.press("half a line")
        await t.shows("› half a line")
        t.press("\x03")
        t.press("\x03")
        await t.shows("Ctrl-D leaves; Ctrl-C stops an answer.")
        t.press("\x04")
        assert await t.ends() == 0
        assert t.cooked()
    assert not (tmp_path / "chat_history").exists()


async def test_leaving_before_the_first_token_cancels_too(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    blocking = [await jobs.submit(model_id="hive-nano", prompt="Tell me a story", jurisdiction="DE") for _ in range(4)]
    with hive(tmp_path, "chat", "--place", "DE", environment=there(up)) as t:
        await say(t, "Are you there?")
        await t.shows("waiting for hive-nano in DE · ", "Ctrl-C stops")
        waiting = await last_job(jobs, "pending")
        t.press("\x03")
        await t.shows("stopped", READY)
        assert (await jobs.wait(waiting.id)).status == "cancelled"
        assert "waiting for" not in t.text
    for job in blocking:
        await jobs.cancel(job.job_id)


async def test_models_places_and_mistakes(up: Up, tmp_path: Path) -> None:
    with hive(tmp_path, "chat", environment=there(up)) as t:
        await t.shows(READY)
        t.press("/mo")
        await t.shows("show the models, or go on with another")
        t.press("\t")
        await t.shows("› /model")
        t.press("\r\r")
        await t.shows("hive-nano", "GNS per million", "/model NAME")
        await say(t, "/model gpt")
        await t.shows("✗ No worker serves gpt now; there is hive-nano.")
        await say(t, "/place")
        await t.shows("Answers are computed anywhere; online now: DE 1, IT 1, US 1.")
        await say(t, "/place us")
        await t.shows("Answers are computed in US; 1 of 3 workers online is there.", "hive-nano · US · ")
        await say(t, "What is the capital of Spain?")
        await t.shows("computed in US, cell 842a107ffffffff")
        await say(t, "/place fr")
        await say(t, "Is anybody there?")
        await t.shows("✗ No eligible worker in FR", "/place any widens the")
        await say(t, "/place any")
        await say(t, "/retry")
        await t.shows("› /retry\n\n", "computed in")
        await say(t, "/fly")
        await t.shows("There is no /fly")


async def test_a_long_answer_leaves_the_scrollback_whole(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    before = (await jobs.jobs(limit=1)).data
    with hive(tmp_path, "chat", columns=30, rows=8, environment=there(up)) as t:
        await say(t, "Tell me a story.")
        await last_job(jobs, "computing", but=before)
        await t.shows(READY, seconds=40)
        job = await last_job(jobs, "completed")
        kept = t.scrollback.partition("Tell me a story.")[2]
        assert kept.split()[: len((job.result_text or "").split())] == (job.result_text or "").split()


async def test_a_file_goes_with_the_next_question_alone(up: Up, jobs: AsyncHive, tmp_path: Path) -> None:
    (tmp_path / "a note.txt").write_text("bees " * 200)
    with hive(tmp_path, "chat", columns=200, environment=there(up)) as t:
        await say(t, f"/file {tmp_path}/a note.txt")
        await t.shows("a note.txt goes with your next question.", "with a note.txt")
        await say(t, "What is it about?")
        await t.shows(" tokens/s · computed in ")
        assert (await last_job(jobs, "completed")).tokens_in > 200
        await say(t, "/new")
        await say(t, "Hello")
        await answered(t, 2)
        assert (await last_job(jobs, "completed")).tokens_in < 50
        await say(t, f"/save {tmp_path}/talk.json")
        await t.shows("1 question with the answers written")
    assert [message["role"] for message in json.loads((tmp_path / "talk.json").read_text())] == ["user", "assistant"]
    assert stat.S_IMODE((tmp_path / "talk.json").stat().st_mode) == 0o600


async def test_a_terminal_that_cannot_draw_gets_the_words(up: Up, tmp_path: Path) -> None:
    with hive(tmp_path, "chat", "What is the capital of France?", "--temperature", "0",
              environment={**there(up), "TERM": "dumb"}) as t:  # fmt: skip
        assert await t.ends() == 0
        assert b"\x1b[2K" not in t.raw
        assert "The capital of France is Paris." in t.text
