"""BeginSponsoringFutureReserves and EndSponsoringFutureReserves: paying somebody else's reserves (CAP-33)."""

from stellar_sdk import xdr

from deploy.devledger.entries import SPONSORSHIPS, Sponsorships
from deploy.devledger.network import account_address
from deploy.devledger.operations.rule import Outcome, Rule, Step
from deploy.devledger.results import Code

Begin = xdr.BeginSponsoringFutureReservesResultCode
End = xdr.EndSponsoringFutureReservesResultCode


def _check_begin(op: xdr.BeginSponsoringFutureReservesOp, source: str) -> Code | None:
    own = account_address(op.sponsored_id) == source
    return Begin.BEGIN_SPONSORING_FUTURE_RESERVES_MALFORMED if own else None


def _begin(step: Step, op: xdr.BeginSponsoringFutureReservesOp) -> Outcome:
    sponsored = account_address(op.sponsored_id)
    running = step.view.edit(SPONSORSHIPS) or Sponsorships()
    if sponsored in running.sponsor_of:
        return Begin.BEGIN_SPONSORING_FUTURE_RESERVES_ALREADY_SPONSORED
    if step.source in running.sponsor_of or sponsored in running.sponsor_of.values():
        return Begin.BEGIN_SPONSORING_FUTURE_RESERVES_RECURSIVE
    running.sponsor_of[sponsored] = step.source
    step.view.put(SPONSORSHIPS, running)
    return Begin.BEGIN_SPONSORING_FUTURE_RESERVES_SUCCESS


def _end(step: Step, _body: None) -> Outcome:
    running = step.view.edit(SPONSORSHIPS)
    if running is None or step.source not in running.sponsor_of:
        return End.END_SPONSORING_FUTURE_RESERVES_NOT_SPONSORED
    del running.sponsor_of[step.source]
    return End.END_SPONSORING_FUTURE_RESERVES_SUCCESS


BEGIN_SPONSORING = Rule("begin_sponsoring_future_reserves_op", _begin, _check_begin)
END_SPONSORING = Rule(None, _end)
