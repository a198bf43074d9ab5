"""Who locks how much XLM for which ledger entry, sponsorship included."""

from enum import Enum

from deploy.devledger.entries import SPONSORSHIPS, Account, View, account_key
from deploy.devledger.network import BASE_RESERVE

MAX_SUBENTRIES = 1_000
ACCOUNT_RESERVES = 2


class Shortage(Enum):
    """Why a ledger entry cannot be added."""

    LOW_RESERVE = "low_reserve"
    TOO_MANY_SUBENTRIES = "too_many_subentries"


def available(account: Account) -> int:
    """Return the stroops an account may spend without touching its reserves; negative when it is short."""
    reserves = ACCOUNT_RESERVES + account.subentries + account.sponsoring - account.sponsored
    return account.balance - reserves * BASE_RESERVE


def sponsor_of(view: View, account_id: str) -> str | None:
    """Return who sponsors this account's new entries in the current transaction."""
    running = view.peek(SPONSORSHIPS)
    return None if running is None else running.sponsor_of.get(account_id)


def take_for_account(view: View, account_id: str, new: Account) -> Shortage | None:
    """Reserve for a new account, which is not yet in the view, and note its sponsor on it."""
    sponsor = sponsor_of(view, account_id)
    if sponsor is None:
        return Shortage.LOW_RESERVE if new.balance < ACCOUNT_RESERVES * BASE_RESERVE else None
    if not _lock(view, sponsor, ACCOUNT_RESERVES):
        return Shortage.LOW_RESERVE
    new.sponsor, new.sponsored = sponsor, ACCOUNT_RESERVES
    return None


def take_for_subentry(view: View, owner_id: str) -> Shortage | str | None:
    """Reserve for one trustline, data entry or signer; return its sponsor (None for the owner) or the shortage."""
    owner = view.must_edit(account_key(owner_id))
    if owner.subentries + 1 > MAX_SUBENTRIES:
        return Shortage.TOO_MANY_SUBENTRIES
    sponsor = sponsor_of(view, owner_id)
    if sponsor is None:
        if available(owner) < BASE_RESERVE:
            return Shortage.LOW_RESERVE
    elif not _lock(view, sponsor, 1):
        return Shortage.LOW_RESERVE
    else:
        owner.sponsored += 1
    owner.subentries += 1
    return sponsor


def free_subentry(view: View, owner_id: str, sponsor: str | None) -> None:
    """Give back the reserve of a trustline, data entry or signer that goes."""
    owner = view.must_edit(account_key(owner_id))
    owner.subentries -= 1
    if sponsor is not None:
        owner.sponsored -= 1
        free_sponsored(view, sponsor, 1)


def take_for_balance(view: View, creator_id: str, claimants: int) -> Shortage | str:
    """Reserve for a claimable balance, one reserve a claimant; return who pays or the shortage."""
    payer = sponsor_of(view, creator_id) or creator_id
    return payer if _lock(view, payer, claimants) else Shortage.LOW_RESERVE


def free_sponsored(view: View, sponsor: str, count: int) -> None:
    """Give reserves back to whoever sponsored them."""
    view.must_edit(account_key(sponsor)).sponsoring -= count


def _lock(view: View, sponsor_id: str, count: int) -> bool:
    sponsor = view.must_edit(account_key(sponsor_id))
    if available(sponsor) < count * BASE_RESERVE:
        return False
    sponsor.sponsoring += count
    return True
