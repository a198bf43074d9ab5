"""The running node: the pure ledger, its file, the clock, and those who wait for a ledger to close."""

import asyncio
from collections.abc import Callable

from stellar_sdk import Account as SequenceHolder, TransactionBuilder

from deploy.devledger.entries import account_key
from deploy.devledger.envelope import Transaction, decode
from deploy.devledger.ledger import Closed, Submission
from deploy.devledger.network import Network
from deploy.devledger.store import Record, Store

FRIENDBOT_XLM = 10_000
_FUNDED_AT_ONCE = 100
_FUNDING_BID = 10_000


class Node:
    """One node; all of it runs on one event loop, so nothing in it is locked."""

    def __init__(self, store: Store, network: Network, clock: Callable[[], float], closes_itself: bool) -> None:
        """Load the ledger; `clock` gives Unix seconds, `closes_itself` is false where only `close` is asked to."""
        self.store = store
        self.network = network
        self.ledger = store.load(int(clock()))
        self.closes_itself = closes_itself
        self._clock = clock
        self._closed = asyncio.Event()
        self._to_fund: dict[str, asyncio.Future[Record]] = {}

    def decode(self, envelope_xdr: str) -> Transaction | None:
        """Decode an envelope for this network; None where it is malformed."""
        return decode(envelope_xdr, self.network.id)

    def submit(self, tx: Transaction) -> Submission:
        """Offer a transaction to the queue."""
        return self.ledger.submit(tx, int(self._clock()))

    def close(self) -> Closed:
        """Close a ledger, write it down, then wake everybody who waits for it."""
        funding, funded = self._offer_funding()
        closed = self.ledger.close(int(self._clock()))
        self.store.append(closed)
        record = self.store.transaction(funding) if funding is not None else None
        if record is not None:
            for address in funded:
                self._to_fund.pop(address).set_result(record)
        self._closed.set()
        self._closed = asyncio.Event()
        return closed

    async def close_every(self, seconds: float) -> None:
        """Close ledgers at this pace until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + seconds, loop.time())
            await asyncio.sleep(due - loop.time())
            self.close()

    async def applied(self, tx_hash: str, seconds: float) -> Record | None:
        """Wait for a transaction (outer or inner hash, hex) to be in a closed ledger; None after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while (record := self.store.transaction(tx_hash)) is None:
                    await self._closed.wait()
                return record
        except TimeoutError:
            return None

    def has_account(self, account_id: str) -> bool:
        """Tell whether an account is on the ledger."""
        return self.ledger.state.peek(account_key(account_id)) is not None

    async def fund(self, account_id: str, seconds: float) -> Record | None:
        """Create an account with 10 000 XLM in the next ledger, shared with everybody else who asks; None if late.

        Where ledgers close only when told, this tells one to.
        """
        loop = asyncio.get_running_loop()
        done = self._to_fund.setdefault(account_id, loop.create_future())
        if not self.closes_itself:
            self.close()
        finished, _ = await asyncio.wait({done}, timeout=seconds)
        return done.result() if finished else None

    def _offer_funding(self) -> tuple[str | None, list[str]]:
        """Submit one transaction for all who wait to be funded; return its hash and whom it funds."""
        funded = list(self._to_fund)[:_FUNDED_AT_ONCE]
        root = self.ledger.state.peek(account_key(self.network.root.public_key))
        if not funded or root is None:
            return None, []
        source = SequenceHolder(self.network.root.public_key, root.sequence)
        builder = TransactionBuilder(source, self.network.passphrase, _FUNDING_BID).add_time_bounds(0, 0)
        for address in funded:
            builder.append_create_account_op(address, str(FRIENDBOT_XLM))
        envelope = builder.build()
        envelope.sign(self.network.root)
        tx = self.decode(envelope.to_xdr())
        if tx is None:
            raise ValueError("the SDK built an envelope that does not decode")
        self.submit(tx)
        return tx.hash.hex(), funded
