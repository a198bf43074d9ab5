"""Horizon's JSON for what the ledger holds. Pure."""

import math
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from stellar_sdk import xdr

from deploy.devledger.assets import asset_json
from deploy.devledger.entries import (
    AUTH_CLAWBACK,
    AUTH_IMMUTABLE,
    AUTH_REQUIRED,
    AUTH_REVOCABLE,
    LINE_CLAWBACK,
    LINE_MAINTAIN,
    Account,
    ClaimableBalance,
    DataEntry,
    State,
    TrustLine,
)
from deploy.devledger.envelope import Preconditions, Transaction
from deploy.devledger.ledger import Header
from deploy.devledger.network import (
    BASE_FEE,
    BASE_RESERVE,
    GENESIS_BALANCE,
    LEDGER_CAPACITY,
    PROTOCOL_VERSION,
    Network,
)
from deploy.devledger.predicates import predicate_json
from deploy.devledger.store import Record

Json = dict[str, Any]
_PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)


def amount(stroops: int) -> str:
    """Spell stroops as a decimal with seven places."""
    return f"{stroops // 10**7}.{stroops % 10**7:07d}"


def iso_time(seconds: int) -> str:
    """Spell Unix seconds as Horizon does."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def root_json(network: Network, head: Header) -> Json:
    """Return the root document, which says that this is a local ledger."""
    return {
        "horizon_version": "hive-devledger",
        "core_version": "hive-devledger",
        "local_ledger": True,
        "notice": "A local ledger for development and tests: nothing on it has any value.",
        "ingest_latest_ledger": head.sequence,
        "history_latest_ledger": head.sequence,
        "history_latest_ledger_closed_at": iso_time(head.closed_at),
        "history_elder_ledger": 1,
        "core_latest_ledger": head.sequence,
        "network_passphrase": network.passphrase,
        "current_protocol_version": PROTOCOL_VERSION,
        "supported_protocol_version": PROTOCOL_VERSION,
        "core_supported_protocol_version": PROTOCOL_VERSION,
    }


def account_json(account_id: str, account: Account, state: State) -> Json:
    """Return an account with its balances, signers and data."""
    _, low, medium, high = account.thresholds
    lines = [_line_json(asset, line) for asset, line in state.owned(TrustLine, account_id)]
    native = {
        "balance": amount(account.balance),
        "buying_liabilities": amount(0),
        "selling_liabilities": amount(0),
        "asset_type": "native",
    }
    return {
        "id": account_id,
        "account_id": account_id,
        "sequence": str(account.sequence),
        "sequence_ledger": account.sequence_ledger,
        "sequence_time": str(account.sequence_time),
        "subentry_count": account.subentries,
        "last_modified_ledger": account.modified,
        "num_sponsoring": account.sponsoring,
        "num_sponsored": account.sponsored,
        **({"home_domain": account.home_domain} if account.home_domain else {}),
        **_sponsor_json(account.sponsor),
        "thresholds": {"low_threshold": low, "med_threshold": medium, "high_threshold": high},
        "flags": {
            "auth_required": bool(account.flags & AUTH_REQUIRED),
            "auth_revocable": bool(account.flags & AUTH_REVOCABLE),
            "auth_immutable": bool(account.flags & AUTH_IMMUTABLE),
            "auth_clawback_enabled": bool(account.flags & AUTH_CLAWBACK),
        },
        "balances": [*lines, native],
        "signers": [_signer_json(account, key, weight) for key, weight in account.weights(account_id).items()],
        "data": {name: b64encode(entry.value).decode() for name, entry in state.owned(DataEntry, account_id)},
        "paging_token": account_id,
    }


def _line_json(asset: str, line: TrustLine) -> Json:
    return {
        "balance": amount(line.balance),
        "limit": amount(line.limit),
        "buying_liabilities": amount(0),
        "selling_liabilities": amount(0),
        "last_modified_ledger": line.modified,
        "is_authorized": line.authorized,
        "is_authorized_to_maintain_liabilities": line.authorized or bool(line.flags & LINE_MAINTAIN),
        "is_clawback_enabled": bool(line.flags & LINE_CLAWBACK),
        **asset_json(asset),
        **_sponsor_json(line.sponsor),
    }


def _signer_json(account: Account, key: str, weight: int) -> Json:
    sponsor = _sponsor_json(account.signer_sponsors.get(key))
    return {"weight": weight, "key": key, "type": "ed25519_public_key", **sponsor}


def _sponsor_json(sponsor: str | None) -> Json:
    return {} if sponsor is None else {"sponsor": sponsor}


def transaction_json(tx: Transaction, record: Record, asked_for: str) -> Json:
    """Return a transaction under the hash it was asked for by, which for a fee bump may be the inner one."""
    inner = _signatures_json(tx.signatures.parts)
    fields: Json = {
        "id": asked_for,
        "paging_token": str(record.place),
        "successful": record.successful,
        "hash": asked_for,
        "ledger": record.ledger,
        "created_at": iso_time(record.closed_at),
        "source_account": tx.source,
        "source_account_sequence": str(tx.sequence),
        "fee_account": tx.fee_source,
        "fee_charged": str(record.fee_charged),
        "max_fee": str(tx.fee),
        "operation_count": len(tx.operations),
        "envelope_xdr": record.envelope_xdr,
        "result_xdr": record.result_xdr,
        "signatures": inner,
        "preconditions": _preconditions_json(tx.preconditions),
        **_memo_json(tx.memo),
    }
    if tx.bump is not None:
        outer = _signatures_json(tx.bump.signatures.parts)
        fields["signatures"] = outer if asked_for == record.hash else inner
        fields["fee_bump_transaction"] = {"hash": record.hash, "signatures": outer}
        fields["inner_transaction"] = {
            "hash": record.inner_hash,
            "signatures": inner,
            "max_fee": str(tx.inner_fee),
        }
    return fields


def _signatures_json(parts: list[tuple[bytes, bytes]]) -> list[str]:
    return [b64encode(signature).decode() for _, signature in parts]


def _preconditions_json(terms: Preconditions) -> Json:
    fields: Json = {"timebounds": {"min_time": str(terms.min_time), "max_time": str(terms.max_time)}}
    if terms.min_ledger or terms.max_ledger:
        fields["ledgerbounds"] = {"min_ledger": terms.min_ledger, "max_ledger": terms.max_ledger}
    if terms.min_sequence is not None:
        fields["min_account_sequence"] = str(terms.min_sequence)
    if terms.min_sequence_age:
        fields["min_account_sequence_age"] = str(terms.min_sequence_age)
    if terms.min_sequence_gap:
        fields["min_account_sequence_ledger_gap"] = terms.min_sequence_gap
    if terms.extra_signers:
        fields["extra_signers"] = list(terms.extra_signers)
    return fields


def _memo_json(memo: xdr.Memo) -> Json:
    kind: Json = {"memo_type": memo.type.name.removeprefix("MEMO_").lower().replace("ret_hash", "return")}
    if memo.text is not None:
        text, raw = memo.text.decode(errors="replace"), b64encode(memo.text).decode()
        return {**kind, "memo": text, "memo_bytes": raw}
    if memo.id is not None:
        return {**kind, "memo": str(memo.id.uint64)}
    digest = memo.hash or memo.ret_hash
    return kind if digest is None else {**kind, "memo": b64encode(digest.hash).decode()}


def ledger_json(head: Header, fee_pool: int) -> Json:
    """Return a closed ledger; this ledger has no hashes of headers. The fee pool is today's, in stroops."""
    return {
        "id": str(head.sequence),
        "paging_token": str(head.sequence << 32),
        "sequence": head.sequence,
        "successful_transaction_count": head.successful,
        "failed_transaction_count": head.failed,
        "operation_count": head.operations,
        "closed_at": iso_time(head.closed_at),
        "total_coins": amount(GENESIS_BALANCE),
        "fee_pool": amount(fee_pool),
        "base_fee_in_stroops": BASE_FEE,
        "base_reserve_in_stroops": BASE_RESERVE,
        "max_tx_set_size": LEDGER_CAPACITY,
        "protocol_version": PROTOCOL_VERSION,
    }


def balance_json(balance_id: str, balance: ClaimableBalance) -> Json:
    """Return a claimable balance."""
    claimants = [
        {"destination": account, "predicate": predicate_json(xdr.ClaimPredicate.from_xdr_bytes(raw))}
        for account, raw in balance.claimants.items()
    ]
    return {
        "id": balance_id,
        "asset": balance.asset,
        "amount": amount(balance.amount),
        "sponsor": balance.sponsor,
        "last_modified_ledger": balance.modified,
        "claimants": claimants,
        "flags": {"clawback_enabled": False},
        "paging_token": f"{balance.modified}-{balance_id}",
    }


def fee_stats_json(head: Header, fees: list[tuple[float, float]]) -> Json:
    """Return what the last ledgers' transactions bid and paid, in stroops per operation."""
    return {
        "last_ledger": str(head.sequence),
        "last_ledger_base_fee": str(BASE_FEE),
        "ledger_capacity_usage": f"{head.operations / LEDGER_CAPACITY:.2f}",
        "fee_charged": _distribution([charged for _, charged in fees]),
        "max_fee": _distribution([bid for bid, _ in fees]),
    }


def _distribution(sample: list[float]) -> dict[str, str]:
    ordered = sorted(int(value) for value in sample) or [BASE_FEE]
    most = max(set(ordered), key=ordered.count)
    ranks = {f"p{p}": ordered[math.ceil(len(ordered) * p / 100) - 1] for p in _PERCENTILES}
    spread = {"max": ordered[-1], "min": ordered[0], "mode": most, **ranks}
    return {name: str(value) for name, value in spread.items()}
