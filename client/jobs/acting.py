"""What `hive jobs` does: one call to the Hive each, shown as a table, a sentence or JSON."""

import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from client.chat.attach import attachment
from client.chat.conversation import Conversation, Question
from client.given import question
from client.hive import Hive
from client.jobs.naming import named
from client.jobs.shown import detailed, listed, short, utc_now
from client.jobs.watching import follow
from client.options import with_key
from client.printed import json_text
from client.shapes.jobs import Job
from client.view import view_on
from shared.errors import RequestError, Unavailable

PAGE = 100


def submit(
    url: str | None,
    words: str,
    model: str,
    system: str,
    files: Sequence[Path],
    reward: str | None,
    wanted: dict[str, Any],
    *,
    watch: bool,
    as_json: bool,
) -> None:
    """Submits a job and prints its id: alone where nobody looks, so that a script may read it."""
    asked = Question(question(words), tuple(attachment(file, None) for file in files))
    fields: dict[str, Any] = {**wanted, "gns_reward": None if reward is None else _gns(reward)}
    if system or files:
        fields["messages"] = Conversation(system=system).asked(asked).messages()
    else:
        fields["prompt"] = asked.text
    with _hive(url) as hive:
        created = hive.submit(model_id=model or _first_model(hive), **fields)
    if as_json and not watch:
        print(json_text(created))
    elif watch:
        follow(url, created.job_id, as_json=as_json)
    else:
        print(created.job_id)
        if sys.stdout.isatty():
            _hint(f"It is {created.status}; 'hive jobs watch {short(created.job_id)}' follows it.")


def get(url: str | None, job: str, *, as_json: bool) -> None:
    """Shows one job."""
    with _hive(url) as hive:
        found = hive.job(named(hive, job))
    if as_json:
        print(json_text(found))
        return
    console = Console(highlight=False)
    console.print(detailed(found))
    if found.result_text is not None:
        console.print()
        with view_on(console) as view:
            view.say(found.result_text)


def list_jobs(url: str | None, status: str | None, limit: int, *, as_json: bool) -> None:
    """Lists the last jobs, over as many pages as it takes."""
    with _hive(url) as hive:
        found = _pages(hive, status, limit)
    if as_json:
        print(json_text(found))
    else:
        Console(highlight=False).print(listed(found, utc_now()))


def cancel(url: str | None, job: str, *, as_json: bool) -> None:
    """Cancels a job."""
    with _hive(url) as hive:
        cancelled = hive.cancel(named(hive, job))
    if as_json:
        print(json_text(cancelled))
    else:
        print(f"{cancelled.id} is {cancelled.status}")


def _hive(url: str | None) -> Hive:
    there = with_key(url)
    return Hive(there.url, there.key)


def _pages(hive: Hive, status: str | None, limit: int) -> list[Job]:
    found: list[Job] = []
    cursor: str | None = None
    wanted: Any = status  # the Hive says what is no status
    while len(found) < limit:
        page = hive.jobs(status=wanted, limit=min(limit - len(found), PAGE), cursor=cursor)
        found += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _first_model(hive: Hive) -> str:
    ready = [model.id for model in hive.models().data if model.is_ready and "text" in model.output_modalities]
    if not ready:
        raise Unavailable("No worker serves a model now; name one that will be served with --model.")
    return ready[0]


def _gns(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as e:
        raise RequestError(f"--reward {text} is no amount of GNS; one looks like 0.05.") from e


def _hint(text: str) -> None:
    Console(stderr=True, highlight=False).print(Text(text, "dim"))
