"""CreateAccount, SetOptions, BumpSequence and ManageData: an account and what belongs to it."""

from stellar_sdk import xdr

from deploy.devledger.entries import (
    AUTH_CLAWBACK,
    AUTH_IMMUTABLE,
    AUTH_REQUIRED,
    AUTH_REVOCABLE,
    Account,
    DataEntry,
    account_key,
    data_key,
)
from deploy.devledger.network import account_address, address
from deploy.devledger.operations.rule import Level, Outcome, Rule, Step, low, shortage_code
from deploy.devledger.reserves import Shortage, available, free_subentry, take_for_account, take_for_subentry
from deploy.devledger.results import Code

Create = xdr.CreateAccountResultCode
Options = xdr.SetOptionsResultCode
Bump = xdr.BumpSequenceResultCode
Data = xdr.ManageDataResultCode

MAX_SIGNERS = 20
_ALL_FLAGS = AUTH_REQUIRED | AUTH_REVOCABLE | AUTH_IMMUTABLE | AUTH_CLAWBACK


def _printable(raw: bytes) -> bool:
    return all(32 <= byte < 127 for byte in raw)


def _check_create(op: xdr.CreateAccountOp, source: str) -> Code | None:
    bad = op.starting_balance.int64 < 0 or account_address(op.destination) == source
    return Create.CREATE_ACCOUNT_MALFORMED if bad else None


def _create_account(step: Step, op: xdr.CreateAccountOp) -> Outcome:
    account_id, balance = account_address(op.destination), op.starting_balance.int64
    if step.view.peek(account_key(account_id)) is not None:
        return Create.CREATE_ACCOUNT_ALREADY_EXIST
    new = Account(balance, sequence=step.ledger << 32)
    if take_for_account(step.view, account_id, new) is not None:
        return Create.CREATE_ACCOUNT_LOW_RESERVE
    if available(step.account) < balance:
        return Create.CREATE_ACCOUNT_UNDERFUNDED
    step.account.balance -= balance
    step.view.put(account_key(account_id), new)
    return Create.CREATE_ACCOUNT_SUCCESS


def _new_thresholds(op: xdr.SetOptionsOp) -> list[int | None]:
    wanted = (op.master_weight, op.low_threshold, op.med_threshold, op.high_threshold)
    return [None if value is None else value.uint32 for value in wanted]


def _options_level(op: xdr.SetOptionsOp) -> Level:
    touches_auth = op.signer is not None or any(value is not None for value in _new_thresholds(op))
    return Level.HIGH if touches_auth else Level.MEDIUM


def _check_options(op: xdr.SetOptionsOp, source: str) -> Code | None:
    to_set = op.set_flags.uint32 if op.set_flags is not None else 0
    to_clear = op.clear_flags.uint32 if op.clear_flags is not None else 0
    if (to_set | to_clear) & ~_ALL_FLAGS:
        return Options.SET_OPTIONS_UNKNOWN_FLAG
    if to_set & to_clear:
        return Options.SET_OPTIONS_BAD_FLAGS
    if any(value is not None and value > 255 for value in _new_thresholds(op)):
        return Options.SET_OPTIONS_THRESHOLD_OUT_OF_RANGE
    if op.signer is not None and not _good_signer(op.signer, source):
        return Options.SET_OPTIONS_BAD_SIGNER
    if op.home_domain is not None and not _printable(op.home_domain.string32):
        return Options.SET_OPTIONS_INVALID_HOME_DOMAIN
    return None


def _good_signer(signer: xdr.Signer, source: str) -> bool:
    key = signer.key.ed25519
    return key is not None and address(key.uint256) != source and signer.weight.uint32 <= 255


def _set_options(step: Step, op: xdr.SetOptionsOp) -> Outcome:
    account = step.account
    if op.inflation_dest is not None and step.view.peek(account_key(account_address(op.inflation_dest))) is None:
        return Options.SET_OPTIONS_INVALID_INFLATION
    fault = _set_flags(account, op)
    if fault is not None:
        return fault
    if op.home_domain is not None:
        account.home_domain = op.home_domain.string32.decode()
    account.thresholds = [
        old if new is None else new for old, new in zip(account.thresholds, _new_thresholds(op), strict=True)
    ]
    if op.signer is not None and op.signer.key.ed25519 is not None:
        return _set_signer(step, address(op.signer.key.ed25519.uint256), op.signer.weight.uint32)
    return Options.SET_OPTIONS_SUCCESS


def _set_flags(account: Account, op: xdr.SetOptionsOp) -> Code | None:
    to_set = op.set_flags.uint32 if op.set_flags is not None else 0
    to_clear = op.clear_flags.uint32 if op.clear_flags is not None else 0
    if account.flags & AUTH_IMMUTABLE and to_set | to_clear:
        return Options.SET_OPTIONS_CANT_CHANGE
    account.flags = account.flags & ~to_clear | to_set
    if account.flags & AUTH_CLAWBACK and not account.flags & AUTH_REVOCABLE:
        return Options.SET_OPTIONS_AUTH_REVOCABLE_REQUIRED
    return None


def _set_signer(step: Step, signer: str, weight: int) -> Outcome:
    account = step.account
    known = signer in account.signers
    if weight == 0:
        if known:
            del account.signers[signer]
            free_subentry(step.view, step.source, account.signer_sponsors.pop(signer, None))
        return Options.SET_OPTIONS_SUCCESS
    if not known:
        if len(account.signers) >= MAX_SIGNERS:
            return Options.SET_OPTIONS_TOO_MANY_SIGNERS
        payer = take_for_subentry(step.view, step.source)
        if isinstance(payer, Shortage):
            return shortage_code(payer, Options.SET_OPTIONS_LOW_RESERVE)
        if payer is not None:
            account.signer_sponsors[signer] = payer
    account.signers[signer] = weight
    return Options.SET_OPTIONS_SUCCESS


def _check_bump(op: xdr.BumpSequenceOp, _source: str) -> Code | None:
    return Bump.BUMP_SEQUENCE_BAD_SEQ if op.bump_to.sequence_number.int64 < 0 else None


def _bump_sequence(step: Step, op: xdr.BumpSequenceOp) -> Outcome:
    account, target = step.account, op.bump_to.sequence_number.int64
    if target > account.sequence:
        account.sequence = target
        account.sequence_ledger, account.sequence_time = step.ledger, step.close_time
    return Bump.BUMP_SEQUENCE_SUCCESS


def _check_data(op: xdr.ManageDataOp, _source: str) -> Code | None:
    name = op.data_name.string64
    return None if name and _printable(name) else Data.MANAGE_DATA_INVALID_NAME


def _manage_data(step: Step, op: xdr.ManageDataOp) -> Outcome:
    key = data_key(step.source, op.data_name.string64.decode())
    entry = step.view.edit(key)
    if op.data_value is None:
        if entry is None:
            return Data.MANAGE_DATA_NAME_NOT_FOUND
        free_subentry(step.view, step.source, entry.sponsor)
        step.view.remove(key)
    elif entry is not None:
        entry.value = op.data_value.data_value
    else:
        payer = take_for_subentry(step.view, step.source)
        if isinstance(payer, Shortage):
            return shortage_code(payer, Data.MANAGE_DATA_LOW_RESERVE)
        step.view.put(key, DataEntry(op.data_value.data_value, payer))
    return Data.MANAGE_DATA_SUCCESS


CREATE_ACCOUNT = Rule("create_account_op", _create_account, _check_create)
SET_OPTIONS = Rule("set_options_op", _set_options, _check_options, _options_level)
BUMP_SEQUENCE = Rule("bump_sequence_op", _bump_sequence, _check_bump, low)
MANAGE_DATA = Rule("manage_data_op", _manage_data, _check_data)
