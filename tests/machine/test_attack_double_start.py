"""Two swarms on one data directory: the second is refused in a sentence, and the first never hears of it."""

import fcntl
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
