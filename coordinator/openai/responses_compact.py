"""A conversation made short: the model's own summary of it, sealed into an item that later requests bring back. Pure."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import Aead

from coordinator.answer.teller import Counts, Names, Told
from coordinator.openai.common import text_of
from coordinator.openai.responses_body import ResponseBody
from coordinator.openai.responses_items import listed
from coordinator.openai.responses_output import item_id
from coordinator.openai.responses_teller import Count, response_id, usage
from shared.chat.events import Reasoning
from shared.crypto import hkdf
from shared.errors import JobFailed
from shared.protocol.messages import Message

ASK: Final = (
    "Summarise our whole conversation so far for yourself: you will go on with it and see only this summary and my own "
    "messages. Keep every fact, name, number, decision, result of a tool and open question that may matter later. Write "
    "the summary alone."
)
NONCE_BYTES: Final = Aead.NONCE_SIZE
_LEAD: Final = "Summary of what I said and did so far:\n"
_INFO: Final = b"hive/v1/compaction"


class Seal:
    """Seals text for one account: no other can use it, and none can make or change it. Who holds the coordinator's secret
    can read it."""

    def __init__(self, secret: bytes, account_id: UUID) -> None:
        self._box = Aead(hkdf(secret, b"", _INFO, Aead.KEY_SIZE))
        self._account = account_id.bytes

    def close(self, text: str, nonce: bytes) -> str:
        """The sealed text, as text; `nonce` is NONCE_BYTES random bytes."""
        return base64.b64encode(self._box.encrypt(text.encode(), self._account, nonce)).decode()

    def open(self, sealed: str) -> str | None:
        """What was sealed; None if it was not sealed here for this account."""
        try:
            return self._box.decrypt(base64.b64decode(sealed, validate=True), self._account).decode()
        except (CryptoError, binascii.Error, ValueError):
            return None


def summarising(body: ResponseBody) -> ResponseBody:
    """The request for a summary in place of the one for an answer."""
    return msgspec.structs.replace(body, store=False, background=None, tools=None, tool_choice=None, text=None)


class CompactTeller:
    """Tells a conversation made short: all that the user said, and the summary, sealed with `nonce`."""

    def __init__(self, names: Names, *, messages: Sequence[Message], count: Count, seal: Seal, nonce: bytes) -> None:
        self._names = names
        self._messages = messages
        self._count = count
        self._seal = seal
        self._nonce = nonce

    def whole(self, answers: Sequence[Told], counts: Counts) -> object:
        """A `response.compaction`; raises JobFailed for a model that made no summary."""
        (told,) = answers
        summary, thoughts, job = text_of(told.events).strip(), text_of(told.events, Reasoning), self._names.id
        if not summary:
            raise JobFailed("The model made no summary of the conversation.", dispatched=True)
        said = [message for message in self._messages if message.role == "user"]
        items = listed(said, lambda kind, place: item_id(kind, job, place, given=True))
        sealed = self._seal.close(_LEAD + summary, self._nonce)
        compaction = {"id": item_id("cmp", job, len(items)), "type": "compaction", "encrypted_content": sealed}
        return {
            "id": response_id(job),
            "object": "response.compaction",
            "created_at": self._names.created,
            "output": [*items, compaction],
            "usage": usage(thoughts, counts, self._count),
        }
