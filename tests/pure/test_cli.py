"""The command line: its own help, one sentence for what goes wrong, exit codes that scripts can read."""

import json
import socket
from pathlib import Path

import msgspec
import pytest
from nacl.signing import SigningKey

from shared.cli import main
from shared.crypto import fingerprint, public_key
from shared.receipt import Receipt, Signatures, SignedReceipt, countersign, sign_receipt

WORKER, COORDINATOR = SigningKey(b"w" * 32), SigningKey(b"c" * 32)
HASH = "0" * 64


def signed() -> SignedReceipt:
    receipt = Receipt(
        version=1, job_id="00000000-0000-4000-8000-000000000000", attempt=1, model_digest=HASH, engine_build="b",
        sampler="hive-sampler-1", seed_commitment=HASH, prompt_hash=HASH, result_hash=HASH, chain_head=HASH, tokens_in=3,
        tokens_out=5, finish_reason="stop", started_at=1, finished_at=2, cell="841e805ffffffff", jurisdictions=["IT"],
        evidence="claimed", verifiability="seeded", geo_digest=HASH, worker_pk=public_key(WORKER),
    )  # fmt: skip
    worker = sign_receipt(WORKER, receipt)
    return SignedReceipt(
        receipt, Signatures(worker, countersign(COORDINATOR, receipt, worker), public_key(COORDINATOR))
    )


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(args)
    code = ended.value.code
    return code if isinstance(code, int) else 0


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("coordinator", "demo", "keys", "up", "verify", "worker"))


def test_a_good_receipt_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.json").write_bytes(msgspec.json.encode(signed()))
    assert run("verify", str(tmp_path / "r.json"), "--coordinator-key", fingerprint(public_key(COORDINATOR))) == 0
    shown = capsys.readouterr().out
    assert "3 + 5 tokens" in shown
    assert "not pinned" not in shown


def test_without_a_pinned_key_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.json").write_bytes(msgspec.json.encode(signed()))
    assert run("verify", str(tmp_path / "r.json")) == 0
    assert "key not pinned" in capsys.readouterr().out


@pytest.mark.parametrize(("old", "new"), [('"tokens_out":5', '"tokens_out":6'), ('"attempt":1', '"attempt":2')])
def test_a_changed_receipt_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str) -> None:
    (tmp_path / "r.json").write_text(msgspec.json.encode(signed()).decode().replace(old, new))
    assert run("verify", str(tmp_path / "r.json"), "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] is False
    assert len(told["problems"]) == 2


def test_another_coordinators_key_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.json").write_bytes(msgspec.json.encode(signed()))
    assert run("verify", str(tmp_path / "r.json"), "--coordinator-key", public_key(WORKER)) == 1
    assert "not the key that you gave" in capsys.readouterr().out


def test_garbage_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.json").write_text("{")
    assert run("verify", str(tmp_path / "r.json")) == 1
    assert "is not a receipt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("up", "--workers", "2", "--worker-cells", "871e8052affffff"), "1 cells for 2 workers"),
        (("up", "--workers", "1", "--worker-cells", "nonsense"), "--worker-cells"),
        (("up", "--workers", "1", "--worker-tiers", "king"), "--worker-tiers"),
        (("keys", "create", "--expires", "soon"), "--expires soon is no time"),
    ],
)
def test_a_wrong_option_is_one_sentence(args: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*args) == 1
    shown = capsys.readouterr().err
    assert words in shown
    assert "Traceback" not in shown


def test_without_a_swarm_keys_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HIVE_HOME", str(tmp_path))
    monkeypatch.delenv("HIVE_ADMIN_URL", raising=False)
    assert run("keys", "list") == 1
    assert "hive up" in capsys.readouterr().err


def test_a_receipt_by_what_is_no_key_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = signed()
    signatures = msgspec.structs.replace(good.signatures, coordinator_pk="nobody")
    (tmp_path / "r.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(good, signatures=signatures)))
    assert run("verify", str(tmp_path / "r.json")) == 1
    assert "is not a key" in capsys.readouterr().err.replace("\n", " ")


def test_the_words_of_others_are_printed_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crafted = msgspec.structs.replace(signed().receipt, job_id="[/oops]")
    worker = sign_receipt(WORKER, crafted)
    signatures = Signatures(worker, countersign(COORDINATOR, crafted, worker), public_key(COORDINATOR))
    file = tmp_path / "[red]r.json"
    file.write_bytes(msgspec.json.encode(SignedReceipt(crafted, signatures)))
    assert run("verify", str(file)) == 0
    assert "[/oops]" in capsys.readouterr().out
    file.write_text("nothing")
    assert run("verify", str(file)) == 1
    assert f"hive: {file} is not a receipt" in capsys.readouterr().err


def test_a_folder_that_is_none_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert run("up", "--data-dir", str(file), "--port", "0") == 1
    told = capsys.readouterr().err
    assert told.startswith("hive: ")
    assert str(file) in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--worker-cells", "851e8053fffffff", "--workers", "1"], "too coarse"),
        (["--model", "gpt-7"], "hive-nano"),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_starts(
    tmp_path: Path, args: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("up", "--data-dir", str(tmp_path / "up"), "--port", "0", *args) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "up").exists()
    assert run("up", "--port", "70000") == 2


def test_a_port_that_is_taken_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run("up", "--data-dir", str(tmp_path / "up"), "--port", port) == 1
    assert f"Port {port} is taken" in capsys.readouterr().err
    assert not (tmp_path / "up" / "postgres" / "lock").exists()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("coordinator = 5", "must be a table"),
        ("\xff", "is not TOML"),
        ('[coordinator]\nlog_level = "loud"', "log_level"),
        ("[coordinator]\npay_held_jobs = -5", "pay_held_jobs"),
        ('[coordinator]\ndatabase_url = "foo"', "HIVE_DATABASE_URL"),
        ('[coordinator]\ndatabase_url = "mysql://x/y"', "HIVE_DATABASE_URL"),
    ],
)
def test_settings_that_do_not_hold_are_one_sentence(
    tmp_path: Path, settings: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HIVE_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_bytes(settings.encode("latin-1"))
    assert run("coordinator", "migrate") == 1
    told = capsys.readouterr().err
    assert told.startswith("hive: ")
    assert says in told
