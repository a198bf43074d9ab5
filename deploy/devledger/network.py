"""The network's fixed numbers, its name, and the addresses of its accounts."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from stellar_sdk import Keypair, StrKey, xdr

DEFAULT_PASSPHRASE = "Hive Local Ledger ; 2026"  # noqa: S105 - the public name of a network, no secret
PROTOCOL_VERSION = 27
BASE_FEE = 100
"""Stroops per operation."""
BASE_RESERVE = 5_000_000
"""Stroops that each ledger entry locks; an account itself counts as two."""
LEDGER_CAPACITY = 1_000
"""Operations that one ledger takes; above it the highest bids go first."""
GENESIS_BALANCE = 10**18
"""Stroops of XLM in existence: 100 billion XLM, all of them on the root account at ledger 1."""
MAX_INT64 = 2**63 - 1


@dataclass(frozen=True)
class Network:
    """A Stellar network, told apart from every other one by its passphrase alone."""

    passphrase: str

    @property
    def id(self) -> bytes:
        """Return the 32 bytes that every transaction hash of this network begins with."""
        return hashlib.sha256(self.passphrase.encode()).digest()

    @property
    def root(self) -> Keypair:
        """Return the key of the genesis account, whose seed is the network id as in stellar-core."""
        return Keypair.from_raw_ed25519_seed(self.id)


@lru_cache(maxsize=65_536)
def address(raw: bytes) -> str:
    """Spell a raw Ed25519 key as G…."""
    return StrKey.encode_ed25519_public_key(raw)


@lru_cache(maxsize=65_536)
def raw_key(account_id: str) -> bytes:
    """Return the 32 raw bytes behind a valid G… address."""
    return StrKey.decode_ed25519_public_key(account_id)


def account_address(account: xdr.AccountID) -> str:
    """Spell an XDR account id as G…."""
    key = account.account_id.ed25519
    if key is None:
        raise ValueError("an account id holds an Ed25519 key")
    return address(key.uint256)


def muxed_address(account: xdr.MuxedAccount) -> str:
    """Spell the account behind a G… or M… address as G…."""
    if account.med25519 is not None:
        return address(account.med25519.ed25519.uint256)
    if account.ed25519 is None:
        raise ValueError("a muxed account holds an Ed25519 key")
    return address(account.ed25519.uint256)
