"""Refusing what nobody can take: at once, with the counts of workers rule by rule, which a job that waits is explained by too."""

from collections.abc import Mapping
from typing import Final

import msgspec

from coordinator.match.counts import Counts
from coordinator.submit.placement import Asking, in_words
from coordinator.submit.request import Submission
from shared.errors import RequestError, Unavailable
from shared.protocol.messages import Task

RETRY_AFTER_S = 5
_DOES: Final[Mapping[Task, str]] = {"generate": "writes", "embed": "embeds", "rank": "ranks documents"}


def refuse_if_nobody(counts: Counts, submission: Submission) -> None:
    """Raise Unavailable `no_workers` if no eligible worker is online (for a job that is read as it runs), or none is
    registered that could ever take it (for one that may wait); RequestError where the model is there and sees no images."""
    if counts.eligible or (counts.possible and not submission.attached):
        return
    if counts.task and not counts.vision and not counts.possible:
        raise RequestError(
            f"No worker of this Hive sees images with {submission.request.model}: Hive's own engine reads text alone in this "
            "version. Name a model that a worker serves through an Ollama, llama-server, LM Studio or vLLM that sees them.",
            code="unsupported_parameter",
            param="messages",
        )
    raise Unavailable(
        nobody(counts, submission.placement, submission.request.task, own=submission.placement.own),
        details={"counts": msgspec.structs.asdict(counts)},
        retry_after_s=RETRY_AFTER_S if counts.possible else None,
    )


def nobody(counts: Counts, where: Asking, task: Task = "generate", *, own: bool = False) -> str:
    """Why nobody takes the job, by the rule at which the last candidates fall away; `own`: it is for the caller's workers."""
    whose = " that is linked to your account" if own else ""
    steps = (
        (counts.online, "no worker is online"),
        (counts.owner, f"no worker{whose} is online and takes jobs"),
        (counts.has_model, "no worker online has the model"),
        (counts.task, f"no worker online {_DOES[task]} with the model"),
        (counts.vision, "no worker online sees images with the model"),
        (counts.in_place, "no worker that has the model is in that place"),
        (counts.tier, "no worker there has a high enough tier"),
        (counts.evidence, "no worker there has good enough evidence for its place"),
        (counts.context, "no worker there has a large enough context"),
        (counts.verifiability, "no worker there can make tokens that anybody can replay, which this request needs"),
        (counts.price, "every worker there asks for a higher price"),
    )
    why = next((reason for left, reason in steps if left == 0), "none is left")
    return f"No eligible worker{in_words(where)}: {why}."
