"""Submitting transactions, asking the friendbot, and what only tests ask for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, assert_never
from urllib.parse import parse_qs

import msgspec
from litestar import get, post
from litestar.params import FromQuery
from stellar_sdk import StrKey, xdr

from deploy.devledger.envelope import Transaction
from deploy.devledger.faults import Fault, FaultOrder, Faults
from deploy.devledger.horizon.problems import Problem, already_funded, bad_request, failed, malformed, timed_out
from deploy.devledger.horizon.reads import transaction_document
from deploy.devledger.horizon.replies import AnyRequest, Cut, GivenFaults, GivenNode, GivenPatience, Reply, reply
from deploy.devledger.ledger import Status
from deploy.devledger.node import Node
from deploy.devledger.store import Record

_HTTP_STATUS = {Status.PENDING: 201, Status.DUPLICATE: 409, Status.TRY_AGAIN_LATER: 503, Status.ERROR: 400}


@post("/transactions", status_code=200)
async def submit_and_wait(request: AnyRequest, node: GivenNode, faults: GivenFaults, patience: GivenPatience) -> Reply:
    """Submit a transaction and answer when it is in a closed ledger; 504 when that takes too long."""
    envelope_xdr = await _envelope_in(request)
    return await _submit(envelope_xdr, node, faults, lambda tx: _until_applied(tx, node, patience))


@post("/transactions_async", status_code=201)
async def submit_only(request: AnyRequest, node: GivenNode, faults: GivenFaults) -> Reply:
    """Submit a transaction and answer at once with what the queue says."""
    return await _submit(await _envelope_in(request), node, faults, lambda tx: _queued(tx, node))


async def _envelope_in(request: AnyRequest) -> str:
    fields = parse_qs((await request.body()).decode(errors="replace"))
    return fields.get("tx", [""])[0]


async def _submit(
    envelope_xdr: str, node: Node, faults: Faults, answer: Callable[[Transaction], Awaitable[Reply]]
) -> Reply:
    tx = node.decode(envelope_xdr)
    if tx is None:
        return reply(malformed(envelope_xdr))
    spoilt = faults.take()
    if spoilt is None:
        return await answer(tx)
    fault, delay = spoilt
    return await _spoil(fault, delay, tx, node, answer)


async def _spoil(
    fault: Fault, delay: float, tx: Transaction, node: Node, answer: Callable[[Transaction], Awaitable[Reply]]
) -> Reply:
    match fault:
        case Fault.DROP:
            return _late(tx)
        case Fault.LOSE:
            node.submit(tx)
            return _late(tx)
        case Fault.CUT:
            node.submit(tx)
            return Cut()
        case Fault.DUPLICATE:
            node.submit(tx)
            return await answer(tx)
        case Fault.DELAY:
            await asyncio.sleep(delay)
            return await answer(tx)
        case _:
            assert_never(fault)


def _late(tx: Transaction) -> Reply:
    return reply(timed_out(tx.hash.hex(), tx.envelope_xdr))


async def _queued(tx: Transaction, node: Node) -> Reply:
    submission = node.submit(tx)
    body: dict[str, Any] = {"tx_status": submission.status.value, "hash": tx.hash.hex()}
    if submission.result is not None:
        body["error_result_xdr"] = submission.result.to_xdr()
    return reply(body, _HTTP_STATUS[submission.status])


async def _until_applied(tx: Transaction, node: Node, patience: float) -> Reply:
    tx_hash = tx.hash.hex()
    record = node.store.transaction(tx_hash)
    if record is None:
        submission = node.submit(tx)
        if submission.result is not None:
            return reply(failed(tx.envelope_xdr, submission.result))
        record = await node.applied(tx_hash, patience)  # after TRY_AGAIN_LATER too, as Horizon does
    return _late(tx) if record is None else reply(_fate(node, record))


def _fate(node: Node, record: Record) -> dict[str, Any] | Problem:
    """Return an applied transaction, or the problem that it failed with."""
    if record.successful:
        return transaction_document(node, record.hash)
    return failed(record.envelope_xdr, xdr.TransactionResult.from_xdr(record.result_xdr))


@get("/friendbot")
async def friendbot(node: GivenNode, patience: GivenPatience, addr: FromQuery[str] = "") -> Reply:
    """Create an account with 10 000 XLM."""
    if not StrKey.is_valid_ed25519_public_key(addr):
        return reply(bad_request("addr", "Invalid address"))
    if node.has_account(addr):
        return reply(already_funded())
    record = await node.fund(addr, patience)
    return reply(timed_out("", "") if record is None else _fate(node, record))


@post("/_close", status_code=200, sync_to_thread=False)
def close_ledger(node: GivenNode) -> Reply:
    """Close a ledger now."""
    return reply({"ledger": node.close().header.sequence})


@post("/_faults", status_code=200)
async def order_faults(request: AnyRequest, faults: GivenFaults) -> Reply:
    """Spoil the next submissions as ordered; answer how many faults now wait."""
    try:
        order = msgspec.json.decode(await request.body(), type=FaultOrder)
    except msgspec.DecodeError as error:
        return reply(bad_request("faults", str(error)))
    return reply({"waiting": faults.add(order)})


WRITES = [submit_and_wait, submit_only, friendbot, close_ledger, order_faults]
