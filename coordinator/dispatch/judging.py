"""From a worker's result to one that may be written: checked against what was offered, priced, countersigned."""

from typing import cast

from coordinator.dispatch.attempts import Attempt
from coordinator.dispatch.reports import Finished
from coordinator.dispatch.state import Dispatch
from coordinator.store.rows import Result
from coordinator.submit.price import cost
from coordinator.verify.checks import Expected, check
from shared.crypto import public_key
from shared.protocol.messages import Done
from shared.receipt import FinishReason, Receipt, countersign


def judged(d: Dispatch, attempt: Attempt, done: Done, receipt: Receipt) -> Finished | list[str]:
    """The result ready to be written, or everything that is wrong with it."""
    body, job = attempt.body, attempt.job
    channel, entry = d.relay.channel(attempt.job_id), d.catalogue[body.model_id]
    images = attempt.image_tokens
    expected = Expected(
        job.tokens_in - images, channel.earlier_text, entry.context, weak=attempt.weak, image_tokens=images
    )
    faults = check(done, receipt, body, d.vocabularies[body.model_id], expected)
    if not channel.agrees(done.ids, done.text):
        faults.append("the result is not what was streamed")
    if faults:
        return faults
    ids = [*body.resume_ids, *done.ids]
    return Finished(
        attempt,
        Result(
            id=attempt.job_id,
            attempt=body.attempt,
            worker_pk=body.worker_pk,
            text=expected.earlier_text + done.text,
            ids=ids,
            tokens_in=receipt.tokens_in,
            tokens_out=len(ids),
            finish_reason=cast(FinishReason, receipt.finish_reason),
            tokens_per_second=speed(len(done.ids), done.prefill_ms, done.decode_ms),
            receipt=receipt,
            worker_signature=done.signature,
            coordinator_signature=countersign(d.key, receipt, done.signature),
            coordinator_pk=public_key(d.key),
            cost=min(job.hold, cost(entry, receipt.tokens_in, len(ids), job.reward, copy=job.copy)),
            share=(len(done.ids), len(ids)),
            cached_tokens=min(done.cached_tokens, receipt.tokens_in),
        ),
    )


def speed(tokens: int, prefill_ms: int, decode_ms: int) -> float:
    """Tokens per second as the worker timed them: of decoding, from the second token on; a single one's of all."""
    made, spent = (tokens - 1, decode_ms) if tokens > 1 else (tokens, prefill_ms + decode_ms)
    return round(made * 1000 / max(spent, 1), 1)
