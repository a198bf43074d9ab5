"""`python -m deploy.release DIR --key FILE`: signs the wheels in a folder as a release that `hive worker update` takes."""

import secrets
import time
from pathlib import Path
from typing import Annotated

import typer
from nacl.signing import SigningKey

from shared.catalogue import file_digest
from shared.crypto import fingerprint, public_key
from shared.errors import HiveError
from shared.files import read_private, write_private
from shared.protocol.messages import VERSION
from shared.release import MANIFEST, PROJECT, Release, ReleaseError, ReleaseFile, signed, trusted


def release_of(folder: Path, key: SigningKey, now: int) -> bytes:
    """The signed manifest of Hive's wheels in a folder, which are all of one version; raises ReleaseError."""
    wheels = sorted(folder.glob(f"{PROJECT}-*.whl"))
    versions = {wheel.name.split("-")[1] for wheel in wheels}
    if len(versions) != 1:
        found = ", ".join(sorted(versions)) or "none"
        raise ReleaseError(f"{folder} must hold Hive's wheels of one version, and holds {found}")
    files = [ReleaseFile(wheel.name, wheel.stat().st_size, file_digest(wheel)) for wheel in wheels]
    manifest = signed(key, Release(1, versions.pop(), [VERSION], files, now, public_key(key)))
    trusted(manifest, public_key(key))
    return manifest


def signing_key(file: Path, *, make: bool) -> SigningKey:
    """The release key of a private file with 64 hex digits, made there if told so; raises ReleaseError."""
    if make:
        if file.exists():
            raise ReleaseError(f"{file} is there already, and a release key is not replaced")
        write_private(file, secrets.token_hex(32).encode() + b"\n")
    try:
        return SigningKey(bytes.fromhex(read_private(file).decode().strip()))
    except FileNotFoundError as error:
        raise ReleaseError(f"there is no key in {file}; --new-key makes one") from error
    except (PermissionError, ValueError) as error:
        raise ReleaseError(f"{file} holds no release key that is private: {error}") from error


def main(
    folder: Annotated[Path, typer.Argument(help="The folder with the wheels.", exists=True, file_okay=False)],
    key: Annotated[Path, typer.Option(help="The file of the release key.")],
    new_key: Annotated[bool, typer.Option("--new-key", help="Make the key; keep it offline.")] = False,
) -> None:
    """Write a signed release.json beside the wheels."""
    try:
        signing = signing_key(key, make=new_key)
        (folder / MANIFEST).write_bytes(release_of(folder, signing, time.time_ns() // 1_000_000))
    except HiveError as error:
        typer.echo(f"release: {error.message}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{folder / MANIFEST} is signed by {fingerprint(public_key(signing))}")


if __name__ == "__main__":
    typer.run(main)
