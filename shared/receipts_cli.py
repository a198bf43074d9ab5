"""`hive verify`: checks a receipt offline, with public keys alone."""

import json
import re
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from shared.crypto import fingerprint
from shared.errors import RequestError
from shared.receipt import SignedReceipt, problems

_KEY: Final = re.compile("[0-9a-f]{64}")
verify = typer.Typer(help="Check a receipt offline.", pretty_exceptions_enable=False)


@verify.command()
def check(
    receipt: Annotated[
        Path, typer.Argument(help="The receipt, as /hive/receipts/JOB answered it.", exists=True, dir_okay=False)
    ],
    coordinator_key: Annotated[
        str, typer.Option(help="The coordinator's fingerprint or public key that you trust.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Say whether both signatures hold, and whose they are; exit code 1 if one does not."""
    try:
        signed = msgspec.json.decode(receipt.read_bytes(), type=SignedReceipt)
    except msgspec.DecodeError as e:
        raise RequestError(f"{receipt} is not a receipt: {e}.") from e
    coordinator = signed.signatures.coordinator_pk
    if not _KEY.fullmatch(coordinator):
        raise RequestError(f"{receipt} is not a receipt: its coordinator_pk is not a key.")
    found = problems(signed)
    if coordinator_key and coordinator_key.lower() not in (coordinator, fingerprint(coordinator).lower()):
        found.append(f"it is countersigned by {fingerprint(coordinator)}, which is not the key that you gave")
    if as_json:
        told = {"valid": not found, "key_pinned": bool(coordinator_key), "problems": found}
        typer.echo(json.dumps({**told, "coordinator": fingerprint(coordinator), "worker": signed.receipt.worker_pk}))
    else:
        _print(signed, found, bool(coordinator_key))
    if found:
        raise typer.Exit(1)


def _print(signed: SignedReceipt, found: list[str], pinned: bool) -> None:
    console = Console(highlight=False)
    told = signed.receipt
    for problem in found:
        console.print(f"[red]✗[/red] {escape(problem)}", soft_wrap=True)
    if not found:
        place = f"{', '.join(told.jurisdictions)} ({told.evidence})"
        counts = f"attempt {told.attempt}: {told.tokens_in} + {told.tokens_out} tokens"
        console.print(f"[green]✓[/green] job {escape(told.job_id)}, {counts}")
        console.print(f"[green]✓[/green] signed by worker {told.worker_pk[:16]}… in {escape(place)}")
        console.print(f"[green]✓[/green] countersigned by coordinator {fingerprint(signed.signatures.coordinator_pk)}")
    if not pinned:
        console.print("[yellow]![/yellow] key not pinned: give --coordinator-key to know whose coordinator it is")
    if signed.inclusion is None:
        console.print("[yellow]![/yellow] not in a sealed epoch yet")
