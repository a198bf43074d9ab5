"""Signatures against weights and thresholds, the way stellar-core counts them."""

from collections.abc import Mapping, Sequence

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from stellar_sdk import xdr

from deploy.devledger.network import raw_key


class Signatures:
    """The signatures over one hash; whether a key made one is worked out once."""

    def __init__(self, digest: bytes, signatures: Sequence[xdr.DecoratedSignature]) -> None:
        self.digest = digest
        self.parts = [(s.hint.signature_hint, s.signature.signature) for s in signatures]
        self._known: dict[tuple[int, str], bool] = {}

    def made_by(self, index: int, signer: str) -> bool:
        """Tell whether the signature at this place is the signer's."""
        known = self._known.get((index, signer))
        if known is None:
            known = self._known[index, signer] = self._verify(index, raw_key(signer))
        return known

    def _verify(self, index: int, key: bytes) -> bool:
        hint, signature = self.parts[index]
        if key[-4:] != hint:
            return False
        try:
            VerifyKey(key).verify(self.digest, signature)
        except (BadSignatureError, ValueError):  # a forged one, or one of a wrong length
            return False
        return True


class SignatureCheck:
    """One pass over a transaction's signatures that remembers which of them served."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures
        self._used: set[int] = set()

    def reaches(self, weights: Mapping[str, int], needed: int) -> bool:
        """Tell whether the signatures of these keys add up; even a threshold of 0 takes one of them."""
        left = {key: weight for key, weight in weights.items() if weight > 0}
        total = 0
        for index in range(len(self._signatures.parts)):
            signer = next((key for key in left if self._signatures.made_by(index, key)), None)
            if signer is None:
                continue
            self._used.add(index)
            total += min(left.pop(signer), 255)
            if total >= needed:
                return True
        return False

    @property
    def all_used(self) -> bool:
        """Tell whether every signature served; a superfluous one is an error on Stellar."""
        return len(self._used) == len(self._signatures.parts)
