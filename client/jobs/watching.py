"""`hive jobs watch`: one job, its text as it comes; or a table of all that have not ended."""

import asyncio
import time
from uuid import UUID

from rich.console import Console
from rich.text import Text

from client.drawing import while_drawing
from client.events import Done, Failed, Token
from client.hive import AsyncHive, Hive
from client.jobs.board import watch_all
from client.jobs.lines import event_json
from client.jobs.naming import named
from client.jobs.watched import Watched
from client.options import with_key
from client.printed import amount
from client.view import View, view_on
from shared.errors import HiveError


def watch(url: str | None, job: str | None, *, as_json: bool) -> None:
    """Follows one job, or all that have not ended; Ctrl-C leaves, which changes nothing for them."""
    there = with_key(url)
    if job is None:
        watch_all(there, as_json=as_json)
        return
    with Hive(there.url, there.key) as hive:
        found = named(hive, job)
    follow(url, found, as_json=as_json)


def follow(url: str | None, job_id: UUID, *, as_json: bool) -> None:
    """Shows a job's text as it comes, and below it where it is; raises the job's error if it ends without an answer."""
    there = with_key(url)
    error = asyncio.run(_follow(AsyncHive(there.url, there.key), job_id, as_json=as_json))
    if error is not None:
        raise error


async def _follow(hive: AsyncHive, job_id: UUID, *, as_json: bool) -> HiveError | None:
    console = Console(highlight=False)
    async with hive:
        watched = Watched(await hive.job(job_id))
        if as_json:
            return await _tell(hive, watched)
        with view_on(console) as view:
            error = await while_drawing(_show(hive, watched, view), lambda: view.draw(watched.sentence()))
        if console.is_terminal:
            console.print(Text(f"{watched.sentence()} · {amount(watched.job.gns_cost)}", "dim"))
        return error


async def _tell(hive: AsyncHive, watched: Watched) -> HiveError | None:
    async for event in hive.events(watched.job.id):
        print(event_json(watched.job.id, event), flush=True)
        if isinstance(event, Failed):
            return event.error
    return None


async def _show(hive: AsyncHive, watched: Watched, view: View) -> HiveError | None:
    said = ""
    async for event in hive.events(watched.job.id):
        watched.take(event, time.monotonic())
        match event:
            case Token(_, text, _):
                said += text
                view.say(text)
            case Done(job):
                view.say(rest(said, job.result_text or ""))
            case Failed(_, error):
                return error
    return None


def rest(said: str, whole: str) -> str:
    """What of the result was not said: after a coordinator's restart it may be another text, which is then told whole."""
    return whole[len(said) :] if whole.startswith(said) else f"\n\n---\n\n{whole}"
