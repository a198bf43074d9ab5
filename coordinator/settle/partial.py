"""What a job costs that ended before it was whole: pro rata of what was made of it and delivered. Pure."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from coordinator.store.changes import Live
from coordinator.submit.price import cost
from shared.catalogue import Entry
from shared.receipt import ShareReceipt


class Made(msgspec.Struct, frozen=True):
    """What a coordinator has relayed of a job so far: the tokens of all attempts and, of those, the `own` ones of the
    newest attempt that it knows, which `worker_pk` made. `held` of the prompt's tokens are held for images: what these
    are only a result tells. `hearsay`: the worker is at another coordinator, which knows better."""

    attempt: int
    worker_pk: str
    tokens: int
    own: int
    held: int = 0
    hearsay: bool = False


class Part(msgspec.Struct, frozen=True):
    """The part of a job that is paid for: its tokens, the share of them (own, all) that its worker made, and what the
    caller pays, in stroops; `worker_pk` is whom the payable names, `tokens_in` the part of the prompt."""

    tokens: int = 0
    share: tuple[int, int] = (0, 0)
    cost: int = 0
    worker_pk: str = ""
    tokens_in: int = 0


class Delivered(msgspec.Struct, frozen=True):
    """What this coordinator knows of jobs that may be ending before they are whole, and the models' prices.

    It is the only one that can count: of a job whose coordinator has died nobody knows more than those who read it
    elsewhere, and if none does such a job costs nothing. `shares` are what went out of attempts whose workers are gone,
    `carried` the ids that went out of jobs up to an attempt, packed.
    """

    made: Mapping[UUID, Made] = {}
    entries: Mapping[str, Entry] = {}
    shares: Mapping[UUID, ShareReceipt] = {}
    carried: Mapping[UUID, tuple[int, bytes]] = {}

    def is_ours(self, job_id: UUID) -> bool:
        """Whether this coordinator has heard the job's worker itself."""
        made = self.made.get(job_id)
        return made is not None and not made.hearsay

    def words(self, job: Live) -> bytes | None:
        """The ids that went out of this locked job up to its attempt, None if that is not known here."""
        attempt, ids = self.carried.get(job.id, (0, b""))
        return ids if attempt == job.attempt and ids else None

    def handed_over(self, job: Live) -> ShareReceipt | None:
        """What went out of this locked job's attempt, which is lost; None if nothing did, or it is not known here."""
        share = self.shares.get(job.id)
        return share if share is not None and (share.attempt, share.worker_pk) == (job.attempt, job.worker_pk) else None

    def part(self, job: Live) -> Part:
        """What is paid for of this locked job if it ends now: of a named reward the part of the tokens that it was for,
        else the prompt and the tokens by the model's price, and never more than was held."""
        made = self.made.get(job.id)
        if made is None or not made.tokens:
            return Part()
        current = job.worker_pk is not None and (job.attempt, job.worker_pk) == (made.attempt, made.worker_pk)
        share, tokens_in = (made.own if current else 0, made.tokens), job.tokens_in - made.held
        price = min(job.hold, self._price(job, tokens_in, made.tokens))
        return Part(made.tokens, share, price, job.worker_pk or made.worker_pk, tokens_in)

    def _price(self, job: Live, tokens_in: int, tokens: int) -> int:
        if job.reward is not None:
            return job.reward * tokens // job.max_tokens
        entry = self.entries.get(job.model)
        return 0 if entry is None else cost(entry, tokens_in, tokens, None, copy=job.copy)


NOTHING = Delivered()
