"""`python -m worker.doctor.devices`: what an engine process finds on this machine, as JSON on stdout.

A process of its own: a GPU driver that hangs or dies takes nothing else with it, and llama.cpp writes where it likes.
"""

import os
import subprocess
import sys
from typing import Final

import msgspec

from shared.errors import HiveError
from worker.doctor.judge import Devices
from worker.engine.child import environment

PATIENCE_S: Final = 40.0


class EngineBrokenError(HiveError):
    """llama.cpp does not start on this machine."""

    code = "engine_broken"
    retryable = False


def found_by_a_child() -> Devices:
    """Asks a child process; raises EngineBrokenError with the last line that it said."""
    try:
        told = subprocess.run(
            [sys.executable, "-m", "worker.doctor.devices"], env=environment(),
            capture_output=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return msgspec.json.decode(told.stdout, type=Devices)
    except subprocess.TimeoutExpired as error:
        raise EngineBrokenError(
            f"llama.cpp says nothing for {PATIENCE_S:.0f} s, so a GPU driver hangs; restart the machine"
        ) from error
    except msgspec.DecodeError as error:
        last = told.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {told.returncode}"]
        raise EngineBrokenError(f"llama.cpp does not start ({last[0][:200]}); install Hive anew") from error


def main() -> None:
    """Loads the backends as an engine does, and tells of them; stdout is for the answer alone."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from worker.engine.ggml import cpu_variant, engine_build, gpus, load_backends  # noqa: PLC0415 - after the redirection

    load_backends()
    with out:
        out.write(msgspec.json.encode(Devices(engine_build(), cpu_variant(), gpus())))


if __name__ == "__main__":
    main()
