"""What coordinators tell each other. Any of it may be lost, come twice or come late: the database knows all that matters."""

from uuid import UUID

from msgspec import Struct

from coordinator.dispatch.channel import Status, Token
from coordinator.store.rows import Kind


class Work(Struct, frozen=True, tag="work"):
    """Jobs of these kinds wait, and the teller's own workers do not take them now."""

    kinds: list[Kind]


class Reading(Struct, frozen=True):
    """Somebody reads this job; of the log named so (see Said) the events up to `heard` are there already."""

    job: UUID
    log: str
    heard: int


class Follow(Struct, frozen=True, tag="follow"):
    """Coordinator `by` wants to hear of these jobs from whoever has their worker; it says so again every second."""

    by: str
    jobs: list[Reading]


class Said(Struct, frozen=True, tag="said"):
    """More of the log of a job: its events from the one with id `first` on, each token with its id. `log` is the log's name;
    `attempt` the one that runs now; `held` see `Made.held`."""

    job: UUID
    log: str
    attempt: int
    first: int
    events: list[Status | Token]
    held: int = 0


class Over(Struct, frozen=True, tag="over"):
    """These jobs have ended, in the database too."""

    jobs: list[UUID]


class Adrift(Struct, frozen=True, tag="adrift"):
    """The leases of these jobs ran out, and the teller knows no word of them: whoever does, hands it on."""

    jobs: list[UUID]


class Drop(Struct, frozen=True, tag="drop"):
    """Coordinator `by` wants this job cancelled, for a reason, by the one that has its worker; it waits for the word that
    the job is over."""

    by: str
    job: UUID
    reason: str


class Joined(Struct, frozen=True, tag="joined"):
    """The worker's session with this number began: older ones are over, elsewhere too. The (job, attempt) pairs that it
    brought along are the teller's business now."""

    worker: str
    session: int
    brought: list[tuple[UUID, int]]


class Left(Struct, frozen=True, tag="left"):
    """These workers have left the teller, and it is not known where they are."""

    workers: list[str]


Message = Work | Follow | Said | Over | Adrift | Drop | Joined | Left
