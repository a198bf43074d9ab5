"""What Horizon lets one look up."""

from base64 import b64encode
from dataclasses import replace
from typing import Any

from litestar import get
from litestar.params import FromPath, FromQuery
from stellar_sdk import StrKey

from deploy.devledger.entries import Account, ClaimableBalance, account_key, balance_key, data_key
from deploy.devledger.horizon.problems import Problem, bad_request, missing
from deploy.devledger.horizon.replies import AnyRequest, GivenNode, GivenPaging, Reply, page, reply
from deploy.devledger.horizon.resources import (
    account_json,
    balance_json,
    fee_stats_json,
    ledger_json,
    root_json,
    transaction_json,
)
from deploy.devledger.node import Node
from deploy.devledger.store import Record, Slice

_FEE_WINDOW = 5


@get("/", sync_to_thread=False)
def root(node: GivenNode) -> Reply:
    """Say which ledger this is and how far it has come."""
    return reply(root_json(node.network, node.ledger.header))


@get("/health", sync_to_thread=False)
def health() -> Reply:
    """Say that the node answers."""
    return reply({"database_connected": True, "core_up": True, "core_synced": True})


@get("/fee_stats", sync_to_thread=False)
def fee_stats(node: GivenNode) -> Reply:
    """Say what the last five ledgers' transactions bid and paid."""
    head = node.ledger.header
    return reply(fee_stats_json(head, node.store.fees_since(head.sequence - _FEE_WINDOW)))


def find_account(node: Node, account_id: str) -> Account | Problem:
    """Return an account of the last closed ledger."""
    if not StrKey.is_valid_ed25519_public_key(account_id):
        return bad_request("account_id", "Account ID must start with `G` and contain 56 alphanum characters")
    return node.ledger.state.peek(account_key(account_id)) or missing()


@get("/accounts/{account_id:str}", sync_to_thread=False)
def account(node: GivenNode, account_id: FromPath[str]) -> Reply:
    """Show an account."""
    found = find_account(node, account_id)
    return reply(found if isinstance(found, Problem) else account_json(account_id, found, node.ledger.state))


@get("/accounts/{account_id:str}/data/{name:str}", sync_to_thread=False)
def account_data(node: GivenNode, account_id: FromPath[str], name: FromPath[str]) -> Reply:
    """Show one named value of an account, in base64."""
    entry = node.ledger.state.peek(data_key(account_id, name))
    return reply(missing() if entry is None else {"value": b64encode(entry.value).decode()})


@get("/accounts/{account_id:str}/transactions", sync_to_thread=False)
def account_transactions(
    request: AnyRequest,
    node: GivenNode,
    paging: GivenPaging,
    account_id: FromPath[str],
    include_failed: FromQuery[bool] = False,
) -> Reply:
    """List the transactions in which an account took part."""
    found = find_account(node, account_id)
    if isinstance(found, Problem):
        return reply(found)
    return _transactions(request, node, paging.part(), account_id, include_failed)


@get("/transactions", sync_to_thread=False)
def transactions(
    request: AnyRequest, node: GivenNode, paging: GivenPaging, include_failed: FromQuery[bool] = False
) -> Reply:
    """List all transactions."""
    return _transactions(request, node, paging.part(), None, include_failed)


def _transactions(
    request: AnyRequest, node: Node, part: Slice | Problem, account_id: str | None, include_failed: bool
) -> Reply:
    if isinstance(part, Problem):
        return reply(part)
    records = node.store.transactions(part, account_id, include_failed)
    return reply(page(request, [_shown(node, one, one.hash) for one in records], part))


@get("/transactions/{tx_hash:str}", sync_to_thread=False)
def transaction(node: GivenNode, tx_hash: FromPath[str]) -> Reply:
    """Show a transaction by its outer or inner hash."""
    return reply(transaction_document(node, tx_hash))


def transaction_document(node: Node, tx_hash: str) -> dict[str, Any] | Problem:
    """Return a transaction of a closed ledger by its outer or inner hash (hex)."""
    record = node.store.transaction(tx_hash.lower())
    return missing() if record is None else _shown(node, record, tx_hash.lower())


def _shown(node: Node, record: Record, asked_for: str) -> dict[str, Any]:
    tx = node.decode(record.envelope_xdr)
    if tx is None:
        raise ValueError(f"the stored envelope of {record.hash} does not decode")
    return transaction_json(tx, record, asked_for)


@get("/ledgers", sync_to_thread=False)
def ledgers(request: AnyRequest, node: GivenNode, paging: GivenPaging) -> Reply:
    """List closed ledgers; cursors are their numbers shifted by 32 bits, as Horizon has them."""
    part = paging.part()
    if isinstance(part, Problem):
        return reply(part)
    behind = None if part.cursor is None else part.cursor >> 32
    heads = node.store.ledgers(replace(part, cursor=behind))
    records = [ledger_json(head, node.ledger.fee_pool) for head in heads]
    return reply(page(request, records, part))


@get("/ledgers/{sequence:int}", sync_to_thread=False)
def ledger(node: GivenNode, sequence: FromPath[int]) -> Reply:
    """Show a closed ledger."""
    head = node.store.ledger(sequence)
    return reply(missing() if head is None else ledger_json(head, node.ledger.fee_pool))


@get("/claimable_balances", sync_to_thread=False)
def claimable_balances(
    request: AnyRequest,
    node: GivenNode,
    paging: GivenPaging,
    claimant: FromQuery[str | None] = None,
    sponsor: FromQuery[str | None] = None,
) -> Reply:
    """List claimable balances by claimant and sponsor, oldest first unless told otherwise."""
    part = replace(paging, cursor=None).part()
    if isinstance(part, Problem):
        return reply(part)
    wanted = [
        balance_json(balance_id, balance)
        for balance_id, balance in node.ledger.state.every(ClaimableBalance)
        if (claimant is None or claimant in balance.claimants) and (sponsor is None or sponsor == balance.sponsor)
    ]
    wanted.sort(key=_balance_place, reverse=part.descending)
    places = [one["paging_token"] for one in wanted]
    begin = places.index(paging.cursor) + 1 if paging.cursor in places else 0
    return reply(page(request, wanted[begin : begin + part.limit], part))


def _balance_place(shown: dict[str, Any]) -> tuple[int, str]:
    return shown["last_modified_ledger"], shown["id"]


@get("/claimable_balances/{balance_id:str}", sync_to_thread=False)
def claimable_balance(node: GivenNode, balance_id: FromPath[str]) -> Reply:
    """Show a claimable balance by the hex of its id."""
    found = node.ledger.state.peek(balance_key(balance_id.lower()))
    return reply(missing() if found is None else balance_json(balance_id.lower(), found))


READS = [
    root,
    health,
    fee_stats,
    account,
    account_data,
    account_transactions,
    transactions,
    transaction,
    ledgers,
    ledger,
    claimable_balances,
    claimable_balance,
]
