"""The body of `POST /hive/jobs`, translated to the one request of Hive."""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import msgspec

from coordinator.api.bodies import stroops_of
from coordinator.outside.addresses import NOTHING_ALLOWED, Allowed
from coordinator.submit.body import (
    CommonBody,
    asked_by_body,
    conversation,
    form_of,
    refuse_common,
    request_of,
)
from coordinator.submit.callback import callback_of
from coordinator.submit.placement import asked_by_headers, placement
from coordinator.submit.request import JobRequest, Submission, deadline, max_tokens_asked, seed_text
from shared.errors import RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups
from shared.protocol.messages import Message


class JobBody(CommonBody, frozen=True, kw_only=True):
    """`POST /hive/jobs`: one of `prompt` and `messages`; `gns_reward`, in GNS, is all that the caller pays."""

    model_id: str
    prompt: str | None = None
    raw: bool | None = None
    gns_reward: Decimal | None = None
    priority: Literal["interactive", "batch"] | None = None
    deadline_s: float | None = None
    store: bool | None = None
    idempotency_key: str | None = None


def submission(
    body: JobBody, header: Callable[[str], str | None], groups: Groups = NO_GROUPS, allow: Allowed = NOTHING_ALLOWED
) -> Submission:
    """The request that a job body asks for; raises RequestError for what is wrong or not supported."""
    refuse_common(msgspec.structs.replace(body, callback_url=None))
    return Submission(
        requests=(_request(body),),
        placement=placement([asked_by_headers(header), asked_by_body(body)], groups),
        source="hive",
        max_tokens=max_tokens_asked(body.max_tokens),
        seed=seed_text(body.seed),
        reward=None if body.gns_reward is None else stroops_of("gns_reward", body.gns_reward),
        priority=body.priority or "interactive",
        deadline=deadline(body.deadline_s),
        store=bool(body.store),
        callback=callback_of(body.callback_url, "hive", allow),
    )


def _request(body: JobBody) -> JobRequest:
    if (body.prompt is None) == (body.messages is None):
        raise RequestError("Give either prompt or messages.", param="prompt")
    if body.raw and body.prompt is None:
        raise RequestError("raw goes with prompt, not with messages.", param="raw")
    form = form_of(body)
    if body.raw and form.tools is not None:
        raise RequestError(
            "tools go through the model's template: give messages, or a prompt that is not raw.", param="tools"
        )
    plain = request_of(body.model_id, body, form)
    if body.prompt is None:
        return msgspec.structs.replace(plain, messages=conversation(body.messages or []))
    if body.raw:
        return msgspec.structs.replace(plain, prompt=body.prompt)
    return msgspec.structs.replace(plain, messages=[Message(role="user", content=body.prompt)])
