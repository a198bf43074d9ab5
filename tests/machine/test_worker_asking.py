"""`hive worker earnings` and `why` ask a coordinator on loopback, signed so that it knows who asks."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.processes import free_port
from shared.worker_request import HEADER, verified
from tests.machine.coordinator_double import ROME
from tests.machine.test_worker_cli import said
from tests.pure.test_worker_told import ANSWER, HASH
from worker.asking import AskingError, ask, base_url
from worker.identity import Identity, identity

WHY = {
    "registered": True, "online": False, "tier": "new", "waiting": {"jobs": 7}, "could_take": 2, "free_slots": 0,
    "reasons": [{"reason": "model", "count": 5, "sentence": "They ask for another model."}], "last_job_at": None,
}  # fmt: skip


def clock() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def coordinator(who: Identity, answers: dict[str, tuple[int, bytes]]) -> Iterator[str]:
    """Answers what is asked with this worker's signature, and 401 to anybody else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            right = verified(who.pk, self.headers[HEADER] or "", "GET", self.headers["host"], self.path, clock())
            code, body = answers[self.path.rpartition("/")[2]] if right else (401, b"{}")
            self.send_response(code)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def home_of(folder: Path, url: str) -> Identity:
    (folder / "config.toml").write_text(f'[worker]\ncell = "{ROME}"\ncoordinator = "{url}"\n')
    return identity(folder, now=0, entropy=b"\1" * 32)


OLD = {**ANSWER, "days": [{**ANSWER["days"][0], "day": "2020-01-01"}, {**ANSWER["days"][0], "day": "9999-01-01"}]}


async def test_earnings_are_told_to_the_worker_itself(tmp_path: Path) -> None:
    who = identity(tmp_path, now=0, entropy=b"\1" * 32)
    with coordinator(who, {"earnings": (200, json.dumps(OLD).encode()), "why": (200, json.dumps(WHY).encode())}) as url:
        home_of(tmp_path, url)
        code, out, err = await said(tmp_path, "earnings")
        assert (code, err) == (0, "")
        assert HASH in out
        code, out, _ = await said(tmp_path, "earnings", "--json", "--days", "1")
        assert (code, json.loads(out)["paid"]) == (0, ANSWER["paid"])
        assert [day["day"] for day in json.loads(out)["days"]] == ["9999-01-01"]
        code, out, _ = await said(tmp_path, "why")
        lines = out.splitlines()
        assert code == 0
        assert lines[0].startswith("- The worker is not running")
        assert "- 5 jobs: They ask for another model." in lines
        told = json.loads((await said(tmp_path, "why", "--json"))[1])
        assert (told["running"], told["coordinator"]["could_take"]) == (False, 2)


async def test_a_coordinator_that_is_away_is_a_sentence_of_why_and_an_error_of_earnings(tmp_path: Path) -> None:
    home_of(tmp_path, f"http://127.0.0.1:{free_port()}")
    code, out, _ = await said(tmp_path, "why")
    assert (code, "The coordinator cannot be asked" in out) == (0, True)
    code, out, err = await said(tmp_path, "earnings")
    assert (code, out, "hive worker doctor" in err, "Traceback" in err) == (1, "", True, False)


@pytest.mark.parametrize(
    ("code", "body", "says"),
    [
        (404, b"{}", "does not know this worker"),
        (503, b"{}", "answered with 503"),
        (302, b"", "answered with 302"),
        (200, b"<html>", "no JSON"),
        (200, b'"\xff"', "no JSON"),
    ],
)
def test_other_answers_are_sentences(tmp_path: Path, code: int, body: bytes, says: str) -> None:
    who = identity(tmp_path, now=0, entropy=b"\1" * 32)
    with coordinator(who, {"earnings": (code, body)}) as url, pytest.raises(AskingError, match=says):
        ask(url, who, "earnings", clock)


def test_another_workers_key_or_an_old_clock_is_not_accepted(tmp_path: Path) -> None:
    who = identity(tmp_path / "a", now=0, entropy=b"\1" * 32)
    other = identity(tmp_path / "b", now=0, entropy=b"\2" * 32)
    with coordinator(who, {"earnings": (200, b"{}")}) as url:
        assert ask(url, who, "earnings", clock) == {}
        with pytest.raises(AskingError, match="signature"):
            ask(url, other, "earnings", clock)
        with pytest.raises(AskingError, match="clock"):
            ask(url, who, "earnings", lambda: clock() - 200_000)


def test_where_a_coordinator_answers_http() -> None:
    assert base_url("hive.example.org") == "https://hive.example.org"
    assert base_url("wss://hive.example.org:8443/") == "https://hive.example.org:8443"
    assert base_url("http://127.0.0.1:8080") == "http://127.0.0.1:8080"
