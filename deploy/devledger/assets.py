"""Assets as text: `native`, or `CODE:ISSUER`."""

import re

from stellar_sdk import xdr

from deploy.devledger.network import account_address

NATIVE = "native"
_CODE = {
    xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4: re.compile(rb"[A-Za-z0-9]{1,4}"),
    xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM12: re.compile(rb"[A-Za-z0-9]{5,12}"),
}


def asset_text(asset: xdr.Asset | xdr.ChangeTrustAsset) -> str | None:
    """Return the asset as text, or None where the ledger would call it invalid (or it is a pool share)."""
    if asset.type == xdr.AssetType.ASSET_TYPE_NATIVE:
        return NATIVE
    if asset.alpha_num4 is not None:
        code, issuer = asset.alpha_num4.asset_code.asset_code4, asset.alpha_num4.issuer
    elif asset.alpha_num12 is not None:
        code, issuer = asset.alpha_num12.asset_code.asset_code12, asset.alpha_num12.issuer
    else:
        return None
    code = code.rstrip(b"\0")
    if not _CODE[asset.type].fullmatch(code):
        return None
    return f"{code.decode()}:{account_address(issuer)}"


def issuer_of(asset: str) -> str:
    """Return who issues an asset; the empty string for XLM."""
    return asset.partition(":")[2]


def asset_json(asset: str) -> dict[str, str]:
    """Return Horizon's three fields of an asset, or the one of XLM."""
    code, _, issuer = asset.partition(":")
    if not issuer:
        return {"asset_type": NATIVE}
    kind = "credit_alphanum4" if len(code) <= 4 else "credit_alphanum12"
    return {"asset_type": kind, "asset_code": code, "asset_issuer": issuer}
