"""The worker in a real terminal: the first run's questions, the picture, its keys, and the way out."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from shared.geo.cells import cell_of, format_cell
from shared.protocol.messages import Ack, CloseCode, Decline, Done, Inventory, Leave, Standing, Tokens
from tests.machine.coordinator_double import ROME, Coordinator, body, clock, coordinator, local_model
from tests.machine.terminal import Terminal, terminal
from tests.support_wait import eventually

pytestmark = pytest.mark.timeout(120)
DIGEST = local_model().digest
READY = "ready, waiting for jobs"
LEFT = b"\x1b[?1049l"


def joining(it: Coordinator, *more: str) -> list[str]:
    return ["join", "--coordinator", it.url, "--cell", ROME, *more]


async def ended_well(t: Terminal) -> None:
    """The program has ended, and whoever types next has the terminal that they had."""
    assert await t.ends() == 0
    assert t.cooked()
    assert t.raw.rindex(LEFT) > t.raw.rindex(b"\x1b[?1049h")
    assert "hive worker: up " in t.text


async def test_a_clean_home_is_asked_three_questions_and_never_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with coordinator() as it:
        with terminal(home, "join", environment={"TZ": "Europe/Rome"}) as t:
            await t.shows("Which coordinator [http://127.0.0.1:8080]:")
            t.press(f"{it.url}\r")
            await t.shows("Where is this machine", "[Rome, IT]:")
            t.press("Atlantis\r")
            await t.shows("no city that Hive knows")
            t.press("\r")
            await t.shows("a little, half or all [half]:")
            t.press("a little\r")
            await t.shows("Hive worker", "Work", "Earnings", "Tokens a second", "p pause  d drain  q quit  ? help")
            assert (await it.hellos.get()).capabilities.cell == format_cell(cell_of(41.9, 12.48))
            t.press("q")
            await ended_well(t)
        with terminal(home, "join") as t:
            await t.shows("Hive worker")
            assert (await it.hellos.get()).capabilities.slots == 1
            t.press("q")
            await ended_well(t)


async def test_whoever_interrupts_a_question_has_written_nothing(tmp_path: Path) -> None:
    with terminal(tmp_path, "join", environment={"TZ": "Europe/Rome"}) as t:
        await t.shows("Which coordinator")
        t.press("\x03")
        assert await t.ends() != 0
        assert not (tmp_path / "config.toml").exists()


async def test_the_picture_shows_work_earnings_and_trouble(tmp_path: Path) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it, "--handle", "@kitchen", "--max-tps", "40")) as t:
            await t.shows(READY, "@kitchen", "seedling", "The coordinator has not said yet")
            who = (await it.hellos.get()).worker_pk
            await it.say(Standing(clock(), 12_500_000, 30_000_000, 4, 1_251_234_567, 42))
            await t.shows(
                "today    1.25 GNS", "held     3 GNS", "pending  0.0000004 GNS", "125.1234567", "42 workers online"
            )
            await it.offer(body(who, DIGEST, max_tokens=1500))
            await t.shows("working on 1 answer", "■□□□  1 of 4", "█")
            t.press("q")
            t.press("q")
            await ended_well(t)


async def test_a_crashed_engine_is_told_in_the_picture_and_tears_it_not(tmp_path: Path) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it)) as t:
            await t.shows(READY)
            for child in psutil.Process(t.child.pid).children():
                child.send_signal(signal.SIGKILL)
            text = await t.shows("engine crashed")
            assert text.splitlines()[0].startswith("╭─ Hive worker ─")
            assert text.splitlines()[-1].startswith("  p pause")
            t.press("q")
            await ended_well(t)


async def test_keys_pause_resume_help_and_drain(tmp_path: Path) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it, "--max-tps", "60")) as t:
            await t.shows(READY)
            who = (await it.hellos.get()).worker_pk
            t.press("p")
            await t.shows("paused: you paused it")
            await it.hear(Inventory, lambda i: not i.capabilities.jobs)
            await it.offer(body(who, DIGEST))
            assert (await it.hear(Decline)).reason == "takes no work now"
            t.press("p")
            await it.hear(Inventory, lambda i: i.capabilities.jobs)
            await t.shows(READY)
            t.press("?")
            await t.shows("Help", "finish the running jobs")
            t.press("\x1b[A?")
            await t.shows("Trouble")
            await it.offer(body(who, DIGEST, max_tokens=60))
            await it.hear(Tokens)
            t.press("d")
            await t.shows("draining: no new jobs")
            _, done = await it.hear_both(Leave, Done)
            await it.say(Ack(str(done.receipt["job_id"]), 1, "accepted"))
            await ended_well(t)


async def test_keys_are_read_again_after_the_worker_was_stopped_and_went_on(tmp_path: Path) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it)) as t:
            await t.shows(READY)
            t.child.kill(signal.SIGSTOP)
            t.cook()
            t.child.kill(signal.SIGCONT)

            async def raw() -> bool:
                return not t.cooked()

            await eventually(raw, 10, "single keys")
            t.press("p")
            await t.shows("you paused it")
            t.press("q")
            await ended_well(t)


async def test_ctrl_c_drains_and_says_so_and_twice_ends_at_once(tmp_path: Path) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it, "--max-tps", "10")) as t:
            await t.shows(READY)
            await it.offer(body((await it.hellos.get()).worker_pk, DIGEST, max_tokens=1500))
            await it.hear(Tokens)
            t.press("\x03")
            await t.shows("ending within 10 s; Ctrl-C again ends at once")
            await it.hear(Leave)
            t.press("\x03")
            await ended_well(t)


async def test_a_refusal_is_a_sentence_on_a_terminal_that_works(tmp_path: Path) -> None:
    async with coordinator() as it:
        it.refuse = (CloseCode.UPGRADE, "please upgrade (the other side speaks version 2, this one 1)")
        with terminal(tmp_path, *joining(it), columns=200) as t:
            assert await t.ends() == 1
            assert t.cooked()
            assert "please upgrade: `hive worker update` (the other side speaks version 2, this one 1)" in t.text


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
async def test_where_no_picture_is_wanted_there_are_lines(tmp_path: Path, plain: dict[str, str]) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it), environment=plain) as t:
            await t.shows("\nonline")
            t.child.kill(signal.SIGINT)
            assert await t.ends() == 0
            assert b"\x1b[?1049h" not in t.raw
            assert b"welcomed" in t.raw
            assert "NO_COLOR" not in plain or b"\x1b[" not in t.raw


@pytest.mark.parametrize(("columns", "rows"), [(160, 50), (60, 21), (60, 20), (30, 8)])
async def test_every_size_of_terminal_has_a_picture(tmp_path: Path, columns: int, rows: int) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it), columns=columns, rows=rows) as t:
            text = await t.shows("ready, waiting for", "p pause")
            assert len([line for line in text.splitlines() if "p pause" in line]) == 1
            t.press("q")
            await ended_well(t)


async def test_the_picture_follows_the_terminals_size(tmp_path: Path) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it)) as t:
            await t.shows(READY)
            t.screen.resize(30, 120)
            t.child.setwinsize(30, 120)
            await t.shows("─" * 100)
            t.press("q")
            await ended_well(t)


async def test_the_daemon_stays_small(tmp_path: Path) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it)) as t:
            await t.shows(READY)
            assert psutil.Process(t.child.pid).memory_info().rss < 60 * 2**20
            t.press("q")
            await ended_well(t)


async def test_another_terminal_watches_and_closes(tmp_path: Path) -> None:
    async with coordinator() as it:
        with terminal(tmp_path, *joining(it), environment={"NO_COLOR": "1"}) as t:
            await t.shows("online")
            with terminal(tmp_path, "status", "--watch") as watch:
                await watch.shows(READY)
                watch.press("p")
                await watch.shows("paused: you paused it")
                await it.hear(Inventory, lambda i: not i.capabilities.jobs)
                watch.press("q")
                await ended_well(watch)
            assert t.child.isalive()
            os.kill(t.child.pid, signal.SIGTERM)
            assert await t.ends() == 0
