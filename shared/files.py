"""Files that must be whole and private: written beside, fsynced, renamed."""

import os
import secrets
from pathlib import Path


def write_private(file: Path, content: bytes) -> None:
    """Replaces the file in one step, mode 600; its folder is made with mode 700 if it is missing."""
    try:
        _replace(file, content)
    except OSError as error:
        error.filename = error.filename or str(file)  # a full disk is told without one, and nobody knows what failed
        raise


def _replace(file: Path, content: bytes) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def make_private(file: Path, content: bytes) -> None:
    """Makes the file whole and private in one step, as `write_private` does; where another process was first, its file stays."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    write_private(beside, content)
    try:
        os.link(beside, file)
    except FileExistsError:
        return
    finally:
        beside.unlink(missing_ok=True)


def read_private(file: Path) -> bytes:
    """The file's content; raises PermissionError with a way out if others may read it."""
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise PermissionError(f"{file} holds a secret and others may read it; run: chmod 600 {file}")
    return file.read_bytes()
