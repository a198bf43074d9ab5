"""CreateClaimableBalance and ClaimClaimableBalance: amounts that wait for somebody to fetch them."""

import hashlib

from stellar_sdk import Keypair, xdr

from deploy.devledger.assets import NATIVE, asset_text
from deploy.devledger.entries import ClaimableBalance, balance_key
from deploy.devledger.holdings import LineFault, move
from deploy.devledger.network import MAX_INT64, account_address
from deploy.devledger.operations.rule import Outcome, Rule, Step, low
from deploy.devledger.predicates import fixed, holds, is_valid
from deploy.devledger.reserves import Shortage, available, free_sponsored, take_for_balance
from deploy.devledger.results import Code

Create = xdr.CreateClaimableBalanceResultCode
Claim = xdr.ClaimClaimableBalanceResultCode

_INTO = {
    LineFault.NO_TRUST: Create.CREATE_CLAIMABLE_BALANCE_NO_TRUST,
    LineFault.NOT_AUTHORIZED: Create.CREATE_CLAIMABLE_BALANCE_NOT_AUTHORIZED,
    LineFault.NO_ROOM: Create.CREATE_CLAIMABLE_BALANCE_UNDERFUNDED,
}
_OUT_OF = {
    LineFault.NO_TRUST: Claim.CLAIM_CLAIMABLE_BALANCE_NO_TRUST,
    LineFault.NOT_AUTHORIZED: Claim.CLAIM_CLAIMABLE_BALANCE_NOT_AUTHORIZED,
    LineFault.NO_ROOM: Claim.CLAIM_CLAIMABLE_BALANCE_LINE_FULL,
}


def _claimants(op: xdr.CreateClaimableBalanceOp) -> list[tuple[str, xdr.ClaimPredicate]]:
    """Return (account, predicate) of each claimant in the order given."""
    return [(account_address(c.v0.destination), c.v0.predicate) for c in op.claimants if c.v0 is not None]


def _check_create(op: xdr.CreateClaimableBalanceOp, _source: str) -> Code | None:
    claimants = _claimants(op)
    good = (
        op.amount.int64 > 0
        and asset_text(op.asset) is not None
        and claimants
        and len({account for account, _ in claimants}) == len(claimants)
        and all(is_valid(predicate) for _, predicate in claimants)
    )
    return None if good else Create.CREATE_CLAIMABLE_BALANCE_MALFORMED


def _create(step: Step, op: xdr.CreateClaimableBalanceOp) -> Outcome:
    asset, stroops = asset_text(op.asset) or NATIVE, op.amount.int64
    fault = _set_aside(step, asset, stroops)
    if fault is not None:
        return fault
    claimants = {account: fixed(p, step.close_time).to_xdr_bytes() for account, p in _claimants(op)}
    payer = take_for_balance(step.view, step.source, len(claimants))
    if isinstance(payer, Shortage):
        return Create.CREATE_CLAIMABLE_BALANCE_LOW_RESERVE
    balance_id = _balance_id(step)
    key = balance_key(balance_id.to_xdr_bytes().hex())
    step.view.put(key, ClaimableBalance(asset, stroops, claimants, payer))
    return Create.CREATE_CLAIMABLE_BALANCE_SUCCESS, balance_id


def _set_aside(step: Step, asset: str, stroops: int) -> Code | None:
    if asset != NATIVE:
        fault = move(step.view, step.source, asset, -stroops)
        return None if fault is None else _INTO[fault]
    if available(step.account) < stroops:
        return Create.CREATE_CLAIMABLE_BALANCE_UNDERFUNDED
    step.account.balance -= stroops
    return None


def _balance_id(step: Step) -> xdr.ClaimableBalanceID:
    operation = xdr.HashIDPreimageOperationID(
        Keypair.from_public_key(step.transaction_source).xdr_account_id(),
        xdr.SequenceNumber(xdr.Int64(step.transaction_sequence)),
        xdr.Uint32(step.index),
    )
    preimage = xdr.HashIDPreimage(xdr.EnvelopeType.ENVELOPE_TYPE_OP_ID, operation_id=operation)
    digest = hashlib.sha256(preimage.to_xdr_bytes()).digest()
    return xdr.ClaimableBalanceID(xdr.ClaimableBalanceIDType.CLAIMABLE_BALANCE_ID_TYPE_V0, xdr.Hash(digest))


def _claim(step: Step, op: xdr.ClaimClaimableBalanceOp) -> Outcome:
    key = balance_key(op.balance_id.to_xdr_bytes().hex())
    balance = step.view.edit(key)
    if balance is None:
        return Claim.CLAIM_CLAIMABLE_BALANCE_DOES_NOT_EXIST
    predicate = balance.claimants.get(step.source)
    if predicate is None or not holds(xdr.ClaimPredicate.from_xdr_bytes(predicate), step.close_time):
        return Claim.CLAIM_CLAIMABLE_BALANCE_CANNOT_CLAIM
    fault = _hand_over(step, balance)
    if fault is not None:
        return fault
    free_sponsored(step.view, balance.sponsor, len(balance.claimants))
    step.view.remove(key)
    return Claim.CLAIM_CLAIMABLE_BALANCE_SUCCESS


def _hand_over(step: Step, balance: ClaimableBalance) -> Code | None:
    if balance.asset != NATIVE:
        fault = move(step.view, step.source, balance.asset, balance.amount)
        return None if fault is None else _OUT_OF[fault]
    if step.account.balance + balance.amount > MAX_INT64:
        return Claim.CLAIM_CLAIMABLE_BALANCE_LINE_FULL
    step.account.balance += balance.amount
    return None


CREATE_CLAIMABLE_BALANCE = Rule("create_claimable_balance_op", _create, _check_create)
CLAIM_CLAIMABLE_BALANCE = Rule("claim_claimable_balance_op", _claim, level=low)
