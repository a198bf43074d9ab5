"""The local ledger as a program: killed, ended, and its file claimed by another."""

import json
import signal
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from stellar_sdk.exceptions import BaseHorizonError, ConnectionError as SdkConnectionError

from deploy.devledger.__main__ import close_interval
from deploy.devledger.horizon.app import PATIENCE
from deploy.devledger.network import DEFAULT_PASSPHRASE
from deploy.devledger.serving import Plan, serve
from deploy.devledger.store import UnusableStoreError
from tests.machine.devhorizon_bench import ROOT, bench_at, note

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def command(data: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; give the process and the URL that it printed."""
    arguments = [sys.executable, "-m", "deploy.devledger", "--port", "0", "--data", str(data), *options]
    with subprocess.Popen(arguments, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("devledger: a local ledger at http://127.0.0.1:"), line
            yield process, line.split()[5]
        finally:
            process.kill()


def test_what_was_answered_as_applied_outlives_kill_9(tmp_path: Path) -> None:
    data, applied = tmp_path / "ledger.sqlite", []
    with command(data, "--close", "20ms") as (process, url), bench_at(url) as bench:
        for n in range(5):
            envelope = note(bench, ROOT, f"n{n}")
            bench.horizon.submit_transaction(envelope)
            applied.append(envelope.hash_hex())
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    with serve(Plan(data=data, close_every=None)) as node, bench_at(node.url) as bench:
        for tx_hash in applied:
            assert bench.horizon.transactions().transaction(tx_hash).call()["successful"]
        account = bench.horizon.accounts().account_id(ROOT.public_key).call()
        assert account["sequence"] == "5"
        assert list(account["data"]) == ["n0", "n1", "n2", "n3", "n4"]
        bench.must(bench.build(ROOT).append_manage_data_op("n5", b"1"), ROOT)


def test_the_command_says_when_it_is_ready_and_ends_on_sigterm(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    with command(tmp_path / "new" / "ledger.sqlite", "--ready-file", str(ready), "--close", "manual") as (process, url):
        assert json.loads(ready.read_text()) == {
            "url": url,
            "network_passphrase": DEFAULT_PASSPHRASE,
            "pid": process.pid,
        }
        assert ready.stat().st_mode & 0o777 == 0o600
        with ThreadPoolExecutor(1) as pool, bench_at(url) as bench:
            waiting = pool.submit(bench.horizon.submit_transaction, note(bench, ROOT))
            process.terminate()
            process.wait(timeout=PATIENCE / 2)
            with pytest.raises((BaseHorizonError, SdkConnectionError)):
                waiting.result()


def test_a_file_belongs_to_one_network_and_one_process(tmp_path: Path) -> None:
    data = tmp_path / "ledger.sqlite"
    with (
        serve(Plan(data=data, close_every=None)),
        pytest.raises(UnusableStoreError, match="locked"),
        serve(Plan(data=data, close_every=None)),
    ):
        pass
    with (
        pytest.raises(UnusableStoreError, match="it holds the network"),
        serve(Plan(data=data, passphrase="Another network", close_every=None)),
    ):
        pass
    (tmp_path / "rubbish").write_bytes(b"no database " * 500)
    with (
        pytest.raises(UnusableStoreError, match="not a database"),
        serve(Plan(data=tmp_path / "rubbish", close_every=None)),
    ):
        pass


def test_the_pace_of_closing_is_read_as_it_is_written() -> None:
    assert [close_interval(text) for text in ("1s", "0.5s", "200ms", "manual")] == [1.0, 0.5, 0.2, None]
    for text in ("", "0s", "1", "-1s", "1m", "never"):
        with pytest.raises(ArgumentTypeError):
            close_interval(text)
