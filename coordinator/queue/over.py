"""What a transaction that ends jobs leaves to be told once it holds."""

from datetime import datetime

import msgspec

from coordinator.store.changes import End, Live


class Over(msgspec.Struct, frozen=True):
    """A job that ended, as it was before, how, and when."""

    job: Live
    end: End
    at: datetime


class Ends(msgspec.Struct, frozen=True):
    """The kinds of the parked jobs that were let in, and the jobs that are over."""

    let_in: set[int]
    over: list[Over]
