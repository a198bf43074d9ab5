"""The ledger itself: what waits, what a close takes in, and what applying it does. Pure: time comes in."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from stellar_sdk import xdr

from deploy.devledger.apply import Applied, apply_transaction
from deploy.devledger.entries import Account, Entry, Key, State, View, account_key
from deploy.devledger.envelope import Transaction
from deploy.devledger.network import BASE_FEE, GENESIS_BALANCE, LEDGER_CAPACITY, Network
from deploy.devledger.reserves import available
from deploy.devledger.results import TxCode, is_success, transaction_result
from deploy.devledger.validity import CLOSE_MARGIN, Moment, check_transaction

MAX_WAIT = 4
"""Ledgers that a transaction may wait for its turn."""
BAN = 10
"""Ledgers for which the hash of a dropped transaction is refused."""
REPLACE_FACTOR = 10
"""How many times the old bid a fee bump must offer to replace a waiting transaction."""


class Status(Enum):
    """How a node answers a submission."""

    PENDING = "PENDING"
    DUPLICATE = "DUPLICATE"
    TRY_AGAIN_LATER = "TRY_AGAIN_LATER"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Submission:
    """The answer to a submission; the result says why where the status is ERROR."""

    status: Status
    result: xdr.TransactionResult | None = None


@dataclass(frozen=True)
class Header:
    """A closed ledger; its close time in Unix seconds, its fee in stroops per operation."""

    sequence: int
    closed_at: int
    operations: int = 0
    successful: int = 0
    failed: int = 0
    base_fee: int = BASE_FEE


@dataclass(frozen=True)
class Closed:
    """What one close brought: None among the changes is an entry that went."""

    header: Header
    applied: list[Applied]
    changes: dict[Key[Any], Entry | None]
    fee_pool: int


@dataclass
class _Waiting:
    tx: Transaction
    age: int = 0


@dataclass
class Ledger:
    """One node's ledger: `submit` puts transactions in the queue, `close` applies them."""

    network: Network
    header: Header
    state: State
    fee_pool: int = 0
    _queue: dict[str, _Waiting] = field(default_factory=dict)
    _banned: dict[bytes, int] = field(default_factory=dict)

    def submit(self, tx: Transaction, now: int) -> Submission:
        """Take a transaction into the queue, one per source account, or say why not; now in Unix seconds."""
        if tx.hash in self._banned:
            return Submission(Status.TRY_AGAIN_LATER)
        waiting = self._queue.get(tx.source)
        old = waiting.tx if waiting is not None else None
        clash = _clash(old, tx) if old is not None else None
        if clash is not None:
            return clash
        drift = max(0, now - self.header.closed_at)
        moment = Moment(self.header.sequence + 1, self.header.closed_at, CLOSE_MARGIN + drift)
        result = check_transaction(tx, self.state, moment)
        if is_success(result) and not self._affordable(tx, old):
            result = transaction_result(TxCode.txINSUFFICIENT_BALANCE, BASE_FEE * tx.charged_operations)
        if not is_success(result):
            return Submission(Status.ERROR, result)
        self._queue[tx.source] = _Waiting(tx)
        return Submission(Status.PENDING)

    def _affordable(self, tx: Transaction, old: Transaction | None) -> bool:
        """Tell whether the fee source can pay for everything of its in the queue."""
        payer = self.state.peek(account_key(tx.fee_source))
        owed = sum(w.tx.fee for w in self._queue.values() if w.tx.fee_source == tx.fee_source and w.tx is not old)
        return payer is not None and available(payer) - tx.fee >= owed

    def close(self, now: int) -> Closed:
        """Close a ledger at a time (Unix seconds) that never runs backwards."""
        sequence, closed_at = self.header.sequence + 1, max(self.header.closed_at, now)
        self._banned = {tx_hash: until for tx_hash, until in self._banned.items() if until > sequence}
        self._drop_invalid(Moment(sequence, self.header.closed_at, closed_at - self.header.closed_at))
        chosen = self._choose()
        crowded = len(chosen) < len(self._queue)
        base_fee = max(BASE_FEE, min(tx.fee // tx.charged_operations for tx in chosen)) if crowded else BASE_FEE
        view = View(self.state)
        fees = {tx.hash: _take_fee(view, tx, base_fee) for tx in chosen}
        moment = Moment(sequence, closed_at)
        applied = [
            apply_transaction(tx, view, moment, fees[tx.hash], place)
            for place, tx in enumerate(sorted(chosen, key=lambda tx: tx.hash), start=1)
        ]
        self._age(chosen, sequence)
        return self._finish(applied, view.rows, Header(sequence, closed_at, base_fee=base_fee))

    def _finish(self, applied: list[Applied], rows: dict[Key[Any], Entry | None], header: Header) -> Closed:
        changes = {key: entry for key, entry in rows.items() if entry != self.state.peek(key)}
        for entry in changes.values():
            if entry is not None:
                entry.modified = header.sequence
        self.state.absorb(changes)
        successful = sum(one.successful for one in applied)
        self.header = Header(
            header.sequence,
            header.closed_at,
            operations=sum(len(one.tx.operations) for one in applied if one.successful),
            successful=successful,
            failed=len(applied) - successful,
            base_fee=header.base_fee,
        )
        self.fee_pool += sum(one.fee_charged for one in applied)
        return Closed(self.header, applied, changes, self.fee_pool)

    def _choose(self) -> list[Transaction]:
        chosen, room = [], LEDGER_CAPACITY
        waiting = (w.tx for w in self._queue.values())
        for tx in sorted(waiting, key=lambda tx: tx.fee / tx.charged_operations, reverse=True):
            if tx.charged_operations <= room:
                chosen.append(tx)
                room -= tx.charged_operations
        return chosen

    def _drop_invalid(self, moment: Moment) -> None:
        """Ban what became invalid while it waited, so that it never reaches the ledger."""
        for source, waiting in list(self._queue.items()):
            if not is_success(check_transaction(waiting.tx, self.state, moment)):
                self._ban(source, moment.ledger)

    def _age(self, chosen: list[Transaction], sequence: int) -> None:
        for tx in chosen:
            del self._queue[tx.source]
        for source, waiting in list(self._queue.items()):
            waiting.age += 1
            if waiting.age >= MAX_WAIT:
                self._ban(source, sequence)

    def _ban(self, source: str, sequence: int) -> None:
        self._banned[self._queue.pop(source).tx.hash] = sequence + BAN


def genesis(network: Network, now: int) -> Closed:
    """Return ledger 1 as changes to nothing: all XLM on the root account; now in Unix seconds."""
    root = account_key(network.root.public_key)
    return Closed(Header(1, now), [], {root: Account(GENESIS_BALANCE, 0)}, 0)


def _clash(old: Transaction, tx: Transaction) -> Submission | None:
    """Answer for a source account whose earlier transaction still waits; None lets the new one replace it."""
    if tx.hash == old.hash or (old.bump is not None and tx.hash == old.inner_hash):
        return Submission(Status.DUPLICATE)
    if tx.sequence < old.sequence:
        return Submission(Status.ERROR, transaction_result(TxCode.txBAD_SEQ))
    if tx.bump is None or tx.sequence != old.sequence:
        return Submission(Status.TRY_AGAIN_LATER)
    if tx.fee * old.charged_operations < REPLACE_FACTOR * old.fee * tx.charged_operations:
        needed = -(-REPLACE_FACTOR * old.fee * tx.charged_operations // old.charged_operations)
        return Submission(Status.ERROR, transaction_result(TxCode.txINSUFFICIENT_FEE, needed))
    return None


def _take_fee(view: View, tx: Transaction, base_fee: int) -> int:
    payer = view.must_edit(account_key(tx.fee_source))
    fee = min(tx.fee, base_fee * tx.charged_operations, payer.balance)
    payer.balance -= fee
    return fee
