"""Opens the accounts of a local swarm on its local ledger: issuer, treasury, channels, fee, pools, and the workers'."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from stellar_sdk import Asset, Keypair, Server, Signer, TransactionBuilder, TransactionEnvelope
from stellar_sdk.client.requests_client import RequestsClient
from stellar_sdk.exceptions import NotFoundError

from coordinator.settle.stellar import LedgerKeys
from shared.errors import RequestError
from shared.files import write_private

CHANNELS: Final = 2
FLOAT_GNS: Final = "10000000"
XLM: Final = "1000"
ROLES: Final = (
    "issuer",
    "treasury",
    "fee",
    "platform",
    "resilience",
    "quorum",
    *(f"channel{n}" for n in range(CHANNELS)),
)


class Seeds(msgspec.Struct, frozen=True):
    """The secret seeds (S...) of every account that a local swarm makes for itself."""

    engine: str
    accounts: dict[str, str]


def load_seeds(file: Path) -> Seeds:
    """The seeds of this data directory, made at first use; mode 600. Raises RequestError if the file is damaged."""
    if file.exists():
        try:
            return msgspec.json.decode(file.read_bytes(), type=Seeds)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise RequestError(f"{file} is damaged; put back a copy of it, or choose another --data-dir.") from e
    seeds = Seeds(Keypair.random().secret, {role: Keypair.random().secret for role in ROLES})
    write_private(file, msgspec.json.encode(seeds))
    return seeds


def ledger_keys(seeds: Seeds, passphrase: str) -> LedgerKeys:
    """What the coordinator may know: public addresses and the engine's seed, never the issuer's or treasury's."""
    public = {role: Keypair.from_secret(seed).public_key for role, seed in seeds.accounts.items()}
    return LedgerKeys(
        passphrase=passphrase,
        asset_code="GNS",
        engine_seed=seeds.engine,
        channels=[public[f"channel{n}"] for n in range(CHANNELS)],
        **{role: public[role] for role in ROLES if not role.startswith("channel")},
    )


def open_accounts(url: str, seeds: Seeds, workers: Sequence[Keypair]) -> None:
    """Makes every account and trustline that is not there yet; safe to call again. Raises SdkError if the ledger refuses."""
    server = Server(url, RequestsClient(num_retries=0))
    try:
        passphrase = str(server.root().call()["network_passphrase"])
        ours = {role: Keypair.from_secret(seed) for role, seed in seeds.accounts.items()}
        missing = [w for w in workers if not _exists(server, w.public_key)]
        if not _exists(server, ours["issuer"].public_key):
            _create(server, passphrase, [*ours.values(), *missing])
            _equip(server, passphrase, ours, Keypair.from_secret(seeds.engine))
        elif missing:
            _create(server, passphrase, missing)
        for start in range(0, len(missing), 15):
            _trust(server, passphrase, ours["issuer"].public_key, missing[start : start + 15])
    finally:
        server.close()


def _exists(server: Server, address: str) -> bool:
    try:
        server.accounts().account_id(address).call()
    except NotFoundError:
        return False
    return True


def _create(server: Server, passphrase: str, accounts: Sequence[Keypair]) -> None:
    root = Keypair.from_raw_ed25519_seed(hashlib.sha256(passphrase.encode()).digest())
    for start in range(0, len(accounts), 90):
        builder = _builder(server, passphrase, root)
        for account in accounts[start : start + 90]:
            builder.append_create_account_op(account.public_key, XLM)
        _submit(server, builder.build(), [root])


def _equip(server: Server, passphrase: str, ours: dict[str, Keypair], engine: Keypair) -> None:
    """Trustlines, the float of GNS, and the engine's key: sole signer of channels and fee, one more of the treasury."""
    asset = Asset("GNS", ours["issuer"].public_key)
    builder = _builder(server, passphrase, ours["treasury"])
    for role in ("treasury", "platform", "resilience", "quorum"):
        builder.append_change_trust_op(asset, source=ours[role].public_key)
    builder.append_payment_op(ours["treasury"].public_key, asset, FLOAT_GNS, source=ours["issuer"].public_key)
    signer = Signer.ed25519_public_key(engine.public_key, 1)
    builder.append_set_options_op(signer=signer, source=ours["treasury"].public_key)
    for role in ("fee", *(role for role in ours if role.startswith("channel"))):
        builder.append_set_options_op(signer=signer, master_weight=0, source=ours[role].public_key)
    _submit(server, builder.build(), list(ours.values()))


def _trust(server: Server, passphrase: str, issuer: str, workers: Sequence[Keypair]) -> None:
    builder = _builder(server, passphrase, workers[0])
    for worker in workers:
        builder.append_change_trust_op(Asset("GNS", issuer), source=worker.public_key)
    _submit(server, builder.build(), workers)


def _builder(server: Server, passphrase: str, source: Keypair) -> TransactionBuilder:
    account = server.load_account(source.public_key)
    return TransactionBuilder(account, passphrase, base_fee=100).set_timeout(60)


def _submit(server: Server, envelope: TransactionEnvelope, signers: Sequence[Keypair]) -> None:
    for signer in signers:
        envelope.sign(signer)
    server.submit_transaction(envelope, skip_memo_required_check=True)
