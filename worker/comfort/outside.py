"""Programs of the system that know what we do not: run for at most two seconds, their words or nothing."""

import subprocess
import sys
from collections.abc import Callable
from typing import Final

Said = Callable[..., str | None]
PATIENCE_S: Final = 2.0
_NO_WINDOW: Final = 0x0800_0000 if sys.platform == "win32" else 0


def said(*words: str) -> str | None:
    """What the program prints; None where it is missing, fails or takes too long."""
    try:
        run = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=PATIENCE_S, check=True, creationflags=_NO_WINDOW,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.decode("utf-8", "replace")
