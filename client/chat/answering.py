"""One answer from the question to the line below it: shown while it comes, and kept as far as it came."""

from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

from client.chat.asking import Asker, Began, Ended, Piece, Said, Thought
from client.chat.wishes import ANYWHERE, Wishes
from client.drawing import while_drawing
from client.printed import amount, place, printable
from client.shapes.jobs import Job
from client.view import View
from shared.errors import HiveError
from shared.words import counted

SLOW_S: Final = 0.5
"""After this long without a word it is said what is being waited for."""


class Answering:
    """One answer; `clock` gives seconds."""

    def __init__(self, asker: Asker, wishes: Wishes, clock: Callable[[], float]) -> None:
        self.began: Began | None = None
        self.ended: Ended | None = None
        self._asker, self._wishes, self._clock = asker, wishes, clock
        self._since = clock()
        self._said: list[str] = []
        self._thought: list[str] = []

    @property
    def text(self) -> str:
        """The answer as far as it has come."""
        return "".join(self._said)

    @property
    def thought(self) -> str:
        """The reasoning as far as it has come."""
        return "".join(self._thought)

    async def show(self, messages: Sequence[Any], view: View) -> None:
        """Shows the answer while it comes; raises HiveError. Being cancelled leaves the answer, which cancels its job."""
        with view:
            await while_drawing(self._read(messages, view), lambda: view.draw(self._status()))

    async def _read(self, messages: Sequence[Any], view: View) -> None:
        async with aclosing(self._asker.answer(self._wishes, messages)) as pieces:
            async for piece in pieces:
                self._take(piece, view)

    def _take(self, piece: Piece, view: View) -> None:
        match piece:
            case Began():
                self.began = piece
            case Said(text):
                self._said.append(text)
                view.say(text)
            case Thought(text):
                self._thought.append(text)
                view.think(text)
            case Ended():
                self.ended = piece

    def _status(self) -> str:
        waited = self._clock() - self._since
        if self._said or waited < SLOW_S:
            return ""
        where = "" if self._wishes.where == ANYWHERE else f" in {self._wishes.where}"
        doing = "thinking" if self._thought else f"waiting for {self._wishes.model}{where}"
        return f"{doing} · {waited:.0f} s · Ctrl-C stops"

    async def facts(self) -> tuple[Job | None, list[str]]:
        """What the Hive says of the answer's job once it has ended, and in which countries it was computed; None where it
        cannot say."""
        if self.began is None or not self.began.job_id:
            return None, []
        try:
            job = await self._asker.ended(self.began.job_id)
        except HiveError:
            return None, self.began.countries
        return job, self.began.countries or await self._countries(job)

    async def _countries(self, job: Job) -> list[str]:
        """Those of its worker, as long as that is known to the Hive."""
        with suppress(HiveError):
            if job.worker_pk is not None:
                return (await self._asker.hive.worker(job.worker_pk)).countries
        return []


def footer(job: Job | None, countries: list[str], ended: Ended | None) -> str:
    """The line below an answer: how much it is, how fast it came, where it was computed and what it cost."""
    tokens = job.tokens_generated if job is not None else ended.tokens_out if ended is not None else 0
    parts = [
        "stopped" if ended is None else "",
        counted(tokens, "token") if tokens else "",
        "cut off, no more tokens were allowed" if ended is not None and ended.reason == "length" else "",
    ]
    if job is not None:
        where = place(countries, job.worker_cell)
        parts += [
            f"{job.tokens_per_second:.0f} tokens/s" if job.tokens_per_second else "",
            f"computed in {where}" if where else "",
            amount(job.gns_cost),
        ]
    return printable(" · ".join(part for part in parts if part))
