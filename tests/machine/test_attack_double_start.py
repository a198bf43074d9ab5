"""Two starts at once. Two swarms on one data directory: the second is refused in a sentence, and the first never hears of
it. Two coordinators of a fleet on an empty folder of secrets: both have the same ones."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.layout import Layout
from deploy.swarm import Plan, SwarmFailed, running


async def test_the_second_start_is_refused_before_it_touches_anything(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "up")
    layout.make()
    layout.ready.write_text("the first one's")
    before = sorted(layout.root.rglob("*"))
    with (layout.root / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(SwarmFailed, match="in use by another Hive; stop it or choose another --data-dir"):
            async with running(layout, Plan(0, [], [], "hive-nano"), lambda *_: None):
                pytest.fail("it came up")
    assert layout.ready.read_text() == "the first one's"
    assert sorted(layout.root.rglob("*")) == sorted([*before, layout.root / "lock"])


_FIRST_STARTS = """
import sys
from pathlib import Path
from coordinator.settings import load_secrets
from shared.crypto import public_key
print("here", flush=True)
for line in sys.stdin:
    made = load_secrets(Path(line.strip()))
    print(public_key(made.server_key), made.pepper.hex(), made.admin_key, flush=True)
"""


def test_coordinators_that_start_at_once_on_an_empty_folder_have_the_same_secrets(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", _FIRST_STARTS]
    starting = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for one in starting:
            assert one.stdout is not None
            assert one.stdout.readline() == "here\n"
        for number in range(40):
            for one in starting:
                assert one.stdin is not None
                one.stdin.write(f"{tmp_path / str(number)}\n")
                one.stdin.flush()
            first, second = (one.stdout.readline() for one in starting if one.stdout is not None)
            assert first == second
            assert len(first.split()) == 3
            assert len(list((tmp_path / str(number)).iterdir())) == 3
    finally:
        for one in starting:
            one.kill()
            one.communicate()
