"""Where Hive keeps its state on this machine."""

import os
from pathlib import Path


def hive_home() -> Path:
    """`HIVE_HOME`, else `~/.hive`; it need not exist yet."""
    return Path(os.environ.get("HIVE_HOME") or "~/.hive").expanduser()
