"""What a job's readers see, as a log: pure, in memory, and the only place where tokens live until the job ends.

The log belongs to the job, not to an attempt: another worker continues it from the ids that are in it already.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from coordinator.queue.lifecycle import State
from coordinator.settle.partial import Made
from coordinator.store.rows import JobView
from shared.protocol.messages import Logprob


class WorkerPublic(msgspec.Struct, frozen=True):
    """What anybody may know of the worker that serves: its cell at resolution 4 as text, its countries' ISO codes."""

    pk: str
    handle: str | None
    cell: str
    countries: list[str]
    tier: str


class Status(msgspec.Struct, frozen=True, tag="status"):
    """The job is in this state now; `worker` is there from `assigned` on."""

    id: int
    state: State
    worker: WorkerPublic | None
    attempt: int


class Token(msgspec.Struct, frozen=True, tag="token"):
    """`count` more tokens, the last of them at output position `index`, and the text that they make certain; with logprobs
    the ids and what was told of each."""

    id: int
    index: int
    text: str
    count: int
    ids: list[int] = []
    logprobs: list[Logprob] = []


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The job has ended, in the database too; nothing comes after it."""

    id: int
    view: JobView


JobEvent = Status | Token | Ended
"""Every event of a job has an id, counted from 1."""


class Channel:
    """One job's log of events and the ids that were relayed; frames of any attempt but the current one are dropped. `number`
    tells the logs of one coordinator apart."""

    def __init__(self, job_id: UUID, number: int = 0) -> None:
        self.job_id = job_id
        self.number = number
        self.events: list[JobEvent] = []
        self.ids: list[int] = []
        self.chars = 0
        self.attempt = 0
        self._worker_pk, self._held = "", 0
        self._rejected = False
        self._parts: list[str] = []
        self._base = (0, 0)
        self._cursor = (0, 0)

    @property
    def ended(self) -> bool:
        """Whether the last event is in the log."""
        return bool(self.events) and isinstance(self.events[-1], Ended)

    @property
    def text(self) -> str:
        """All the text that went out."""
        return "".join(self._parts)

    @property
    def resume_ids(self) -> list[int]:
        """The ids that earlier attempts made: what the current attempt continued from."""
        return self.ids[: self._base[0]]

    @property
    def earlier_text(self) -> str:
        """The text that went out before the current attempt."""
        return self.text[: self._base[1]]

    @property
    def made(self) -> Made:
        """What the caller got of the job so far, without what its worker made of a result that was rejected."""
        own = len(self.ids) - self._base[0]
        tokens = self._base[0] if self._rejected else len(self.ids)
        return Made(self.attempt, self._worker_pk, tokens, 0 if self._rejected else own, self._held)

    def own(self, attempt: int) -> list[int]:
        """The ids that went out of this attempt, if it is the current one and nothing of it was rejected."""
        return [] if attempt != self.attempt or self._rejected else self.ids[self._base[0] :]

    def assigned(self, attempt: int, worker: WorkerPublic, held: int = 0, base: tuple[int, int] | None = None) -> None:
        """An attempt begins: it continues from all that was relayed, or from the `base` (tokens, characters) that another
        coordinator knew, and frames of earlier ones are fenced off; one that was heard of continues from where it did.
        `held` are the tokens that images in the prompt are held for."""
        if base is None:
            base = self._base if attempt == self.attempt else (len(self.ids), self.chars)
        self.attempt, self._worker_pk, self._rejected, self._held = attempt, worker.pk, False, held
        self._base = self._cursor = base
        self.status(State.ASSIGNED, worker)

    def status(self, state: State, worker: WorkerPublic | None = None) -> None:
        """The job is in this state now; nothing once it has ended."""
        if not self.ended:
            self.events.append(Status(len(self.events) + 1, state, worker, self.attempt))

    def tokens(
        self, attempt: int, offset: int, ids: Sequence[int], text: str, logprobs: Sequence[Logprob] = ()
    ) -> bool:
        """Takes a frame; whether it brought anything new.

        A worker that reconnected sends its tokens from its attempt's first on, perhaps cut into other frames: what is
        known is skipped, an overlap brings the rest of its text. A gap or a contradiction is dropped: the result,
        which is checked against the log, settles it.
        """
        if attempt != self.attempt or self.ended or not ids:
            return False
        if offset == self._base[0] and offset != self._cursor[0]:
            self._cursor = self._base
        if offset != self._cursor[0] or self.ids[offset : offset + len(ids)] != list(ids[: len(self.ids) - offset]):
            return False
        known_ids, known_text = len(self.ids) - offset, self.chars - self._cursor[1]
        self._cursor = (offset + len(ids), self._cursor[1] + len(text))
        if len(ids) <= known_ids and len(text) <= known_text:
            return False
        self.append(ids[known_ids:], text[known_text:], logprobs[known_ids:])
        return True

    def agrees(self, ids: Sequence[int], text: str) -> bool:
        """Whether the current attempt's whole result begins with what it had sent already."""
        sent, said = self.ids[self._base[0] :], self.text[self._base[1] :]
        return list(ids[: len(sent)]) == sent and text.startswith(said)

    def complete(self, ids: Sequence[int], text: str) -> None:
        """Brings whatever of the current attempt's result (which `agrees`) was not relayed yet."""
        rest = ids[len(self.ids) - self._base[0] :], text[self.chars - self._base[1] :]
        if rest[0] or rest[1]:
            self.append(*rest)

    def rewind(self, read_up_to: int) -> bool:
        """Takes back the current attempt's tokens, whose result does not stand; False if events up to id `read_up_to`
        were read by somebody and one of those tokens is among them."""
        keep = [event for event in self.events if not (isinstance(event, Token) and event.index >= self._base[0])]
        if any(isinstance(event, Token) and event.index >= self._base[0] for event in self.events[:read_up_to]):
            self._rejected = True
            return False
        self.events = [msgspec.structs.replace(event, id=number) for number, event in enumerate(keep, 1)]
        self.ids, self._parts = self.ids[: self._base[0]], [self.earlier_text]
        _, self.chars = self._cursor = self._base
        return True

    def end(self, view: JobView) -> None:
        """The last event; a second end changes nothing. A result that is not what its readers were told the beginning of
        (another coordinator had it made anew, knowing less) must not look like the rest of it."""
        if not self.ended:
            stands = view.result_text is None or view.result_text.startswith(self.text)
            self.events.append(Ended(len(self.events) + 1, view if stands else made_anew(view)))

    def append(self, ids: Sequence[int], text: str, logprobs: Sequence[Logprob] = ()) -> None:
        """These tokens and this text follow what is there."""
        self.ids.extend(ids)
        self._parts.append(text)
        self.chars += len(text)
        told = list(ids) if logprobs else []
        self.events.append(Token(len(self.events) + 1, len(self.ids) - 1, text, len(ids), told, list(logprobs)))


def made_anew(view: JobView) -> JobView:
    """The end of a job as it is told to those who read the beginning of another answer."""
    why = (
        "Another worker had to make this answer anew, and it begins differently from what was streamed; "
        f"GET /hive/jobs/{view.id} tells all of it."
    )
    return msgspec.structs.replace(
        view, status=State.FAILED, error_code="job_failed", error_message=why, result_text=None
    )
