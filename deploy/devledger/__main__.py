"""The command `python -m deploy.devledger`."""

import argparse
import asyncio
import json
import os
import re
import sys
from pathlib import Path

from deploy.devledger.network import DEFAULT_PASSPHRASE
from deploy.devledger.serving import Plan, Running, run
from deploy.devledger.store import UnusableStoreError

MANUAL = "manual"


def close_interval(text: str) -> float | None:
    """Read `1s`, `200ms` or `manual`; None means that ledgers close only when told. Raise ArgumentTypeError."""
    if text == MANUAL:
        return None
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text)
    seconds = float(parts[1]) / (1_000 if parts[2] == "ms" else 1) if parts else 0.0
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a time like 1s or 200ms nor {MANUAL!r}")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="devledger", description="A local Stellar ledger with Horizon's face, on loopback only."
    )
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="SQLite file that holds the ledger")
    parser.add_argument("--passphrase", default=DEFAULT_PASSPHRASE, help="name of the network")
    parser.add_argument("--close", type=close_interval, default="1s", help="close a ledger so often, or `manual`")
    parser.add_argument("--ready-file", type=Path, help="written as JSON, mode 600, once the port answers")
    return parser


def _announce(running: Running, ready_file: Path | None) -> None:
    if ready_file is not None:
        facts = {"url": running.url, "network_passphrase": running.passphrase, "pid": os.getpid()}
        unfinished = ready_file.with_name(ready_file.name + ".new")
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(facts))
        unfinished.replace(ready_file)
    print(f"devledger: a local ledger at {running.url} ({running.passphrase})", flush=True)


def main() -> int:
    """Run the ledger until a signal ends it; 1 when it cannot start."""
    options = _parser().parse_args()
    options.data.parent.mkdir(parents=True, exist_ok=True)
    plan = Plan(options.port, options.data, options.passphrase, options.close)
    try:
        asyncio.run(run(plan, lambda running: _announce(running, options.ready_file)))
    except (UnusableStoreError, OSError) as error:
        print(f"devledger: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # Ctrl-C: the server has ended in good order before it comes here
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
