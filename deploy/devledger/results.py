"""Results as stellar-core writes them in XDR, and as Horizon spells them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from stellar_sdk import xdr

from deploy.devledger.envelope import Transaction

Code = IntEnum
"""One of the XDR enums of result codes, of a transaction, of operations in general or of one kind of operation."""
TxCode = xdr.TransactionResultCode
OpCode = xdr.OperationResultCode
Kind = xdr.OperationType


@dataclass(frozen=True)
class Arm:
    """Where the result of one kind of operation sits in the XDR union of all of them."""

    kind: Kind
    result: Any
    field: str


ARMS: dict[type[IntEnum], Arm] = {
    xdr.CreateAccountResultCode: Arm(Kind.CREATE_ACCOUNT, xdr.CreateAccountResult, "create_account_result"),
    xdr.PaymentResultCode: Arm(Kind.PAYMENT, xdr.PaymentResult, "payment_result"),
    xdr.SetOptionsResultCode: Arm(Kind.SET_OPTIONS, xdr.SetOptionsResult, "set_options_result"),
    xdr.ChangeTrustResultCode: Arm(Kind.CHANGE_TRUST, xdr.ChangeTrustResult, "change_trust_result"),
    xdr.ManageDataResultCode: Arm(Kind.MANAGE_DATA, xdr.ManageDataResult, "manage_data_result"),
    xdr.BumpSequenceResultCode: Arm(Kind.BUMP_SEQUENCE, xdr.BumpSequenceResult, "bump_seq_result"),
    xdr.CreateClaimableBalanceResultCode: Arm(
        Kind.CREATE_CLAIMABLE_BALANCE, xdr.CreateClaimableBalanceResult, "create_claimable_balance_result"
    ),
    xdr.ClaimClaimableBalanceResultCode: Arm(
        Kind.CLAIM_CLAIMABLE_BALANCE, xdr.ClaimClaimableBalanceResult, "claim_claimable_balance_result"
    ),
    xdr.BeginSponsoringFutureReservesResultCode: Arm(
        Kind.BEGIN_SPONSORING_FUTURE_RESERVES,
        xdr.BeginSponsoringFutureReservesResult,
        "begin_sponsoring_future_reserves_result",
    ),
    xdr.EndSponsoringFutureReservesResultCode: Arm(
        Kind.END_SPONSORING_FUTURE_RESERVES,
        xdr.EndSponsoringFutureReservesResult,
        "end_sponsoring_future_reserves_result",
    ),
    xdr.SetTrustLineFlagsResultCode: Arm(
        Kind.SET_TRUST_LINE_FLAGS, xdr.SetTrustLineFlagsResult, "set_trust_line_flags_result"
    ),
}
_CODES = {arm.kind: codes for codes, arm in ARMS.items()}
_ZERO_ID = xdr.ClaimableBalanceID(xdr.ClaimableBalanceIDType.CLAIMABLE_BALANCE_ID_TYPE_V0, xdr.Hash(bytes(32)))

_HORIZON_SPELLING: dict[str, str] = {
    "txNO_ACCOUNT": "tx_no_source_account",
    "txBAD_MIN_SEQ_AGE_OR_GAP": "tx_bad_minseq_age_or_gap",
    "opNO_ACCOUNT": "op_no_source_account",
    "CREATE_ACCOUNT_ALREADY_EXIST": "op_already_exists",
    "MANAGE_DATA_NAME_NOT_FOUND": "op_data_name_not_found",
    "MANAGE_DATA_INVALID_NAME": "op_data_invalid_name",
    "SET_TRUST_LINE_FLAGS_NO_TRUST_LINE": "op_no_trust",
}


def success_of(kind: Kind) -> Code:
    """Return the code that a kind of operation succeeds with; `opNOT_SUPPORTED` for a kind unknown here."""
    codes = _CODES.get(kind)
    return OpCode.opNOT_SUPPORTED if codes is None else codes(0)


def succeeded(code: Code) -> bool:
    """Tell whether a code of one kind of operation is its success."""
    return not isinstance(code, OpCode) and code == 0


def operation_result(code: Code, balance_id: xdr.ClaimableBalanceID | None = None) -> xdr.OperationResult:
    """Wrap a code up; a created balance's id is part of its result, zero until it is known."""
    if isinstance(code, OpCode):
        return xdr.OperationResult(code)
    arm = ARMS[type(code)]
    if code is xdr.CreateClaimableBalanceResultCode.CREATE_CLAIMABLE_BALANCE_SUCCESS:
        inner = arm.result(code, balance_id=balance_id or _ZERO_ID)
    else:
        inner = arm.result(code)
    return xdr.OperationResult(OpCode.opINNER, xdr.OperationResultTr(arm.kind, **{arm.field: inner}))


def untried_results(tx: Transaction, bad: dict[int, Code]) -> list[xdr.OperationResult]:
    """Return results as stellar-core initialises them: success unless already known to be bad."""
    return [operation_result(bad.get(i) or success_of(op.kind)) for i, op in enumerate(tx.operations)]


def transaction_result(
    code: TxCode, fee: int = 0, operations: Sequence[xdr.OperationResult] = ()
) -> xdr.TransactionResult:
    """Build a result; only `txSUCCESS` and `txFAILED` carry those of their operations. The fee is in stroops."""
    listed = list(operations) if code in (TxCode.txSUCCESS, TxCode.txFAILED) else None
    return xdr.TransactionResult(
        xdr.Int64(fee), xdr.TransactionResultResult(code, results=listed), xdr.TransactionResultExt(0)
    )


def fee_bump_result(inner_hash: bytes, inner: xdr.TransactionResult, fee: int) -> xdr.TransactionResult:
    """Put an inner result into that of its fee bump; from protocol 25 the inner one is charged 0."""
    ok = inner.result.code == TxCode.txSUCCESS
    pair = xdr.InnerTransactionResultPair(
        xdr.Hash(inner_hash),
        xdr.InnerTransactionResult(
            xdr.Int64(0),
            xdr.InnerTransactionResultResult(inner.result.code, inner.result.results),
            xdr.InnerTransactionResultExt(0),
        ),
    )
    code = TxCode.txFEE_BUMP_INNER_SUCCESS if ok else TxCode.txFEE_BUMP_INNER_FAILED
    return xdr.TransactionResult(xdr.Int64(fee), xdr.TransactionResultResult(code, pair), xdr.TransactionResultExt(0))


def is_success(result: xdr.TransactionResult) -> bool:
    """Tell whether a transaction (or the one inside a fee bump) did what it says."""
    return result.result.code in (TxCode.txSUCCESS, TxCode.txFEE_BUMP_INNER_SUCCESS)


def result_codes(result: xdr.TransactionResult) -> dict[str, Any]:
    """Return Horizon's `extras.result_codes` for a result."""
    pair = result.result.inner_result_pair
    codes: dict[str, Any] = {"transaction": spelled(result.result.code)}
    operations = result.result.results
    if pair is not None:
        codes["inner_transaction"] = spelled(pair.result.result.code)
        operations = pair.result.result.results
    if operations:
        codes["operations"] = [_operation_code(op) for op in operations]
    return codes


def spelled(code: Code) -> str:
    """Spell a code as Horizon does, such as `op_no_trust`."""
    known = _HORIZON_SPELLING.get(code.name)
    if known is not None:
        return known
    if isinstance(code, TxCode | OpCode):
        return f"{code.name[:2]}_{code.name[2:].lower()}"
    prefix = ARMS[type(code)].kind.name
    return f"op_{code.name.removeprefix(prefix + '_').lower()}"


def _operation_code(result: xdr.OperationResult) -> str:
    if result.tr is None:
        return spelled(result.code)
    arm = ARMS[_CODES[result.tr.type]]
    code: Code = getattr(result.tr, arm.field).code
    return spelled(code)
