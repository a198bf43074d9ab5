"""What can be said on a worker's socket. Unknown fields are ignored, unknown messages end the session.

Times are ms since 1970 UTC, keys and digests lowercase hex, signed bodies hold no floats (sampling in millionths).
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from shared.protocol.bodies import (
    IMAGE_TOKENS as IMAGE_TOKENS,
    Capabilities as Capabilities,
    Count as Count,
    Gpu as Gpu,
    Hardware as Hardware,
    Held as Held,
    Hex32 as Hex32,
    Hex64 as Hex64,
    Image as Image,
    Logprob as Logprob,
    Message as Message,
    ModelOffer as ModelOffer,
    OfferBody as OfferBody,
    Sampling as Sampling,
    Short as Short,
    Struct as Struct,
    Task as Task,
    TokenIds as TokenIds,
    Uuid as Uuid,
    images_in as images_in,
)
from shared.protocol.codes import CloseCode as CloseCode

VERSION: Final = 1
SUBPROTOCOL: Final = "hive.v1"


class ServerHello(Struct, frozen=True, tag="hello"):
    """The challenge. Signed (context server-hello) over all other fields."""

    version: int
    host: Short
    server_pk: Hex32
    ephemeral_pk: Hex32
    nonce: Hex32
    time: Count
    signature: Annotated[str, msgspec.Meta(max_length=128)] = ""


class WorkerHello(Struct, frozen=True, tag="auth"):
    """The answer. Signed (context worker-hello) over the hash of both hellos, so it is worthless elsewhere."""

    version: int
    worker_pk: Hex32
    ephemeral_pk: Hex32
    time: Count
    capabilities: Capabilities
    resume: list[Held] = []
    signature: Annotated[str, msgspec.Meta(max_length=128)] = ""


class Verdict(Struct, frozen=True):
    """What to do with a held attempt: go on, drop it, or deliver its result."""

    job_id: Uuid
    attempt: Count
    verdict: Literal["continue", "abandon", "deliver"]


class Welcome(Struct, frozen=True, tag="welcome"):
    """The first sealed frame: the session is open. Durations in ms."""

    session: Short
    tier: Count
    time: Count
    heartbeat_ms: Count
    lease_ms: Count
    resume: list[Verdict] = []


class Offer(Struct, frozen=True, tag="offer"):
    """A job for a free slot; `signature` (context offer) is the coordinator's over the body."""

    body: OfferBody
    signature: Hex64


class Cancel(Struct, frozen=True, tag="cancel"):
    """Stop this attempt now; nothing more of it is wanted."""

    job_id: Uuid
    attempt: Count
    reason: Short


class Ack(Struct, frozen=True, tag="ack"):
    """The result, or the share, need not be kept any longer. `late`: somebody else was first, or its time is over;
    `rejected`: it does not stand."""

    job_id: Uuid
    attempt: Count
    verdict: Literal["accepted", "duplicate", "late", "rejected"]
    reason: Short = ""
    coordinator_signature: str = ""


class Pong(Struct, frozen=True, tag="pong"):
    """Answers every second heartbeat."""

    time: Count


class Drain(Struct, frozen=True, tag="drain"):
    """The coordinator is going away: finish, then connect again after this many ms."""

    reconnect_ms: Count


class Unsigned(Struct, frozen=True):
    """A share that waits for its worker's signature: `tokens` tokens of an attempt that was lost went out, with this head of
    their chain, and `amount` (stroops) is the worker's once it has signed for them."""

    job_id: Uuid
    attempt: Count
    tokens: Count
    chain_head: Hex32
    amount: Count


class Standing(Struct, frozen=True, tag="standing"):
    """What the coordinator's books say of this worker, in stroops, and how large the swarm is: soon after the welcome,
    and again when it has changed. `held` is earned and still withheld, `pending` is due, `paid` is on the ledger; `unsigned`
    are the oldest shares of jobs that others finished which wait for a signature, 64 at most."""

    time: Count
    earned_today: Count
    held: Count
    pending: Count
    paid: Count
    workers_online: Count
    unsigned: list[Unsigned] = []


class Wanted(Struct, frozen=True, tag="wanted"):
    """Jobs wait for this model and too few workers have it in memory: an owner who allows it loads or fetches it."""

    model_id: Short
    digest: Hex32
    size_bytes: Count


class Heartbeat(Struct, frozen=True, tag="heartbeat"):
    """Every 5 s on the same path as the work: free slots, and what is running with its count of tokens."""

    free: Count
    running: list[Held] = []


class Inventory(Struct, frozen=True, tag="inventory"):
    """The worker's capabilities have changed."""

    capabilities: Capabilities


class Accept(Struct, frozen=True, tag="accept"):
    """The attempt is in a slot."""

    job_id: Uuid
    attempt: Count


class Decline(Struct, frozen=True, tag="decline"):
    """The attempt will not be done here; it costs neither side anything."""

    job_id: Uuid
    attempt: Count
    reason: Short


class Progress(Struct, frozen=True, tag="progress"):
    """Work without tokens yet: loading the model, or reading the prompt or the texts (`done` of `total` tokens; 0 where
    the total is not known)."""

    job_id: Uuid
    attempt: Count
    stage: Literal["loading", "prefill"]
    done: Count = 0
    total: Count = 0


class Tokens(Struct, frozen=True, tag="tokens"):
    """New token ids from output position `offset` on, and the text that they complete (UTF-8 safe, may be empty);
    `logprobs` has one for each id where the offer asked for them."""

    job_id: Uuid
    attempt: Count
    offset: Count
    ids: TokenIds
    text: str
    logprobs: list[Logprob] = []


class Done(Struct, frozen=True, tag="done"):
    """The result, kept in the outbox until acknowledged.

    `ids` are this attempt's own tokens (without an end token), `text` is the text they add; `cached_tokens` of the
    prompt were in the worker's cache already. Of texts that were embedded `text` has a line for each: its vector, of
    length 1, as base64 of little-endian float32; of documents one line with the scores of all of them, the same way.
    """

    receipt: dict[str, Any]
    signature: Hex64
    ids: TokenIds
    text: str
    prefill_ms: Count
    decode_ms: Count
    cached_tokens: Count = 0


class Share(Struct, frozen=True, tag="share"):
    """What this worker made of a job that another finished, signed because a `standing` says that this is waited for; an
    `ack` answers it. Who has other tokens than those does not sign."""

    receipt: dict[str, Any]
    signature: Hex64


class Failed(Struct, frozen=True, tag="failed"):
    """The attempt is over without a result. `retryable`: another worker may do better."""

    job_id: Uuid
    attempt: Count
    code: Short
    message: Short
    retryable: bool


class Leave(Struct, frozen=True, tag="leave"):
    """No more offers please; `for_good` takes the worker off the register."""

    for_good: bool = False


ToWorker = Welcome | Offer | Cancel | Ack | Pong | Drain | Standing | Wanted
ToCoordinator = Heartbeat | Inventory | Accept | Decline | Progress | Tokens | Done | Share | Failed | Leave


class Refused(Struct, frozen=True, tag="refused"):
    """The coordinator ends a session whose keys are agreed: why, sealed, so that nobody between can say it."""

    code: CloseCode
    reason: Short
