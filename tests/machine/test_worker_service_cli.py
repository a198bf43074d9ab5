"""`hive worker install-service` as a person types it, with a systemctl that writes down what it is told."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine.coordinator_double import ROME
from worker.services import systemd
from worker.services.plan import Starting

ROOT = Path(__file__).resolve().parents[2]
UNIT = "config/systemd/user/hive-worker.service"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


async def hive(folder: Path, *words: str) -> tuple[int | None, str, str]:
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "HIVE_HOME": str(folder / "my home"),
        "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPATH": str(ROOT), "COLUMNS": "200",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from shared.cli import main; main()", "worker", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def systemctl(folder: Path, *, ends: int) -> Path:
    """A systemctl that ends with this code and says why on stderr."""
    file, told = folder / "systemctl", folder / "told"
    file.write_text(f'#!/bin/sh\necho "$*" >>{told}\necho "Failed to connect to bus" >&2\nexit {ends}\n')
    file.chmod(0o755)
    return told


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_service_comes_and_goes(tmp_path: Path) -> None:
    told = systemctl(tmp_path, ends=0)
    (tmp_path / "my home").mkdir()
    (tmp_path / "my home" / "config.toml").write_text(f'[worker]\ncell = "{ROME}"\n')
    code, out, err = await hive(tmp_path, "install-service")
    assert (code, err) == (0, "")
    assert "enable-linger" in out
    unit = (tmp_path / UNIT).read_text()
    assert f'ReadWritePaths="{tmp_path}/my home"' in unit
    assert (await hive(tmp_path, "install-service"))[0] == 0
    code, out, _ = await hive(tmp_path, "uninstall-service")
    assert (code, "is gone" in out, (tmp_path / UNIT).exists()) == (0, True, False)
    assert (await hive(tmp_path, "uninstall-service"))[1] == "No service is installed here.\n"
    assert (tmp_path / "my home" / "config.toml").exists()
    assert "--user enable hive-worker.service" in told.read_text()


async def test_a_dry_run_prints_and_touches_nothing(tmp_path: Path) -> None:
    code, out, _ = await hive(tmp_path, "install-service", "--dry-run")
    assert code == 0
    assert out.startswith(f"# {tmp_path / UNIT}\n")
    assert "NoNewPrivileges=yes" in out
    assert files(tmp_path) == []


async def test_where_there_is_no_session_or_no_place_it_says_what_to_do(tmp_path: Path) -> None:
    systemctl(tmp_path, ends=1)
    code, _, err = await hive(tmp_path, "install-service")
    assert (code, "--cell" in err) == (1, True)
    (tmp_path / "my home").mkdir()
    (tmp_path / "my home" / "config.toml").write_text(f'[worker]\ncell = "{ROME}"\n')
    code, _, err = await hive(tmp_path, "install-service")
    assert (code, "loginctl enable-linger" in err, "Failed to connect to bus" in err) == (1, True, True)
    assert "Traceback" not in err
    assert not (tmp_path / "config").exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    python = tmp_path / "my own 50% %h python"
    python.symlink_to(sys.executable)
    file = tmp_path / systemd.UNIT
    file.write_text(systemd.unit(Starting(python, tmp_path / 'a "b" %c $HOME \\d')))
    told = subprocess.run(
        ["systemd-analyze", "--user", "verify", file], env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stderr) == (0, "")
    python.unlink()
    told = subprocess.run(
        ["systemd-analyze", "--user", "verify", file], env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode != 0
