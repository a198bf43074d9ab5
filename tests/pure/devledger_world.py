"""A local ledger with a few accounts on it, driven directly: no server, no clock."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from stellar_sdk import (
    Account,
    Asset,
    ChangeTrust,
    CreateAccount,
    FeeBumpTransactionEnvelope,
    Keypair,
    Operation,
    Payment,
    TransactionBuilder,
    TransactionEnvelope,
)

from deploy.devledger.entries import (
    Account as LedgerAccount,
    ClaimableBalance,
    State,
    TrustLine,
    account_key,
    trust_key,
)
from deploy.devledger.envelope import Transaction, decode
from deploy.devledger.ledger import Closed, Ledger, Status, Submission, genesis
from deploy.devledger.network import Network
from deploy.devledger.results import result_codes

START = 1_900_000_000
NETWORK = Network("Ledger of the tests")


def key(name: str) -> Keypair:
    """Return the key of this name."""
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(name.encode()).digest())


ISSUER = key("issuer")
GNS = Asset("GNS", ISSUER.public_key)


def new_ledger() -> Ledger:
    """Return a ledger that has only its genesis."""
    first = genesis(NETWORK, START)
    state = State()
    state.absorb(first.changes)
    return Ledger(NETWORK, first.header, state)


@dataclass
class World:
    """A ledger, the time there, and shorthand for what tests do to it."""

    ledger: Ledger = field(default_factory=new_ledger)
    now: int = START

    def sequence(self, who: Keypair) -> int:
        """Return the sequence number that was used last."""
        account = self.ledger.state.peek(account_key(who.public_key))
        return account.sequence if account is not None else 0

    def account(self, who: Keypair) -> LedgerAccount:
        """Return an account that is there."""
        found = self.ledger.state.peek(account_key(who.public_key))
        assert found is not None
        return found

    def holding(self, who: Keypair) -> int | None:
        """Return how many stroops of GNS somebody holds; None without a trustline."""
        line = self.ledger.state.peek(trust_key(who.public_key, f"GNS:{ISSUER.public_key}"))
        return None if line is None else line.balance

    def builder(self, source: Keypair, *operations: Operation, fee: int = 100, ahead: int = 1) -> TransactionBuilder:
        """Begin a transaction at the source's next sequence number, or `ahead` of its last one."""
        holder = Account(source.public_key, self.sequence(source) + ahead - 1)
        builder = TransactionBuilder(holder, NETWORK.passphrase, fee).add_time_bounds(0, 0)
        for operation in operations:
            builder.append_operation(operation)
        return builder

    def signed(self, source: Keypair, *operations: Operation, signers: Any = None, **terms: int) -> TransactionEnvelope:
        """Build a transaction and sign it with these keys, by default with its source's."""
        envelope = self.builder(source, *operations, **terms).build()
        for signer in [source] if signers is None else signers:
            envelope.sign(signer)
        return envelope

    def submit(self, envelope: TransactionEnvelope | FeeBumpTransactionEnvelope) -> Submission:
        """Offer an envelope to the queue."""
        return self.ledger.submit(decoded(envelope), self.now)

    def close(self, seconds: int = 1) -> Closed:
        """Close a ledger so many seconds later."""
        self.now += seconds
        return self.ledger.close(self.now)

    def fate(self, envelope: TransactionEnvelope | FeeBumpTransactionEnvelope) -> dict[str, Any]:
        """Submit and close; return Horizon's codes, wherever they came from."""
        submission = self.submit(envelope)
        if submission.result is not None:
            return result_codes(submission.result)
        assert submission.status is Status.PENDING, submission
        (applied,) = self.close().applied
        return result_codes(applied.result)

    def do(self, source: Keypair, *operations: Operation, **terms: Any) -> dict[str, Any]:
        """Build, sign, submit and close; return Horizon's codes."""
        return self.fate(self.signed(source, *operations, **terms))

    def must(self, source: Keypair, *operations: Operation, **terms: Any) -> None:
        """Do something that has to succeed."""
        codes = self.do(source, *operations, **terms)
        assert codes["transaction"] == "tx_success", codes

    def stroops_in_existence(self) -> int:
        """Return all XLM: on accounts, set aside for claimants, and paid as fees."""
        accounts = sum(account.balance for _, account in self.ledger.state.every(LedgerAccount))
        waiting = sum(b.amount for _, b in self.ledger.state.every(ClaimableBalance) if b.asset == "native")
        return accounts + waiting + self.ledger.fee_pool

    def gns_in_existence(self) -> int:
        """Return the stroops of GNS that somebody holds or can claim."""
        held = sum(line.balance for _, line in self.ledger.state.every(TrustLine))
        return held + sum(b.amount for _, b in self.ledger.state.every(ClaimableBalance) if b.asset != "native")


def decoded(envelope: TransactionEnvelope | FeeBumpTransactionEnvelope) -> Transaction:
    """Decode an envelope as the node does."""
    tx = decode(envelope.to_xdr(), NETWORK.id)
    assert tx is not None
    return tx


def settled_world() -> World:
    """Return a ledger with the issuer, a treasury of 1000 GNS, a worker who trusts GNS and one who does not."""
    world = World()
    names = ("issuer", "treasury", "worker", "bare", "channel", "poor")
    creations = [CreateAccount(key(name).public_key, "1.01" if name == "poor" else "1000") for name in names]
    world.must(NETWORK.root, *creations)
    world.must(key("treasury"), ChangeTrust(GNS))
    world.must(key("worker"), ChangeTrust(GNS, "500"))
    world.must(ISSUER, Payment(key("treasury").public_key, GNS, "1000"))
    return world
