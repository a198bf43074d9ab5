"""From a request to a row: how many tokens it may make, what it may cost, which kind of job it is."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from coordinator.match.needs import TASKS, Need, price_class
from coordinator.settle.split import split
from coordinator.store.callers import KeyRow
from coordinator.store.rows import Kind, KindSpec, NewJob
from coordinator.submit.kinds import context_class
from coordinator.submit.price import cost
from coordinator.submit.request import JobRequest, Submission
from shared.catalogue import Entry, named
from shared.chat.constraint import constraint_of
from shared.chat.grammar import GrammarError, grammar_of
from shared.errors import Forbidden, RequestError, TooLarge
from shared.ids import new_job_id
from shared.tokens import TemplateError, Vocabulary

MAX_TOKENS_UNASKED: Final = 2048
ENTROPY: Final = 64
"""Random bytes that one job needs: 16 for its id, 16 for a seed, 32 for its salt."""

MOST_BYTES: Final = 64 * 2**20
"""So much the requests of all jobs of one submission may take: they are written in one transaction."""

_ENCODER: Final = msgspec.json.Encoder()


def known_model(asked: Submission, catalogue: Mapping[str, Entry], key: KeyRow) -> Entry:
    """The catalogue's entry; raises RequestError `invalid_model`, or Forbidden `model_not_allowed` for this key."""
    model, param = asked.request.model, "model_id" if asked.source == "hive" else "model"
    entry = named(catalogue, model)
    if entry is None:
        raise RequestError(f"The model {model[:200]!r} is not known here.", code="invalid_model", param=param)
    if key.models is not None and entry.id not in key.models and model not in key.models:
        raise Forbidden(f"This key may not use {model!r}.", code="model_not_allowed", param=param)
    return entry


def servable(asked: Submission, catalogue: Mapping[str, Entry], key: KeyRow) -> Entry | None:
    """The catalogue's entry of the first model that is asked for; None if this key cannot have it here."""
    try:
        return known_model(asked, catalogue, key)
    except RequestError:
        return None


def by_id(asked: Submission, entry: Entry) -> Submission:
    """The submission with the model's own id, where the caller used another name for it."""
    if asked.request.model == entry.id:
        return asked
    requests = tuple(msgspec.structs.replace(request, model=entry.id) for request in asked.requests)
    return msgspec.structs.replace(asked, requests=requests)


def instead(asked: Submission, model: str) -> Submission:
    """The submission for one of its fallbacks."""
    requests = tuple(msgspec.structs.replace(request, model=model) for request in asked.requests)
    return msgspec.structs.replace(asked, requests=requests, fallbacks=(), cache_key=None)


def prompt_tokens(request: JobRequest, vocabulary: Vocabulary) -> int:
    """How many tokens the model reads, by its own vocabulary; RequestError if its template refuses the messages, or if no
    grammar can hold an answer to what is asked."""
    try:
        form = constraint_of(request.tools, request.tool_choice, request.parallel_tool_calls, request.response_format)
        if form is not None:
            grammar_of(form, vocabulary.format)
    except GrammarError as e:
        raise RequestError(str(e), param="tools" if str(e).startswith("tools") else "response_format") from e
    try:
        return len(vocabulary.prompt_ids(request))
    except TemplateError as e:
        raise RequestError(str(e), param="messages") from e


def room(tokens_in: int, asked: int | None, entry: Entry) -> int:
    """How many tokens may be made: as asked, or at most 2048, and never more than fit; raises RequestError
    `context_length_exceeded` if the prompt alone leaves no room."""
    left = entry.context - tokens_in
    if left < 1:
        raise RequestError(
            f"This model's maximum context length is {entry.context} tokens, and the prompt has {tokens_in}.",
            code="context_length_exceeded",
            param="messages",
        )
    return min(left, MAX_TOKENS_UNASKED if asked is None else asked)


class Size(msgspec.Struct, frozen=True):
    """What a request takes: `tokens_in` are read, or of images may be; up to `max_tokens` are made; `at_once` have to fit
    into a context."""

    tokens_in: int
    max_tokens: int
    at_once: int


def kind_of(asked: Submission, entry: Entry, size: Size, *, account_id: UUID, owns: bool) -> KindSpec:
    """The kind of a job of this account; `owns`: the account has workers of its own, which go first. Of several answers to a
    prompt the price of those that do not pay for it counts, and a seed promises nothing of what images are taken for."""
    where, request = asked.placement, asked.request
    seeded = where.seeded or request.needs_seeded or (asked.seed is not None and not request.images)
    needs = TASKS[request.task] | Need.VISION * bool(request.images) | Need.SEEDED * seeded | Need.OWN * where.own
    share = split(cost(entry, size.tokens_in, size.max_tokens, asked.reward, copy=asked.n > 1)).worker
    return KindSpec(
        model=entry.id,
        region=where.region,
        countries=None if where.countries is None else tuple(sorted(where.countries)),
        cell=where.cell,
        strict=where.strict,
        min_tier=where.min_tier,
        min_evidence=where.min_evidence,
        context=min(context_class(size.at_once), entry.context),
        needs=int(needs),
        price=price_class(share, size.max_tokens or size.tokens_in),
        owner=account_id if owns or where.own else None,
    )


class Planned(msgspec.Struct, frozen=True):
    """A request that can be taken: its prompt's tokens, how many may be made, and the kind of its jobs."""

    request: JobRequest
    tokens_in: int
    max_tokens: int
    kind: Kind


def new_jobs(
    submission: Submission,
    planned: Sequence[Planned],
    *,
    key: KeyRow,
    entry: Entry,
    now: datetime,
    entropy: bytes,
    idempotency_key: str | None = None,
    body_hash: str = "",
) -> tuple[NewJob, ...]:
    """The rows of a submission: one job, or the children of one parent, `n` for each request in their order. `entropy` is
    ENTROPY random bytes for each, ENTROPY more for the parent's id and the seed where the caller gave none. Raises TooLarge
    where they are too much together."""
    requests = zip(planned, _written(submission, planned), strict=True)
    asked = [(plan, request, number > 0) for plan, request in requests for number in range(submission.n)]
    parent = new_job_id(now, entropy[:16]) if len(asked) > 1 else None
    seed = submission.seed if submission.seed is not None else entropy[16:32].hex()
    jobs = []
    for choice, (plan, request, copy) in enumerate(asked):
        own = entropy[(choice + 1) * ENTROPY : (choice + 2) * ENTROPY]
        jobs.append(
            NewJob(
                id=new_job_id(now, own[:16]),
                account_id=key.account_id,
                key_id=key.id,
                kind_id=plan.kind.id,
                model=entry.id,
                source=submission.source,
                priority=submission.priority,
                request=request,
                tokens_in=plan.tokens_in,
                max_tokens=plan.max_tokens,
                hold=cost(entry, plan.tokens_in, plan.max_tokens, submission.reward, copy=copy),
                reward=submission.reward,
                seed=seed_of(seed, choice),
                salt=own[32:64].hex(),
                deadline_at=now + submission.deadline,
                created_at=now,
                store=submission.store,
                attached=submission.attached,
                idempotency_key=idempotency_key,
                body_hash=body_hash,
                parent=parent,
                choice=choice,
                copy=copy,
                limits=key.limits,
                recharging=key.recharge is not None,
                echo=submission.echo,
                callback=submission.callback,
                cache_key=submission.cache_key if parent is None else None,
            )
        )
    return tuple(jobs)


def _written(submission: Submission, planned: Sequence[Planned]) -> list[bytes]:
    """The requests as rows keep them, each once for all its answers."""
    seeded = submission.seed is not None
    asked = [msgspec.structs.replace(plan.request, fresh=seeded and not plan.request.images) for plan in planned]
    written = [_ENCODER.encode(request) for request in asked]
    if submission.n * sum(map(len, written)) > MOST_BYTES:
        raise TooLarge(f"So large a prompt is not answered {submission.n} times at once; ask for fewer answers.")
    return written


def seed_of(seed: str, choice: int) -> str:
    """The seed that a choice samples with: the first one with the seed itself, choice i with SHA-256(seed ‖ i)."""
    return hashlib.sha256(f"{seed}{choice}".encode()).hexdigest() if choice else seed
