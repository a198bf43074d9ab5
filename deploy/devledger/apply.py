"""Applying one transaction to a ledger: all of its operations or none, and a result either way."""

from dataclasses import dataclass

from stellar_sdk import xdr

from deploy.devledger.entries import SPONSORSHIPS, ClaimableBalance, Sponsorships, View, account_key
from deploy.devledger.envelope import Operation, Transaction
from deploy.devledger.operations import RULES, Outcome, Step
from deploy.devledger.results import (
    Code,
    OpCode,
    TxCode,
    fee_bump_result,
    is_success,
    operation_result,
    succeeded,
    transaction_result,
    untried_results,
)
from deploy.devledger.signatures import SignatureCheck
from deploy.devledger.validity import Moment, transaction_fault, unauthorized_operations

_SPENDS_SEQUENCE = (
    None,
    TxCode.txBAD_MIN_SEQ_AGE_OR_GAP,
    TxCode.txBAD_AUTH,
    TxCode.txINSUFFICIENT_BALANCE,
)


@dataclass(frozen=True)
class Applied:
    """A transaction in a closed ledger; the fee in stroops, `place` counts from 1."""

    tx: Transaction
    result: xdr.TransactionResult
    ledger: int
    closed_at: int
    place: int
    fee_charged: int
    participants: frozenset[str]

    @property
    def successful(self) -> bool:
        """Tell whether its operations took effect."""
        return is_success(self.result)

    @property
    def order(self) -> int:
        """Return its place among all transactions of all ledgers, Horizon's total order id."""
        return (self.ledger << 32) + (self.place << 12)


def apply_transaction(tx: Transaction, view: View, moment: Moment, fee_charged: int, place: int) -> Applied:
    """Apply a transaction whose fee is already taken; on failure only its sequence number is spent."""
    signatures = SignatureCheck(tx.signatures)
    code, bad = _spend_sequence(tx, view, signatures, moment)
    body, results = View(view), untried_results(tx, bad)
    if code is None:
        code = _apply_operations(tx, body, moment, results)
    if code == TxCode.txSUCCESS:
        body.commit()
    result = transaction_result(code, 0 if tx.bump else fee_charged, results)
    if tx.bump is not None:
        result = fee_bump_result(tx.inner_hash, result, fee_charged)
    touched = body.rows if code == TxCode.txSUCCESS else {}
    owners = {key.parts[0] for key in touched if key.kind is not ClaimableBalance}
    people = frozenset({tx.source, tx.fee_source, *(op.source for op in tx.operations)} | owners)
    return Applied(tx, result, moment.ledger, moment.close_time, place, fee_charged, people)


def _spend_sequence(
    tx: Transaction, view: View, signatures: SignatureCheck, moment: Moment
) -> tuple[TxCode | None, dict[int, Code]]:
    """Judge the transaction once more and spend its sequence number, which stays spent whatever follows."""
    code = transaction_fault(tx, view, signatures, moment, None if tx.bump else 0)
    if code in _SPENDS_SEQUENCE:
        source = view.must_edit(account_key(tx.source))
        source.sequence = tx.sequence
        source.sequence_ledger, source.sequence_time = moment.ledger, moment.close_time
    if code is not None:
        return code, {}
    bad = unauthorized_operations(tx, view, signatures)
    if bad:
        return TxCode.txFAILED, bad
    return (None if signatures.all_used else TxCode.txBAD_AUTH_EXTRA), {}


def _apply_operations(tx: Transaction, body: View, moment: Moment, results: list[xdr.OperationResult]) -> TxCode:
    """Try every operation, so that every bad one is reported; fill in the results."""
    failed = False
    for index, op in enumerate(tx.operations):
        view = View(body)
        outcome = _apply_operation(op, Step(view, op.source, index, tx.source, tx.sequence, *_when(moment)))
        code, balance_id = outcome if isinstance(outcome, tuple) else (outcome, None)
        results[index] = operation_result(code, balance_id)
        if succeeded(code):
            view.commit()
        else:
            failed = True
    if failed:
        return TxCode.txFAILED
    running = body.rows.pop(SPONSORSHIPS, None)
    unended = isinstance(running, Sponsorships) and running.sponsor_of
    return TxCode.txBAD_SPONSORSHIP if unended else TxCode.txSUCCESS


def _apply_operation(op: Operation, step: Step) -> Outcome:
    if step.view.peek(account_key(op.source)) is None:
        return OpCode.opNO_ACCOUNT
    rule = RULES[op.kind]
    return rule.apply(step, rule.body(op.body))


def _when(moment: Moment) -> tuple[int, int]:
    return moment.ledger, moment.close_time
