"""Payment, ChangeTrust and SetTrustLineFlags: who holds what."""

from stellar_sdk import xdr

from deploy.devledger.assets import NATIVE, asset_text, issuer_of
from deploy.devledger.entries import (
    AUTH_CLAWBACK,
    AUTH_REQUIRED,
    AUTH_REVOCABLE,
    LINE_AUTHORIZED,
    LINE_CLAWBACK,
    LINE_MAINTAIN,
    Account,
    TrustLine,
    account_key,
    trust_key,
)
from deploy.devledger.holdings import LineFault, move
from deploy.devledger.network import MAX_INT64, account_address, muxed_address
from deploy.devledger.operations.rule import Outcome, Rule, Step, low, shortage_code
from deploy.devledger.reserves import Shortage, available, free_subentry, take_for_subentry
from deploy.devledger.results import Code

Pay = xdr.PaymentResultCode
Trust = xdr.ChangeTrustResultCode
Flags = xdr.SetTrustLineFlagsResultCode

_TO = {
    LineFault.NO_TRUST: Pay.PAYMENT_NO_TRUST,
    LineFault.NOT_AUTHORIZED: Pay.PAYMENT_NOT_AUTHORIZED,
    LineFault.NO_ROOM: Pay.PAYMENT_LINE_FULL,
}
_FROM = {
    LineFault.NO_TRUST: Pay.PAYMENT_SRC_NO_TRUST,
    LineFault.NOT_AUTHORIZED: Pay.PAYMENT_SRC_NOT_AUTHORIZED,
    LineFault.NO_ROOM: Pay.PAYMENT_UNDERFUNDED,
}
_LINE_AUTH = LINE_AUTHORIZED | LINE_MAINTAIN


def _check_payment(op: xdr.PaymentOp, _source: str) -> Code | None:
    return Pay.PAYMENT_MALFORMED if op.amount.int64 <= 0 or asset_text(op.asset) is None else None


def _pay(step: Step, op: xdr.PaymentOp) -> Outcome:
    asset, to, stroops = asset_text(op.asset) or NATIVE, muxed_address(op.destination), op.amount.int64
    if asset == NATIVE:
        return _pay_native(step, to, stroops)
    if to != issuer_of(asset) and step.view.peek(account_key(to)) is None:
        return Pay.PAYMENT_NO_DESTINATION
    fault = move(step.view, to, asset, stroops)  # stellar-core credits first, so a bad destination always shows
    if fault is not None:
        return _TO[fault]
    fault = move(step.view, step.source, asset, -stroops)
    return Pay.PAYMENT_SUCCESS if fault is None else _FROM[fault]


def _pay_native(step: Step, to: str, stroops: int) -> Outcome:
    if to == step.source:
        return Pay.PAYMENT_SUCCESS
    destination = step.view.edit(account_key(to))
    if destination is None:
        return Pay.PAYMENT_NO_DESTINATION
    if destination.balance + stroops > MAX_INT64:
        return Pay.PAYMENT_LINE_FULL
    if available(step.account) < stroops:
        return Pay.PAYMENT_UNDERFUNDED
    destination.balance += stroops
    step.account.balance -= stroops
    return Pay.PAYMENT_SUCCESS


def _check_trust(op: xdr.ChangeTrustOp, source: str) -> Code | None:
    asset = asset_text(op.line)
    bad = op.limit.int64 < 0 or asset is None or issuer_of(asset) in (source, "")
    return Trust.CHANGE_TRUST_MALFORMED if bad else None


def _change_trust(step: Step, op: xdr.ChangeTrustOp) -> Outcome:
    asset, limit = asset_text(op.line) or NATIVE, op.limit.int64
    key = trust_key(step.source, asset)
    line = step.view.edit(key)
    if limit < line.balance if line is not None else limit == 0:
        return Trust.CHANGE_TRUST_INVALID_LIMIT
    if line is not None and limit == 0:
        free_subentry(step.view, step.source, line.sponsor)
        step.view.remove(key)
        return Trust.CHANGE_TRUST_SUCCESS
    issuer = step.view.peek(account_key(issuer_of(asset)))
    if issuer is None:
        return Trust.CHANGE_TRUST_NO_ISSUER
    if line is not None:
        line.limit = limit
        return Trust.CHANGE_TRUST_SUCCESS
    return _open_line(step, asset, limit, issuer)


def _open_line(step: Step, asset: str, limit: int, issuer: Account) -> Outcome:
    payer = take_for_subentry(step.view, step.source)
    if isinstance(payer, Shortage):
        return shortage_code(payer, Trust.CHANGE_TRUST_LOW_RESERVE)
    flags = 0 if issuer.flags & AUTH_REQUIRED else LINE_AUTHORIZED
    flags |= LINE_CLAWBACK if issuer.flags & AUTH_CLAWBACK else 0
    step.view.put(trust_key(step.source, asset), TrustLine(0, limit, flags, payer))
    return Trust.CHANGE_TRUST_SUCCESS


def _check_flags(op: xdr.SetTrustLineFlagsOp, source: str) -> Code | None:
    to_set, to_clear, asset = op.set_flags.uint32, op.clear_flags.uint32, asset_text(op.asset)
    bad = (
        asset is None
        or issuer_of(asset) != source
        or account_address(op.trustor) == source
        or to_set & to_clear
        or to_set & ~_LINE_AUTH
        or to_set == _LINE_AUTH
        or to_clear & ~(_LINE_AUTH | LINE_CLAWBACK)
    )
    return Flags.SET_TRUST_LINE_FLAGS_MALFORMED if bad else None


def _set_flags(step: Step, op: xdr.SetTrustLineFlagsOp) -> Outcome:
    line = step.view.edit(trust_key(account_address(op.trustor), asset_text(op.asset) or NATIVE))
    if line is None:
        return Flags.SET_TRUST_LINE_FLAGS_NO_TRUST_LINE
    wanted = line.flags & ~op.clear_flags.uint32 | op.set_flags.uint32
    if wanted & _LINE_AUTH == _LINE_AUTH:
        return Flags.SET_TRUST_LINE_FLAGS_INVALID_STATE
    lowered = _rank(wanted) < _rank(line.flags)
    if lowered and not step.account.flags & AUTH_REVOCABLE:
        return Flags.SET_TRUST_LINE_FLAGS_CANT_REVOKE
    line.flags = wanted
    return Flags.SET_TRUST_LINE_FLAGS_SUCCESS


def _rank(flags: int) -> int:
    return 2 if flags & LINE_AUTHORIZED else 1 if flags & LINE_MAINTAIN else 0


PAYMENT = Rule("payment_op", _pay, _check_payment)
CHANGE_TRUST = Rule("change_trust_op", _change_trust, _check_trust)
SET_TRUST_LINE_FLAGS = Rule("set_trust_line_flags_op", _set_flags, _check_flags, low)
