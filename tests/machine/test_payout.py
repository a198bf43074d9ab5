"""Payouts on a real database and a local ledger: who is paid, by which way, and what happens when the ledger refuses."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from stellar_sdk import Keypair, Signer
from structlog.testing import capture_logs

from coordinator.observe.series import REGISTRY
from coordinator.settle.attempts import SPENT_ELSEWHERE
from coordinator.settle.payout import Payer
from coordinator.settle.stellar import Horizon, worker_address
from tests.machine.payout_world import AT_ONCE, World, total

BATCHES = "SELECT state, reason FROM payout_batches ORDER BY id"
ENVELOPES = "SELECT n, max_fee FROM payout_envelopes ORDER BY n"


async def test_what_was_earned_is_paid_once_and_exactly(world: World) -> None:
    one, two = world.workers(2)
    earned = [*await world.earn(one, 1_000_003, 17), *await world.earn(two, 5)]
    before = REGISTRY.get_sample_value("hive_settlement_seconds_count") or 0
    payer = await world.started()
    assert await payer.one_round(world.now)
    assert await world.rows("SELECT state, total FROM payout_batches") == [("open", total(earned))]
    world.close()
    assert await payer.one_round(world.now)
    await world.check_all_paid()
    assert not await payer.one_round(world.now)
    ((shown, fee, inner),) = await world.rows("SELECT tx_hash, fee_charged, inner_hash FROM payout_batches")
    on_ledger = world.http.get(f"/transactions/{inner}").json()
    assert on_ledger["fee_bump_transaction"]["hash"] == shown
    assert (int(on_ledger["fee_charged"]), on_ledger["successful"]) == (fee, True)
    assert await world.rows("SELECT DISTINCT state FROM payout_orders") == [("paid",)]
    assert REGISTRY.get_sample_value("hive_settlement_seconds_count") == before + len(earned)


async def test_two_channels_carry_two_batches_at_once(world: World) -> None:
    one, two = world.workers(2)
    payer = await world.started(channels=2)
    await world.earn(one, 1_000)
    await payer.one_round(world.now)
    await world.earn(two, 1_000)
    await payer.one_round(world.now)
    assert await world.rows(BATCHES) == [("open", None), ("open", None)]
    world.close()
    await payer.one_round(world.now)
    await world.check_all_paid()


async def test_who_cannot_receive_yet_gets_a_claimable_balance(world: World) -> None:
    (ready,) = world.workers(1)
    stranger = Keypair.random().raw_public_key().hex()
    await world.earn(ready, 10_000)
    await world.earn(stranger, 10_000)
    payer = await world.started()
    await world.until_paid(payer)
    await world.check_all_paid()
    assert await world.rows(BATCHES) == [("failed", "txfailed"), ("paid", None)]
    returned = "SELECT recipient, reason FROM payout_orders WHERE state = 'returned' AND recipient LIKE 'worker:%'"
    assert set(await world.rows(returned)) == {
        (f"worker:{ready}", None),
        (f"worker:{stranger}", "payment_no_destination"),
    }
    (balance,) = world.claimable(stranger)
    assert await world.rows("SELECT recipient, balance_id FROM payout_orders WHERE balance_id IS NOT NULL") == [
        (f"worker:{stranger}", balance)
    ]
    await world.earn(stranger, 20_000)
    await world.until_paid(payer)
    assert len(await world.rows("SELECT 1 FROM payout_batches WHERE state = 'failed'")) == 1
    await world.check_all_paid()


async def test_whose_trustline_is_full_waits_and_the_others_are_paid(world: World) -> None:
    full, other = world.workers(2)
    limited = Keypair.random()
    world.while_closing(lambda: _with_limit(world, limited, "0.0000001"))
    held = limited.raw_public_key().hex()
    await world.earn(held, 10_000)
    await world.earn(full, 10_000)
    await world.earn(other, 10_000)
    await world.until_paid(await world.started())
    assert await world.rows("SELECT worker_pk, reason, batch_id FROM payables WHERE state = 'held'") == [
        (held, "payment_line_full", None)
    ]
    assert await world.rows("SELECT recipient FROM payout_orders WHERE state = 'held'") == [(f"worker:{held}",)]
    assert [world.balance(worker_address(worker)) for worker in (full, other, held)] == [6_000, 6_000, 0]
    assert (await world.books())[f"worker:{held}"] == 6_000


def _with_limit(world: World, worker: Keypair, limit: str) -> None:
    issuer = world.key_of("issuer")
    world.transact(issuer, lambda b: b.append_create_account_op(worker.public_key, "100"), wait=True)
    world.transact(worker, lambda b: b.append_change_trust_op(world.gns, limit), wait=True)


async def test_an_empty_treasury_raises_an_alarm_and_pays_later(world: World) -> None:
    treasury, issuer = world.key_of("treasury"), world.key_of("issuer")
    float_ = str(world.balance(treasury.public_key) // 10**7)
    world.transact(treasury, lambda b: b.append_payment_op(issuer.public_key, world.gns, float_))
    world.close()
    (worker,) = world.workers(1)
    await world.earn(worker, 10_000)
    payer = await world.started()
    with capture_logs() as lines:
        for _ in range(10):
            await payer.one_round(world.now)
            world.close()
    alarms = [line for line in lines if line["log_level"] == "error"]
    assert [(line["event"], line["code"]) for line in alarms] == [("treasury_cannot_pay", "payment_underfunded")]
    assert await world.rows(BATCHES) == [("failed", "txfailed")]
    assert await world.rows("SELECT state, route FROM payables") == [("ready", "pay")]
    world.transact(issuer, lambda b: b.append_payment_op(treasury.public_key, world.gns, "100"))
    world.close()
    world.now += timedelta(minutes=2)
    await world.until_paid(payer)
    await world.check_all_paid()


async def test_the_wrong_network_is_refused(world: World) -> None:
    keys = msgspec.structs.replace(world.keys, passphrase="Public Global Stellar Network ; September 2015")
    with pytest.raises(ValueError, match="serves «Hive Local Ledger"):
        await Payer(world.engine, world.horizon, keys, AT_ONCE).open_channels()


async def test_a_channel_that_is_not_on_the_ledger_is_refused(world: World) -> None:
    keys = msgspec.structs.replace(world.keys, channels=[Keypair.random().public_key])
    with pytest.raises(ValueError, match="is not on the ledger"):
        await Payer(world.engine, world.horizon, keys, AT_ONCE).open_channels()


async def test_what_expired_is_signed_again_for_the_same_sequence_number(world: World) -> None:
    (worker,) = world.workers(1)
    await world.earn(worker, 10_000)
    payer = await world.started()
    world.spoil(drop=3)
    for closed in (24, 24, 24):
        await payer.one_round(world.now)
        world.close(closed)
    await world.until_paid(payer)
    await world.check_all_paid()
    assert await world.rows(ENVELOPES) == [(1, 1_000), (2, 1_000), (3, 1_000), (4, 1_000)]
    assert await world.rows("SELECT state FROM payout_batches") == [("paid",)]


async def test_in_a_surge_the_bid_is_raised_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (worker,) = world.workers(1)
    monkeypatch.setattr("deploy.devledger.ledger.LEDGER_CAPACITY", 8)  # 100 operations would take longer to sign
    rich = world.key_of("issuer")

    def eight(builder: Any) -> None:
        for _ in range(8):
            builder.append_bump_sequence_op(0)

    await world.earn(worker, 10_000)
    payer = await world.started()
    for _ in range(5):
        await payer.one_round(world.now)
        world.transact(rich, eight, bid=5_000)
        world.close()
    await world.until_paid(payer)
    await world.check_all_paid()
    assert await world.rows(ENVELOPES) == [(1, 1_000), (2, 10_000)]


class Ahead(Horizon):
    """A server that says that the network is further than it is."""

    def latest(self) -> int:
        return super().latest() + 40


async def test_a_bid_too_low_to_replace_the_queued_one_is_raised(world: World) -> None:
    (worker,) = world.workers(1)
    await world.earn(worker, 10_000)
    payer = await world.started()
    await payer.one_round(world.now)
    payer.horizon = Ahead(world.node.url)
    await payer.one_round(world.now)
    await payer.one_round(world.now)
    assert await world.rows("SELECT n, max_fee, status FROM payout_envelopes ORDER BY n") == [
        (1, 1_000, "PENDING"),
        (2, 1_000, "ERROR txinsufficient_fee"),
        (3, 10_000, None),
    ]
    payer.horizon.close()
    payer.horizon = world.horizon
    await payer.one_round(world.now)
    await world.until_paid(payer)
    await world.check_all_paid()
    assert await world.rows("SELECT state FROM payout_batches") == [("paid",)]


async def test_a_key_that_may_not_sign_blocks_the_batch_until_a_person_has_mended_it(world: World) -> None:
    (worker,) = world.workers(1)
    treasury, engine = world.key_of("treasury"), Keypair.from_secret(world.keys.engine_seed)
    _allow(world, treasury, engine, 0)
    await world.earn(worker, 10_000)
    payer = await world.started()
    with capture_logs() as lines:
        for _ in range(3):
            await payer.one_round(world.now)
            world.close()
    alarms = [line for line in lines if line["log_level"] == "error"]
    assert [(line["event"], line["reason"]) for line in alarms] == [("payout_blocked", "opbad_auth")]
    assert await world.rows(BATCHES) == [("blocked", "opbad_auth")]
    assert await world.rows("SELECT state FROM payables") == [("reserved",)]
    _allow(world, treasury, engine, 1)
    await world.until_paid(await world.started())
    await world.check_all_paid()
    assert await world.rows(BATCHES) == [("paid", None)]


def _allow(world: World, account: Keypair, key: Keypair, weight: int) -> None:
    signer = Signer.ed25519_public_key(key.public_key, weight)
    world.transact(account, lambda b: b.append_set_options_op(signer=signer))
    world.close()


async def test_a_number_spent_by_somebody_else_blocks_and_never_skips(world: World) -> None:
    (worker,) = world.workers(1)
    await world.earn(worker, 10_000)
    payer = await world.started()
    world.spoil(drop=1)
    await payer.one_round(world.now)
    channel, engine = world.keys.channels[0], Keypair.from_secret(world.keys.engine_seed)
    world.transact(engine, lambda b: b.append_bump_sequence_op(0), account=channel)
    for closed in (1, 30, 100, 1):
        world.close(closed)
        for _ in range(2):
            await payer.one_round(world.now)
    assert await world.rows(BATCHES) == [("blocked", SPENT_ELSEWHERE)]
    assert await world.rows("SELECT state FROM payables") == [("reserved",)]
