"""The ledger's memory: one SQLite file, in which a closed ledger is either whole or absent."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from deploy.devledger.apply import Applied
from deploy.devledger.entries import Account, ClaimableBalance, DataEntry, Entry, Key, State, TrustLine
from deploy.devledger.ledger import Closed, Header, Ledger, genesis
from deploy.devledger.network import MAX_INT64, Network

KEPT_EMPTY_LEDGERS = 100_000
"""Ledgers without transactions that are remembered; at one a second a little over a day."""

_PRAGMAS = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS head (
    one INTEGER PRIMARY KEY CHECK (one = 1), passphrase TEXT NOT NULL, fee_pool INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
    sequence INTEGER PRIMARY KEY, closed_at INTEGER NOT NULL, operations INTEGER NOT NULL,
    successful INTEGER NOT NULL, failed INTEGER NOT NULL, base_fee INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tx (
    place INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, inner_hash TEXT NOT NULL, ledger INTEGER NOT NULL,
    closed_at INTEGER NOT NULL, successful INTEGER NOT NULL, fee_charged INTEGER NOT NULL, bid REAL NOT NULL,
    charged REAL NOT NULL, envelope_xdr TEXT NOT NULL, result_xdr TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS tx_by_inner_hash ON tx (inner_hash);
CREATE INDEX IF NOT EXISTS tx_by_ledger ON tx (ledger);
CREATE TABLE IF NOT EXISTS participant (
    account TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (account, place)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS record AS
    SELECT place, hash, inner_hash, ledger, closed_at, successful, fee_charged, envelope_xdr, result_xdr FROM tx;
"""
_UP, _DOWN = False, True
_LEDGERS = {
    _UP: "SELECT * FROM ledger WHERE sequence > :cursor ORDER BY sequence LIMIT :limit",
    _DOWN: "SELECT * FROM ledger WHERE sequence < :cursor ORDER BY sequence DESC LIMIT :limit",
}
_TRANSACTIONS = {
    _UP: "SELECT * FROM record WHERE place > :cursor AND successful >= :least ORDER BY place LIMIT :limit",
    _DOWN: "SELECT * FROM record WHERE place < :cursor AND successful >= :least ORDER BY place DESC LIMIT :limit",
}
_OF_ACCOUNT = {
    _UP: """SELECT record.* FROM participant p JOIN record USING (place)
        WHERE p.account = :account AND p.place > :cursor AND successful >= :least ORDER BY p.place LIMIT :limit""",
    _DOWN: """SELECT record.* FROM participant p JOIN record USING (place)
        WHERE p.account = :account AND p.place < :cursor AND successful >= :least ORDER BY p.place DESC LIMIT :limit""",
}
_KINDS: dict[str, type[Entry]] = {k.__name__: k for k in (Account, TrustLine, DataEntry, ClaimableBalance)}


class UnusableStoreError(Exception):
    """The file belongs to another network, is in use by another process, or is no ledger at all."""


@dataclass(frozen=True)
class Record:
    """A transaction as it went into the ledger; hashes in hex, the fee in stroops, times in Unix seconds."""

    place: int
    hash: str
    inner_hash: str
    ledger: int
    closed_at: int
    successful: bool
    fee_charged: int
    envelope_xdr: str
    result_xdr: str


@dataclass(frozen=True)
class Slice:
    """Which part of a list is asked for: those after `cursor` in the given direction, at most `limit`."""

    cursor: int | None = None
    descending: bool = False
    limit: int = 10


class Store:
    """What every closed ledger changed and which transactions it held."""

    def __init__(self, path: Path | None, network: Network) -> None:
        """Open or make the file, for this process alone; None keeps everything in memory. Raise UnusableStoreError."""
        self._network = network
        self._db = sqlite3.connect(path or ":memory:", timeout=0.2, isolation_level=None, check_same_thread=False)
        try:
            self._db.executescript(
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA
            )
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute("COMMIT")
            self._claim()
        except (sqlite3.Error, UnusableStoreError) as error:
            self._db.close()
            raise UnusableStoreError(f"{path}: {error}") from error

    def _claim(self) -> None:
        row = self._db.execute("SELECT passphrase FROM head").fetchone()
        if row is not None and row[0] != self._network.passphrase:
            raise UnusableStoreError(f"it holds the network {row[0]!r}, not {self._network.passphrase!r}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def load(self, now: int) -> Ledger:
        """Return the ledger as it was last closed, or a new one with its genesis written; now in Unix seconds."""
        head = self._db.execute("SELECT fee_pool FROM head").fetchone()
        if head is None:
            first = genesis(self._network, now)
            self.append(first)
            state = State()
            state.absorb(first.changes)
            return Ledger(self._network, first.header, state)
        state = State()
        rows = self._db.execute("SELECT key, value FROM entry")
        state.absorb({_key(text): _entry(text, value) for text, value in rows})
        return Ledger(self._network, self.ledgers(Slice(descending=True, limit=1))[0], state, head[0])

    def append(self, closed: Closed) -> None:
        """Write a closed ledger; it is there for good when this returns, whatever happens to the process."""
        head, empty_before = closed.header, closed.header.sequence - KEPT_EMPTY_LEDGERS
        self._db.execute("BEGIN")
        with self._db:
            self._db.execute(
                "INSERT INTO head VALUES (1, ?, ?) ON CONFLICT DO UPDATE SET fee_pool = excluded.fee_pool",
                (self._network.passphrase, closed.fee_pool),
            )
            self._db.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", _header_row(head))
            self._db.execute("DELETE FROM ledger WHERE sequence = ? AND successful + failed = 0", (empty_before,))
            self._write_entries(closed.changes.items())
            self._db.executemany(
                "INSERT INTO tx VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_tx_row, closed.applied)
            )
            people = [(account, one.order) for one in closed.applied for account in one.participants]
            self._db.executemany("INSERT INTO participant VALUES (?, ?)", people)

    def _write_entries(self, changes: Iterable[tuple[Key[Any], Entry | None]]) -> None:
        for key, entry in changes:
            if entry is None:
                self._db.execute("DELETE FROM entry WHERE key = ?", (_key_text(key),))
            else:
                row = (_key_text(key), msgspec.msgpack.encode(entry))
                self._db.execute("INSERT OR REPLACE INTO entry VALUES (?, ?)", row)

    def transaction(self, tx_hash: str) -> Record | None:
        """Return the transaction with this outer or inner hash (hex)."""
        rows = self._db.execute(
            "SELECT * FROM record WHERE hash = ?1 UNION ALL SELECT * FROM record WHERE inner_hash = ?1", (tx_hash,)
        )
        row = rows.fetchone()
        return None if row is None else _record(row)

    def transactions(self, part: Slice, account: str | None, include_failed: bool) -> list[Record]:
        """Return transactions in the order of the ledger; all, or those in which an account took part."""
        statement = (_TRANSACTIONS if account is None else _OF_ACCOUNT)[part.descending]
        least = 0 if include_failed else 1
        rows = self._db.execute(statement, {**_bounds(part), "account": account, "least": least})
        return [_record(row) for row in rows]

    def ledgers(self, part: Slice) -> list[Header]:
        """Return closed ledgers; the cursor is a ledger's number."""
        return [Header(*row) for row in self._db.execute(_LEDGERS[part.descending], _bounds(part))]

    def ledger(self, sequence: int) -> Header | None:
        """Return one closed ledger, unless it was empty and long ago."""
        row = self._db.execute("SELECT * FROM ledger WHERE sequence = ?", (sequence,)).fetchone()
        return None if row is None else Header(*row)

    def fees_since(self, ledger: int) -> list[tuple[float, float]]:
        """Return (bid, charged) in stroops per operation of every transaction after a ledger."""
        rows = self._db.execute("SELECT bid, charged FROM tx WHERE ledger > ?", (ledger,))
        return [(float(bid), float(charged)) for bid, charged in rows]


def _bounds(part: Slice) -> dict[str, int]:
    open_end = MAX_INT64 if part.descending else -1
    return {"cursor": open_end if part.cursor is None else part.cursor, "limit": part.limit}


def _key_text(key: Key[Any]) -> str:
    return json.dumps([key.kind.__name__, *key.parts])


def _key(text: str) -> Key[Any]:
    kind, *parts = json.loads(text)
    return Key(_KINDS[kind], tuple(parts))


def _entry(text: str, value: bytes) -> Entry:
    entry: Entry = msgspec.msgpack.decode(value, type=_key(text).kind)
    return entry


def _header_row(head: Header) -> tuple[int, ...]:
    return head.sequence, head.closed_at, head.operations, head.successful, head.failed, head.base_fee


def _tx_row(one: Applied) -> tuple[Any, ...]:
    tx = one.tx
    return (
        one.order,
        tx.hash.hex(),
        tx.inner_hash.hex(),
        one.ledger,
        one.closed_at,
        one.successful,
        one.fee_charged,
        tx.fee / tx.charged_operations,
        one.fee_charged / tx.charged_operations,
        tx.envelope_xdr,
        one.result.to_xdr(),
    )


def _record(row: tuple[Any, ...]) -> Record:
    place, tx_hash, inner_hash, ledger, closed_at, successful, *rest = row
    return Record(place, tx_hash, inner_hash, ledger, closed_at, bool(successful), *rest)
