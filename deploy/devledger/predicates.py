"""When a claimable balance may be claimed."""

from datetime import UTC, datetime
from typing import Any

from stellar_sdk import xdr

from deploy.devledger.network import MAX_INT64

Kind = xdr.ClaimPredicateType
_MAX_DEPTH = 4


def is_valid(predicate: xdr.ClaimPredicate, depth: int = 1) -> bool:
    """Tell whether a predicate is well formed: at most 4 deep, two arms to each `and` and `or`, no negative time."""
    if depth > _MAX_DEPTH:
        return False
    if predicate.not_predicate is not None:
        return is_valid(predicate.not_predicate, depth + 1)
    if predicate.type in (Kind.CLAIM_PREDICATE_AND, Kind.CLAIM_PREDICATE_OR):
        arms = _arms(predicate)
        return len(arms) == 2 and all(is_valid(arm, depth + 1) for arm in arms)
    if predicate.type == Kind.CLAIM_PREDICATE_NOT:
        return False
    return all(time is None or time.int64 >= 0 for time in (predicate.abs_before, predicate.rel_before))


def fixed(predicate: xdr.ClaimPredicate, now: int) -> xdr.ClaimPredicate:
    """Return the predicate with times counted from now (Unix seconds) made absolute, as a ledger stores it."""
    kind = predicate.type
    if predicate.rel_before is not None:
        before = xdr.Int64(min(MAX_INT64, now + predicate.rel_before.int64))
        return xdr.ClaimPredicate(Kind.CLAIM_PREDICATE_BEFORE_ABSOLUTE_TIME, abs_before=before)
    if predicate.not_predicate is not None:
        return xdr.ClaimPredicate(kind, not_predicate=fixed(predicate.not_predicate, now))
    arms = [fixed(arm, now) for arm in _arms(predicate)]
    if kind == Kind.CLAIM_PREDICATE_AND:
        return xdr.ClaimPredicate(kind, and_predicates=arms)
    if kind == Kind.CLAIM_PREDICATE_OR:
        return xdr.ClaimPredicate(kind, or_predicates=arms)
    return predicate


def holds(predicate: xdr.ClaimPredicate, now: int) -> bool:
    """Tell whether a fixed predicate lets its claimant claim now (Unix seconds)."""
    if predicate.not_predicate is not None:
        return not holds(predicate.not_predicate, now)
    if predicate.type == Kind.CLAIM_PREDICATE_AND:
        return all(holds(arm, now) for arm in _arms(predicate))
    if predicate.type == Kind.CLAIM_PREDICATE_OR:
        return any(holds(arm, now) for arm in _arms(predicate))
    return predicate.abs_before is None or predicate.abs_before.int64 > now


def predicate_json(predicate: xdr.ClaimPredicate) -> dict[str, Any]:
    """Spell a fixed predicate as Horizon does."""
    if predicate.not_predicate is not None:
        return {"not": predicate_json(predicate.not_predicate)}
    if predicate.type == Kind.CLAIM_PREDICATE_AND:
        return {"and": [predicate_json(arm) for arm in _arms(predicate)]}
    if predicate.type == Kind.CLAIM_PREDICATE_OR:
        return {"or": [predicate_json(arm) for arm in _arms(predicate)]}
    if predicate.abs_before is None:
        return {"unconditional": True}
    epoch = predicate.abs_before.int64
    spelled = {"abs_before_epoch": str(epoch)}
    if epoch < datetime.max.replace(tzinfo=UTC).timestamp():
        spelled["abs_before"] = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return spelled


def _arms(predicate: xdr.ClaimPredicate) -> list[xdr.ClaimPredicate]:
    return predicate.and_predicates or predicate.or_predicates or []
