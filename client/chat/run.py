"""The two ways to chat: one question, and a conversation."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from client.chat.answering import Answering, footer
from client.chat.asking import asker
from client.chat.attach import attachment
from client.chat.conversation import Attachment, Conversation, Question
from client.chat.wishes import Wishes
from client.given import question
from client.options import with_key
from client.printed import json_text
from client.quiet import quiet
from client.shapes.swarm import Model
from client.view import PlainView, view_on
from shared.errors import Unavailable
from shared.home import hive_home
from shared.reach import Reach


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says; an empty model is any that is served."""

    model: str
    jurisdiction: str
    cell: str
    tier: str
    system: str
    files: tuple[Path, ...]
    url: str | None
    max_tokens: int | None
    temperature: float | None
    seed: int | None

    def wishes(self, model: str) -> Wishes:
        """The wishes for this model."""
        return Wishes(
            model=model, jurisdiction=self.jurisdiction, cell=self.cell, tier=self.tier,
            max_tokens=self.max_tokens, temperature=self.temperature, seed=self.seed,
        )  # fmt: skip


def once(asked: Asked, words: str, *, as_json: bool) -> None:
    """Asks one question and writes the answer to stdout: Markdown on a terminal, else as it is; raises HiveError."""
    asyncio.run(_once(asked, with_key(asked.url), question(words), as_json=as_json))


def converse(asked: Asked, *, keeps_history: bool) -> None:
    """Talks in this terminal until the person leaves."""
    from client.chat.completing import Completing  # noqa: PLC0415 - one question needs no line to write in
    from client.chat.places import OFFERED  # noqa: PLC0415 - the same
    from client.chat.prompting import history, session  # noqa: PLC0415 - the same
    from client.chat.terminal import Chat  # noqa: PLC0415 - the same

    there, console = with_key(asked.url), Console(highlight=False)
    with quiet(), asyncio.Runner() as runner, console.status("connecting") as waiting:
        asking = asker(there)
        try:
            models = runner.run(asking.models())
            wishes = asked.wishes(_chosen(models, asked.model))
            chat = Chat(asking, wishes, console, runner, partial(view_on, console))
            chat.models = models
            chat.conversation = Conversation(system=asked.system)
            chat.attached = tuple(_attachments(asked.files, models, wishes.model))
            waiting.stop()
            console.print(Text(f"{wishes.model} at {there.url} · /help says what can be done, Ctrl-D leaves\n", "dim"))
            names = Completing(lambda: [model.id for model in chat.models], lambda: OFFERED)
            chat.run(session(names, chat.toolbar, history(hive_home() if keeps_history else None)).prompt)
        finally:
            runner.run(asking.close())


async def _once(asked: Asked, there: Reach, text: str, *, as_json: bool) -> None:
    asking = asker(there)
    try:
        models = await asking.models() if asked.files or not asked.model else []
        wishes = asked.wishes(asked.model or _chosen(models, ""))
        files = tuple(_attachments(asked.files, models, wishes.model))
        conversation = Conversation(system=asked.system).asked(Question(text, files))
        answering = Answering(asking, wishes, time.monotonic)
        console = Console(highlight=False)
        await answering.show(conversation.messages(), PlainView(_nowhere) if as_json else view_on(console))
        if as_json:
            print(json_text(await _facts(answering, wishes)))
        elif console.is_terminal:
            job, countries = await answering.facts()
            console.print(Text(footer(job, countries, answering.ended), "dim"), soft_wrap=True)
    finally:
        await asking.close()


def _nowhere(_: str) -> None:
    """JSON comes in one piece."""


async def _facts(answering: Answering, wishes: Wishes) -> dict[str, Any]:
    job, countries = await answering.facts()
    told: dict[str, Any] = {
        "model": wishes.model,
        "content": answering.text,
        "reasoning": answering.thought or None,
        "finish_reason": answering.ended.reason if answering.ended else None,
        "tokens_in": answering.ended.tokens_in if answering.ended else None,
        "tokens_out": answering.ended.tokens_out if answering.ended else None,
        "job_id": answering.began.job_id if answering.began else None,
        "countries": countries,
    }
    if job is not None:
        told |= {"cell": job.worker_cell, "worker": job.worker_pk, "gns_cost": job.gns_cost}
        told |= {"tokens_per_second": job.tokens_per_second}
    return told


def _chosen(models: Sequence[Model], name: str) -> str:
    if name:
        return name
    if not models:
        raise Unavailable("No worker serves a model now; 'hive status' shows the swarm, 'hive worker join' adds to it.")
    return models[0].id


def _attachments(files: Sequence[Path], models: Sequence[Model], name: str) -> list[Attachment]:
    model = next((model for model in models if model.id == name), None)
    return [attachment(file, model) for file in files]
