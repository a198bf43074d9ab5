"""What a worker keeps of an attempt outlives a kill, and it signs for its own tokens alone."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.crypto import chain_extend, chain_start
from shared.protocol.messages import Ack, Unsigned
from shared.receipt import ShareReceipt, share_of, share_signed
from shared.shares import nothing_of
from tests.pure.protocol_pair import BODY, JOB, WORKER
from worker.jobs import Jobs
from worker.outbox import Outbox
from worker.shares import KEPT_MS, PRUNE_MS, Shares

OFFER = msgspec.structs.replace(BODY, resume_ids=[9, 9])
NOTHING = nothing_of(OFFER, engine_build="b")
IDS = [5, 70_000, 2**31 - 1, 0]
KEY = (JOB, 1)
HEAD = msgspec.json.encode(NOTHING)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def asked(tokens: int = 3, **different: Any) -> Unsigned:
    head = chain_extend(chain_start(JOB, 1), 2, IDS[:tokens]).hex()
    return msgspec.structs.replace(Unsigned(JOB, 1, tokens, head, 12), **different)


def kept(folder: Path, *parts: list[int]) -> Shares:
    shares = Shares(folder, Clock())
    writing = shares.begin(NOTHING)
    for part in parts:
        writing.add(part)
    return shares


@pytest.mark.parametrize("tokens", [0, 1, 3, 4])
def test_what_was_said_is_signed_for_by_the_next_process(tmp_path: Path, tokens: int) -> None:
    kept(tmp_path / "s", IDS[:1], IDS[1:3], IDS[3:])
    said = Shares(tmp_path / "s", Clock()).signed(asked(tokens), WORKER)
    assert said is not None
    share = msgspec.convert(said.receipt, ShareReceipt)
    assert share == share_of(NOTHING, IDS[:tokens])
    assert share_signed(share, said.signature)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    kept(tmp_path / "s", IDS)
    assert [f.stat().st_mode & 0o777 for f in (tmp_path / "s").iterdir()] == [0o600]
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "wrong",
    [
        {"chain_head": "00" * 32},
        {"tokens": 5},
        {"tokens": 2},
        {"attempt": 2},
        {"job_id": JOB[:-1] + "2"},
        {"tokens": 2**40},
    ],
)
def test_it_signs_for_nothing_that_it_did_not_make(tmp_path: Path, wrong: dict[str, Any]) -> None:
    assert kept(tmp_path, IDS).signed(msgspec.structs.replace(asked(), **wrong), WORKER) is None


@pytest.mark.parametrize("torn", [b"", b"{", b"{}\n", HEAD, HEAD + b"\n\0\0\0\5\0"])
def test_a_torn_file_is_passed_over(tmp_path: Path, torn: bytes) -> None:
    shares = kept(tmp_path, IDS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(torn)
    assert shares.signed(asked(), WORKER) is None


def test_the_same_attempt_begun_again_is_another_one(tmp_path: Path) -> None:
    shares = kept(tmp_path, IDS)
    shares.begin(NOTHING).add(IDS[:2])
    assert shares.signed(asked(3), WORKER) is None
    assert shares.signed(asked(2), WORKER) is not None


def test_a_full_disk_costs_the_share_and_not_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = Shares(tmp_path, Clock())
    writing = shares.begin(NOTHING)
    writing.add(IDS[:1])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    writing.add(IDS[1:])
    writing.add(IDS)
    writing.close()
    assert list(tmp_path.iterdir()) == []
    assert shares.signed(asked(), WORKER) is None


def test_without_its_folder_the_worker_works_on(tmp_path: Path) -> None:
    shares = Shares(tmp_path / "s", Clock())
    (tmp_path / "s").rmdir()
    shares.begin(NOTHING).add(IDS)
    shares.remove(KEY)
    assert shares.signed(asked(), WORKER) is None


def test_what_nobody_can_ask_for_any_more_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    shares = kept(tmp_path, IDS)
    clock = Clock()
    clock.now = (tmp_path / f"{JOB}.1.ids").stat().st_mtime_ns // 1_000_000 + KEPT_MS
    other = msgspec.structs.replace(NOTHING, attempt=2)
    later = Shares(tmp_path, clock)
    later.begin(other).close()
    assert shares.signed(asked(), WORKER) is not None
    clock.now += PRUNE_MS
    later.begin(other).close()
    assert shares.signed(asked(), WORKER) is None
    assert (tmp_path / "notes.txt").exists()


@pytest.mark.parametrize(
    ("verdict", "is_kept"), [("accepted", False), ("duplicate", False), ("rejected", False), ("late", True)]
)
def test_of_an_attempt_whose_result_came_too_late_the_share_may_yet_be_asked_for(
    tmp_path: Path, verdict: Any, is_kept: bool
) -> None:
    shares = kept(tmp_path / "s", IDS)
    jobs = Jobs(
        {},
        Outbox(tmp_path / "o"),
        WORKER,
        slots=1,
        say=lambda _: True,
        changed=lambda: None,
        clock=Clock(),
        shares=shares,
    )
    jobs.acknowledged(Ack(JOB, 1, verdict))
    assert (shares.signed(asked(), WORKER) is not None) is is_kept


async def test_it_answers_what_is_asked_and_tells_once_what_it_cannot_sign(tmp_path: Path) -> None:
    said: list[Any] = []

    def say(message: Any) -> bool:
        said.append(message)
        return True

    shares = kept(tmp_path / "s", IDS)
    jobs = Jobs(
        {}, Outbox(tmp_path / "o"), WORKER, slots=1, say=say, changed=lambda: None,
        clock=Clock(), shares=shares,
    )  # fmt: skip
    unable = asked(chain_head="00" * 32, attempt=2)
    await jobs.sign([unable, asked()])
    await jobs.sign([unable, asked()])
    assert [one.receipt["attempt"] for one in said] == [1, 1]
