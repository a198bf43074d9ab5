"""What can be said on a worker's socket. Unknown fields are ignored, unknown messages end the session.

Times are ms since 1970 UTC, keys and digests lowercase hex, signed bodies hold no floats (sampling in millionths).
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from shared.protocol.codes import CloseCode as CloseCode  # noqa: PLC0414 - on purpose part of this module's words

VERSION: Final = 1
SUBPROTOCOL: Final = "hive.v1"

Hex32 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Hex64 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}\Z")]
Uuid = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
TokenIds = list[Annotated[int, msgspec.Meta(ge=0, lt=2**31)]]


class Struct(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a message."""


class Sampling(Struct, frozen=True):
    """How to choose tokens, in millionths where the API has floats; top_k 0 is off."""

    temperature: int = 1_000_000
    top_p: int = 1_000_000
    min_p: int = 0
    top_k: int = 0
    presence_penalty: int = 0
    frequency_penalty: int = 0
    repetition_penalty: int = 1_000_000


class Message(Struct, frozen=True):
    """One message of a conversation, as the chat template sees it."""

    role: Short
    content: str | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class OfferBody(Struct, frozen=True):
    """What one attempt is asked to do and on which terms; signed by the coordinator, so that a worker can prove it.

    `messages` go through the model's template; `prompt` goes to the model as it is. `resume_ids` are tokens that an
    earlier attempt made and the client may have read: continue after them. `price` is what the attempt earns at most,
    in stroops; `scope` is an opaque name for the account, the root of the prefix cache.
    """

    job_id: Uuid
    attempt: Count
    worker_pk: Hex32
    model_id: Short
    model_digest: Hex32
    max_tokens: Count
    sampling: Sampling
    stop: list[str]
    seed: Short
    salt: Hex32
    price: Count
    scope: Short
    cell: Short
    jurisdictions: list[Short]
    evidence: Short
    geo_digest: Hex32
    expires_at: Count
    messages: list[Message] | None = None
    prompt: str | None = None
    resume_ids: TokenIds = []


class ModelOffer(Struct, frozen=True):
    """A model file that the worker can serve."""

    id: Short
    digest: Hex32
    context: Count
    size_bytes: Count
    loaded: bool = False
    verifiability: Literal["seeded", "weak"] = "seeded"


class Gpu(Struct, frozen=True):
    """A device as ggml reports it; memory in bytes."""

    name: Short
    backend: Short
    memory_total: Count
    memory_free: Count


class Hardware(Struct, frozen=True):
    """What the worker's probe found; memory in bytes, tflops_milli in 10^-3 TFLOP/s (measured, else 0)."""

    cpu: Short
    cores: Count
    memory_total: Count
    memory_free: Count
    os: Short
    gpus: list[Gpu] = []
    tflops_milli: Count = 0


class Capabilities(Struct, frozen=True):
    """What a worker brings: where it says it is, what it can run, how much at once."""

    cell: Short
    slots: Count
    models: list[ModelOffer]
    hardware: Hardware
    engine_build: Short
    agent: Short
    handle: Short | None = None
    jobs: bool = True


class Held(Struct, frozen=True):
    """An attempt that the worker still holds after a lost connection: its state, and how many tokens it made."""

    job_id: Uuid
    attempt: Count
    state: Literal["running", "done"]
    tokens: Count


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
    """The result may leave the outbox. `late`: somebody else was first; `rejected`: it does not stand."""

    job_id: Uuid
    attempt: Count
    verdict: Literal["accepted", "duplicate", "late", "rejected"]
    reason: Short = ""
    coordinator_signature: str = ""


class Pong(Struct, frozen=True, tag="pong"):
    """Answers a heartbeat."""

    time: Count


class Drain(Struct, frozen=True, tag="drain"):
    """The coordinator is going away: finish, then connect again after this many ms."""

    reconnect_ms: Count


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
    """Work without tokens yet: loading the model, or reading the prompt (`done` of `total` tokens)."""

    job_id: Uuid
    attempt: Count
    stage: Literal["loading", "prefill"]
    done: Count = 0
    total: Count = 0


class Tokens(Struct, frozen=True, tag="tokens"):
    """New token ids from output position `offset` on, and the text that they complete (UTF-8 safe, may be empty)."""

    job_id: Uuid
    attempt: Count
    offset: Count
    ids: TokenIds
    text: str


class Done(Struct, frozen=True, tag="done"):
    """The result, kept in the outbox until acknowledged.

    `ids` are this attempt's own tokens (without an end token), `text` is the text they add.
    """

    receipt: dict[str, Any]
    signature: Hex64
    ids: TokenIds
    text: str
    prefill_ms: Count
    decode_ms: Count


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


ToWorker = Welcome | Offer | Cancel | Ack | Pong | Drain
ToCoordinator = Heartbeat | Inventory | Accept | Decline | Progress | Tokens | Done | Failed | Leave


class Refused(Struct, frozen=True, tag="refused"):
    """The coordinator ends a session whose keys are agreed: why, sealed, so that nobody between can say it."""

    code: CloseCode
    reason: Short
