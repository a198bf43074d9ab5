"""`truncation: auto`: a conversation that is too long loses its oldest turns, as many as it must."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile
from typing import Final

import msgspec

from coordinator.api.face import Face
from coordinator.store.callers import KeyRow
from coordinator.submit.prepare import known_model
from coordinator.submit.request import Submission
from shared.protocol.messages import Message

ANSWER_SHARE: Final = 4
"""An answer of unsaid or of greater length is left this part of the context."""


async def fitting(face: Face, key: KeyRow, asked: Submission) -> Submission:
    """The submission without as many of the oldest turns of its only conversation as it takes to leave room for the
    answer, but with the last one; raises RequestError for what is wrong with it."""
    context = known_model(asked, face.hive.catalogue, key).context
    share = context // ANSWER_SHARE
    most = context - min(asked.max_tokens or share, share)

    async def fits(messages: list[Message]) -> bool:
        return await face.intake.count(_with(asked, messages), key) <= most

    return _with(asked, await shortened(asked.request.messages or [], fits))


async def shortened(messages: Sequence[Message], fits: Callable[[list[Message]], Awaitable[bool]]) -> list[Message]:
    """The longest end of the conversation that `fits`, behind the system messages that it begins with; it begins with a
    message of the user's, and the last turn is kept however long it is."""
    head = list(takewhile(lambda message: message.role == "system", messages))
    rest = messages[len(head) :]
    cuts = [0, *(place for place, message in enumerate(rest) if place and message.role == "user")]
    low, high = 0, len(cuts) - 1
    while low < high:
        middle = (low + high) // 2 if low else 0
        if await fits([*head, *rest[cuts[middle] :]]):
            high = middle
        else:
            low = middle + 1
    return [*head, *rest[cuts[high] :]]


def _with(asked: Submission, messages: list[Message]) -> Submission:
    return msgspec.structs.replace(asked, requests=(msgspec.structs.replace(asked.request, messages=messages),))
