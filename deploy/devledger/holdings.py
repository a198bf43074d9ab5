"""Amounts of an issued asset going to and from those who may hold it."""

from enum import Enum

from deploy.devledger.assets import issuer_of
from deploy.devledger.entries import View, trust_key


class LineFault(Enum):
    """Why an amount cannot move."""

    NO_TRUST = "no_trust"
    NOT_AUTHORIZED = "not_authorized"
    NO_ROOM = "no_room"
    """Too little on the line, or too little left of its limit."""


def move(view: View, holder: str, asset: str, stroops: int) -> LineFault | None:
    """Add stroops (negative: take them) to a holder; an issuer makes and unmakes its own asset without bounds."""
    if issuer_of(asset) == holder:
        return None
    line = view.edit(trust_key(holder, asset))
    if line is None:
        return LineFault.NO_TRUST
    if not line.authorized:
        return LineFault.NOT_AUTHORIZED
    if not 0 <= line.balance + stroops <= line.limit:
        return LineFault.NO_ROOM
    line.balance += stroops
    return None
