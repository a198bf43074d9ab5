"""A release from its maker's folder to an installed wheel: by a folder and by HTTP, whole, changed, cut off and older."""

import base64
import hashlib
import http.server
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from nacl.signing import SigningKey
from packaging.tags import sys_tags
from typer.testing import CliRunner

from deploy.release import release_of, signing_key
from shared.crypto import public_key
from shared.release import MANIFEST, MOST_BYTES, Release, ReleaseError, chosen, trusted
from tests.machine.test_worker_cli import said
from worker import update as updating
from worker.commands.update import update
from worker.update import fetch, install, installed, manifest

ROOT = Path(__file__).resolve().parents[2]


def wheel(folder: Path, version: str, *, needs: str = "") -> Path:
    """A wheel that is named like Hive's and holds one module that knows its version."""
    info = f"hive_swarm-{version}.dist-info"
    files = {
        "hive_made_by_a_test.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: hive-swarm\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},sha256={_digest(text)},{len(text)}" for name, text in files.items()]
    file = folder / f"hive_swarm-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as packed:
        for name, text in {**files, f"{info}/RECORD": "\n".join([*rows, f"{info}/RECORD,,", ""])}.items():
            packed.writestr(name, text)
    return file


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def made(folder: Path, version: str = "9.0.0") -> tuple[Path, str]:
    """A folder with a signed release, and its key."""
    key = SigningKey(b"\1" * 32)
    folder.mkdir()
    wheel(folder, version)
    (folder / MANIFEST).write_bytes(release_of(folder, key, 0))
    return folder, public_key(key)


def got(source: str, pin: str, target: Path) -> tuple[Release, Path]:
    release = trusted(manifest(source), pin)
    target.mkdir(exist_ok=True)
    return release, fetch(source, chosen(release, map(str, sys_tags())), target)


@contextmanager
def served(folder: Path, **redirects: str) -> Iterator[str]:
    """The folder on loopback; a path that is a key of `redirects` leads to its value."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if (target := redirects.get(self.path.strip("/").partition("/")[0])) is None:
                super().do_GET()
                return
            self.send_response(302)
            self.send_header("location", target)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_release_comes_whole_from_a_folder_and_over_http(tmp_path: Path) -> None:
    folder, pin = made(tmp_path / "release")
    release, file = got(str(folder), pin, tmp_path / "a")
    assert (release.version, file.read_bytes()) == ("9.0.0", (folder / file.name).read_bytes())
    with served(folder, moved="/") as url:
        for source in (url, f"{url}/", f"{url}/{MANIFEST}"):
            assert got(source, pin, tmp_path / "b")[1].read_bytes() == file.read_bytes()


def test_a_redirection_is_followed_to_allowed_addresses_alone(tmp_path: Path) -> None:
    folder, _ = made(tmp_path / "release")
    with served(folder, here=f"/{MANIFEST}", out="http://example.org/x", round="/round") as url:
        assert manifest(f"{url}/here") == (folder / MANIFEST).read_bytes()
        with pytest.raises(ReleaseError, match=r"http://example\.org/x is not read"):
            manifest(f"{url}/out")
        with pytest.raises(ReleaseError, match="again and again"):
            manifest(f"{url}/round")
        with pytest.raises(ReleaseError, match="404"):
            manifest(f"{url}/elsewhere")


@pytest.mark.parametrize(
    "url", ["http://example.org/hive", "ftp://example.org/hive", "file:///etc", "http://127.0.0.1.example.org"]
)
def test_plain_http_is_for_this_machine_alone(url: str) -> None:
    with pytest.raises(ReleaseError, match="https address"):
        manifest(url)


def test_a_changed_a_cut_and_a_grown_wheel_are_refused(tmp_path: Path) -> None:
    folder, pin = made(tmp_path / "release")
    (file,) = folder.glob("*.whl")
    whole = file.read_bytes()
    for content, says in (
        (whole[:-1] + bytes([whole[-1] ^ 1]), "not the file that was signed"),
        (whole + b"x", "not the file that was signed"),
        (whole[:-10], "try again"),
    ):
        file.write_bytes(content)
        with pytest.raises(ReleaseError, match=says):
            got(str(folder), pin, tmp_path / "to")
    (folder / MANIFEST).write_bytes(bytes(MOST_BYTES + 1))
    with pytest.raises(ReleaseError, match="too large"):
        manifest(str(folder))


def test_the_maker_keeps_the_key_private_and_the_versions_one(tmp_path: Path) -> None:
    key = signing_key(tmp_path / "key", make=True)
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    assert bytes(signing_key(tmp_path / "key", make=False)) == bytes(key)
    with pytest.raises(ReleaseError, match="not replaced"):
        signing_key(tmp_path / "key", make=True)
    with pytest.raises(ReleaseError, match="--new-key"):
        signing_key(tmp_path / "other", make=False)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ReleaseError, match="chmod 600"):
        signing_key(tmp_path / "key", make=False)
    with pytest.raises(ReleaseError, match="holds none"):
        release_of(tmp_path, key, 0)
    wheel(tmp_path, "1.0.0")
    wheel(tmp_path, "1.1.0")
    with pytest.raises(ReleaseError, match=r"1\.0\.0, 1\.1\.0"):
        release_of(tmp_path, key, 0)


def test_the_makers_command_writes_what_a_worker_trusts(tmp_path: Path) -> None:
    wheel(tmp_path, "1.0.0")
    words = [sys.executable, "-m", "deploy.release", str(tmp_path), "--key", str(tmp_path / "key"), "--new-key"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    pin = told.stdout.split()[-1]
    assert trusted(manifest(str(tmp_path)), pin).version == "1.0.0"


async def test_a_checkout_is_told_to_pull(tmp_path: Path) -> None:
    folder, pin = made(tmp_path / "release")
    code, _, err = await said(tmp_path, "update", "--from", str(folder), "--key", pin, "--yes")
    assert (code, "git pull && make install" in err, "Traceback" in err) == (1, True, False)
    with pytest.raises(ReleaseError, match="git pull"):
        installed()
    assert "no release key is pinned" in (await said(tmp_path, "update", "--from", str(folder)))[2]


@pytest.mark.timeout(240)
def test_a_wheel_is_installed_over_an_older_one_and_not_without_what_it_needs(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"

    def version() -> str:
        words = [str(python), "-c", "import hive_made_by_a_test as it; print(it.VERSION, end='')"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout

    install(wheel(tmp_path, "1.0.0"), python)
    assert version() == "1.0.0"
    install(wheel(tmp_path, "1.1.0"), python)
    assert version() == "1.1.0"
    with pytest.raises(ReleaseError, match="no-such-package"):
        install(wheel(tmp_path, "1.2.0", needs="Requires-Dist: no-such-package>=3\n"), python)
    assert version() == "1.1.0"
    install(wheel(tmp_path, "1.1.0"), python)
    install(wheel(tmp_path, "1.0.0"), python)
    assert version() == "1.0.0"


def test_it_installs_when_told_and_only_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, pin = made(tmp_path / "release")
    done: list[bytes] = []
    monkeypatch.setenv("HIVE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(updating, "installed", lambda: "0.1.0")
    monkeypatch.setattr(updating, "install", lambda file: done.append(file.read_bytes()))
    app = typer.Typer()
    app.command()(update)
    words = ["--from", str(folder), "--key", pin]
    told = CliRunner().invoke(app, words)
    assert isinstance(told.exception, ReleaseError)
    assert ("--yes" in told.exception.message, done) == (True, [])
    told = CliRunner().invoke(app, [*words, "--yes"])
    assert (told.exit_code, done) == (0, [(folder / "hive_swarm-9.0.0-py3-none-any.whl").read_bytes()])
    assert "Hive 9.0.0 is installed" in told.stdout
    monkeypatch.setattr(updating, "installed", lambda: "9.0.1")
    assert isinstance(CliRunner().invoke(app, [*words, "--yes"]).exception, ReleaseError)
    assert CliRunner().invoke(app, [*words, "--yes", "--force"]).exit_code == 0
