"""What an operation's code gets to see, and what it hands back."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from stellar_sdk import xdr

from deploy.devledger.entries import Account, View, account_key
from deploy.devledger.reserves import Shortage
from deploy.devledger.results import Code, OpCode


class Level(IntEnum):
    """Which of an account's thresholds an operation has to reach: its index in `Account.thresholds`."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


@dataclass(frozen=True)
class Step:
    """One operation being applied: its own view, who acts, and when."""

    view: View
    source: str
    index: int
    transaction_source: str
    transaction_sequence: int
    ledger: int
    close_time: int

    @property
    def account(self) -> Account:
        """Return the acting account, for changing."""
        return self.view.must_edit(account_key(self.source))


Outcome = Code | tuple[Code, xdr.ClaimableBalanceID]


def always_valid(_body: object, _source: str) -> Code | None:
    """Find no fault that shows before the state is looked at."""
    return None


def medium(_body: object) -> Level:
    """Ask for the medium threshold, as most operations do."""
    return Level.MEDIUM


def low(_body: object) -> Level:
    """Ask for the low threshold."""
    return Level.LOW


@dataclass(frozen=True)
class Rule:
    """How one kind of operation is judged at submission (`check`) and applied; `arm` names it in the XDR union."""

    arm: str | None
    apply: Callable[[Step, Any], Outcome]
    check: Callable[[Any, str], Code | None] = always_valid
    level: Callable[[Any], Level] = medium

    def body(self, union: xdr.OperationBody) -> Any:
        """Return this kind's own body."""
        return None if self.arm is None else getattr(union, self.arm)


def shortage_code(shortage: Shortage, low_reserve: Code) -> Code:
    """Spell a shortage of reserves in the codes of one kind of operation."""
    return low_reserve if shortage is Shortage.LOW_RESERVE else OpCode.opTOO_MANY_SUBENTRIES
