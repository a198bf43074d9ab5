"""Every kind of operation that this ledger knows."""

from stellar_sdk import xdr

from deploy.devledger.operations.accounts import BUMP_SEQUENCE, CREATE_ACCOUNT, MANAGE_DATA, SET_OPTIONS
from deploy.devledger.operations.balances import CLAIM_CLAIMABLE_BALANCE, CREATE_CLAIMABLE_BALANCE
from deploy.devledger.operations.payments import CHANGE_TRUST, PAYMENT, SET_TRUST_LINE_FLAGS
from deploy.devledger.operations.rule import Level, Outcome, Rule, Step
from deploy.devledger.operations.sponsoring import BEGIN_SPONSORING, END_SPONSORING

__all__ = ["RULES", "Level", "Outcome", "Rule", "Step"]

RULES: dict[xdr.OperationType, Rule] = {
    xdr.OperationType.CREATE_ACCOUNT: CREATE_ACCOUNT,
    xdr.OperationType.PAYMENT: PAYMENT,
    xdr.OperationType.SET_OPTIONS: SET_OPTIONS,
    xdr.OperationType.CHANGE_TRUST: CHANGE_TRUST,
    xdr.OperationType.MANAGE_DATA: MANAGE_DATA,
    xdr.OperationType.BUMP_SEQUENCE: BUMP_SEQUENCE,
    xdr.OperationType.CREATE_CLAIMABLE_BALANCE: CREATE_CLAIMABLE_BALANCE,
    xdr.OperationType.CLAIM_CLAIMABLE_BALANCE: CLAIM_CLAIMABLE_BALANCE,
    xdr.OperationType.BEGIN_SPONSORING_FUTURE_RESERVES: BEGIN_SPONSORING,
    xdr.OperationType.END_SPONSORING_FUTURE_RESERVES: END_SPONSORING,
    xdr.OperationType.SET_TRUST_LINE_FLAGS: SET_TRUST_LINE_FLAGS,
}
