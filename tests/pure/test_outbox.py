"""The outbox survives a kill at any moment, and never two results for one attempt."""

from pathlib import Path

import pytest

from shared.protocol.messages import Done
from worker.outbox import Outbox, OutboxFullError

JOB = "0f0f0f0f-5bd0-8000-8000-00000000000{}"


def done(number: int = 1, attempt: int = 1, text: str = "x") -> Done:
    receipt = {"job_id": JOB.format(number), "attempt": attempt}
    return Done(receipt=receipt, signature="00" * 64, ids=[1, 2], text=text, prefill_ms=1, decode_ms=2)


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    Outbox(tmp_path / "o").put(done())
    again = Outbox(tmp_path / "o")
    assert again.keys() == [(JOB.format(1), 1)]
    assert again.get((JOB.format(1), 1)) == done()
    assert [(h.state, h.tokens) for h in again.held()] == [("done", 2)]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    Outbox(tmp_path / "o").put(done())
    assert [f.stat().st_mode & 0o777 for f in (tmp_path / "o").iterdir()] == [0o600]


def test_an_acknowledged_result_is_gone_for_good(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(done())
    assert outbox.remove((JOB.format(1), 1))
    assert not outbox.remove((JOB.format(1), 1))
    assert Outbox(tmp_path).keys() == []


def test_the_first_result_of_an_attempt_stays(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(done(text="first"))
    outbox.put(done(text="second"))
    kept = outbox.get((JOB.format(1), 1))
    assert kept is not None
    assert kept.text == "first"


def test_a_kill_while_writing_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_descriptor: int) -> None:
        raise KeyboardInterrupt

    outbox = Outbox(tmp_path)
    outbox.put(done(1))
    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        outbox.put(done(2))
    assert Outbox(tmp_path).keys() == [(JOB.format(1), 1)]


def test_strangers_in_the_folder_and_torn_files_are_passed_over(tmp_path: Path) -> None:
    Outbox(tmp_path).put(done())
    (tmp_path / "notes.txt").write_text("mine")
    torn = tmp_path / f"{JOB.format(2)}.1.json"
    torn.write_bytes(b'{"receipt": {')
    torn.chmod(0o600)
    assert Outbox(tmp_path).keys() == [(JOB.format(1), 1)]


def test_a_full_outbox_says_so(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, most=1)
    outbox.put(done(1))
    assert outbox.full
    with pytest.raises(OutboxFullError):
        outbox.put(done(2))
