"""What a model may be called, and how its files are named after it."""

import hashlib
import re
from typing import Final

from shared.catalogue import catalogue

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,127}")
_NOT_IN_NAME: Final = re.compile(r"[^a-z0-9._-]+")


def fault_of_id(name: str) -> str | None:
    """Why a model that is not bundled cannot have this id, as a sentence without its full stop; None if it can."""
    if not _ID.fullmatch(name):
        return f"{name!r} cannot be a model's id: it takes a-z, 0-9 and . _ : / -; choose one with --id"
    if name in catalogue():
        return f"{name} is the id of a bundled model; choose another one with --id"
    return None


def plain(name: str) -> str:
    """A name with a dash for everything that the name of a file should not hold."""
    return _NOT_IN_NAME.sub("-", name)


def file_stem(name: str) -> str:
    """An id as the name of a file, without its ending; two ids never share one."""
    short = plain(name)
    return short if short == name else f"{short}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"
