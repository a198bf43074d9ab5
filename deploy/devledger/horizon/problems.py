"""Horizon's problem documents (RFC 7807)."""

from dataclasses import dataclass, field
from typing import Any

from stellar_sdk import xdr

from deploy.devledger.results import result_codes


@dataclass(frozen=True)
class Problem:
    """An answer that is not what was asked for."""

    status: int
    kind: str
    title: str
    detail: str
    extras: dict[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the document."""
        fields: dict[str, Any] = {
            "type": f"https://stellar.org/horizon-errors/{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return {**fields, "extras": self.extras} if self.extras else fields


def missing() -> Problem:
    """Answer for what is not there."""
    detail = (
        "The resource at the url requested was not found.  This usually occurs for one of two reasons:  "
        "The url requested is not valid, or no data in our database could be found with the parameters provided."
    )
    return Problem(404, "not_found", "Resource Missing", detail)


def bad_request(name: str, reason: str) -> Problem:
    """Answer for a parameter that makes no sense."""
    extras = {"invalid_field": name, "reason": reason}
    return Problem(400, "bad_request", "Bad Request", "The request you sent was invalid in some way.", extras)


def malformed(envelope_xdr: str) -> Problem:
    """Answer for an envelope that does not decode."""
    detail = (
        "Horizon could not decode the transaction envelope in this request. A transaction should be an XDR "
        "TransactionEnvelope struct encoded using base64."
    )
    extras = {"envelope_xdr": envelope_xdr}
    return Problem(400, "transaction_malformed", "Transaction Malformed", detail, extras)


def failed(envelope_xdr: str, result: xdr.TransactionResult) -> Problem:
    """Answer for a transaction that the network refused, or that failed in the ledger."""
    detail = (
        "The transaction failed when submitted to the stellar network. The `extras.result_codes` field on this "
        "response contains further details."
    )
    extras = {"envelope_xdr": envelope_xdr, "result_codes": result_codes(result), "result_xdr": result.to_xdr()}
    return Problem(400, "transaction_failed", "Transaction Failed", detail, extras)


def timed_out(tx_hash: str, envelope_xdr: str) -> Problem:
    """Answer for a submission whose fate is unknown."""
    detail = (
        "Your transaction submission request has timed out. This does not necessarily mean the submission has "
        "failed. Look the transaction up by its hash."
    )
    extras = {"hash": tx_hash, "envelope_xdr": envelope_xdr}
    return Problem(504, "transaction_submission_timeout", "Transaction Submission Timeout", detail, extras)


def already_funded() -> Problem:
    """Answer of the friendbot for an account that exists."""
    return Problem(400, "bad_request", "Bad Request", "account already funded to starting balance")
