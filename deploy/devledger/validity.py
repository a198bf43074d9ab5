"""Is a transaction valid: stellar-core's checks, in stellar-core's order, at submission and again when applied."""

from dataclasses import dataclass

from stellar_sdk import xdr

from deploy.devledger.entries import Account, View, account_key
from deploy.devledger.envelope import FeeBump, Operation, Transaction
from deploy.devledger.network import BASE_FEE
from deploy.devledger.operations import RULES, Level
from deploy.devledger.reserves import available
from deploy.devledger.results import Code, OpCode, TxCode, fee_bump_result, transaction_result, untried_results
from deploy.devledger.signatures import SignatureCheck

CLOSE_MARGIN = 10
"""Seconds: a `max_time` nearer than two ledgers of 5 s is refused at submission."""


@dataclass(frozen=True)
class Moment:
    """The ledger that a transaction is judged for; times in Unix seconds."""

    ledger: int
    close_time: int
    margin: int = 0
    """How many seconds a `max_time` must still be away."""


def check_transaction(tx: Transaction, view: View, moment: Moment) -> xdr.TransactionResult:
    """Judge a whole envelope against the last closed ledger, as a node does when it is submitted."""
    least = BASE_FEE * tx.charged_operations
    if tx.bump is None:
        return _check_inner(tx, view, moment, least)
    refused = _check_bump(tx, tx.bump, view, least)
    if refused is not None:
        return refused
    return fee_bump_result(tx.inner_hash, _check_inner(tx, view, moment, 0), least)


def _check_bump(tx: Transaction, bump: FeeBump, view: View, least: int) -> xdr.TransactionResult | None:
    payer = view.peek(account_key(bump.fee_source))
    signatures = SignatureCheck(bump.signatures)
    inner_operations = max(1, len(tx.operations))
    if bump.fee < least:
        return transaction_result(TxCode.txINSUFFICIENT_FEE, least)
    if bump.fee * inner_operations < tx.inner_fee * tx.charged_operations:
        needed = -(-tx.inner_fee * tx.charged_operations // inner_operations)
        return transaction_result(TxCode.txINSUFFICIENT_FEE, needed)
    if payer is None:
        return transaction_result(TxCode.txNO_ACCOUNT, least)
    if not signatures.reaches(payer.weights(bump.fee_source), payer.thresholds[Level.LOW]):
        return transaction_result(TxCode.txBAD_AUTH, least)
    if available(payer) < bump.fee:
        return transaction_result(TxCode.txINSUFFICIENT_BALANCE, least)
    return None if signatures.all_used else transaction_result(TxCode.txBAD_AUTH_EXTRA, least)


def _check_inner(tx: Transaction, view: View, moment: Moment, least: int) -> xdr.TransactionResult:
    signatures, bad = SignatureCheck(tx.signatures), dict[int, Code]()
    charge = tx.inner_fee if tx.bump is None else None
    code = transaction_fault(tx, view, signatures, moment, charge)
    if code is None:
        bad = _first_bad_operation(tx, view, signatures)
        code = TxCode.txFAILED if bad else None
    if code is None:
        code = TxCode.txSUCCESS if signatures.all_used else TxCode.txBAD_AUTH_EXTRA
    return transaction_result(code, least, untried_results(tx, bad))


def transaction_fault(
    tx: Transaction, view: View, signatures: SignatureCheck, moment: Moment, charge: int | None
) -> TxCode | None:
    """Return what is wrong with a transaction apart from its operations.

    `charge` is the fee in stroops that its source must still be able to pay: 0 once the fee is taken, None where a
    fee bump pays for it.
    """
    if not tx.operations:
        return TxCode.txMISSING_OPERATION
    code = _outside_bounds(tx, moment)
    if code is not None:
        return code
    if charge is not None and tx.inner_fee < BASE_FEE * len(tx.operations):
        return TxCode.txINSUFFICIENT_FEE
    account = view.peek(account_key(tx.source))
    if account is None:
        return TxCode.txNO_ACCOUNT
    code = _sequence_fault(tx, account, moment)
    if code is not None:
        return code
    if not signatures.reaches(account.weights(tx.source), account.thresholds[Level.LOW]):
        return TxCode.txBAD_AUTH
    if not all(signatures.reaches({key: 1}, 1) for key in tx.preconditions.extra_signers):
        return TxCode.txBAD_AUTH
    return TxCode.txINSUFFICIENT_BALANCE if charge is not None and available(account) < charge else None


def _outside_bounds(tx: Transaction, moment: Moment) -> TxCode | None:
    terms = tx.preconditions
    if terms.min_time > moment.close_time or terms.min_ledger > moment.ledger:
        return TxCode.txTOO_EARLY
    if 0 < terms.max_time < moment.close_time + moment.margin or 0 < terms.max_ledger <= moment.ledger:
        return TxCode.txTOO_LATE
    return None


def _sequence_fault(tx: Transaction, account: Account, moment: Moment) -> TxCode | None:
    terms = tx.preconditions
    lowest = tx.sequence - 1 if terms.min_sequence is None else terms.min_sequence
    if not lowest <= account.sequence < tx.sequence or tx.sequence == moment.ledger << 32:
        return TxCode.txBAD_SEQ
    too_young = moment.close_time - terms.min_sequence_age < account.sequence_time
    too_near = moment.ledger - terms.min_sequence_gap < account.sequence_ledger
    return TxCode.txBAD_MIN_SEQ_AGE_OR_GAP if too_young or too_near else None


def _first_bad_operation(tx: Transaction, view: View, signatures: SignatureCheck) -> dict[int, Code]:
    for index, op in enumerate(tx.operations):
        rule = RULES.get(op.kind)
        if rule is None:
            return {index: OpCode.opNOT_SUPPORTED}
        code = _authority_fault(op, view, signatures) or rule.check(rule.body(op.body), op.source)
        if code is not None:
            return {index: code}
    return {}


def unauthorized_operations(tx: Transaction, view: View, signatures: SignatureCheck) -> dict[int, Code]:
    """Return the code of every operation that the signatures do not reach, by its index."""
    faults = ((index, _authority_fault(op, view, signatures)) for index, op in enumerate(tx.operations))
    return {index: code for index, code in faults if code is not None}


def _authority_fault(op: Operation, view: View, signatures: SignatureCheck) -> Code | None:
    account = view.peek(account_key(op.source))
    if account is None:
        if not op.names_source:
            return OpCode.opNO_ACCOUNT
        return None if signatures.reaches({op.source: 1}, 0) else OpCode.opBAD_AUTH
    rule = RULES[op.kind]
    needed = account.thresholds[rule.level(rule.body(op.body))]
    return None if signatures.reaches(account.weights(op.source), needed) else OpCode.opBAD_AUTH
