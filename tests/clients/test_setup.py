"""What the clients are made of is pinned, and none of them can reach another machine than this one."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.programs import HERE, ROOT, THEIRS, node

OUTSIDE = "192.0.2.1"
PYTHON = "import tests.clients.scenarios.cases, httpx; httpx.get('http://{}')"
NAMES = "import tests.clients.scenarios.cases, socket; socket.getaddrinfo('{}', 80)"
NODE = "await import('{}/scenarios/cases.mjs'); await fetch('http://{}').catch(() => null)"


def test_the_lock_of_the_python_clients_has_hashes_and_no_addresses() -> None:
    lock = (HERE / "requirements.lock").read_text()
    assert "://" not in lock
    pins = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_the_lock_of_the_node_clients_has_hashes_and_no_addresses() -> None:
    lock = json.loads((HERE / "node/package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert lock["lockfileVersion"] == 3
    assert packages
    assert [name for name, package in packages.items() if "resolved" in package or "integrity" not in package] == []


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("wanted", [PYTHON.format(OUTSIDE), NAMES.format("hive.example"), NODE.format(HERE, OUTSIDE)])
def test_a_client_that_dials_outside_ends(wanted: str, tmp_path: Path) -> None:
    program: list[str | Path] = [node(), "--input-type=module", "-e"] if wanted.startswith("await") else [THEIRS, "-c"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HIVE_URL": "", "HIVE_KEY": ""}
    told = subprocess.run(
        [*program, wanted], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=30
    )
    assert (told.returncode, "this machine alone" in told.stderr) == (70, True), told.stderr
