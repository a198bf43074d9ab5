"""A real coordinator whose times of silence are all shorter by one factor, so that a minute of chaos holds more of it:
`python -m tests.bench.chaos_coordinator FACTOR [PLANT]`. PLANT takes out the clause that fences late results."""

import os
import sys

from coordinator.queue import limits


def quicken(factor: int) -> None:
    """Shortens what later imports read, so it comes before all of them."""
    assert "coordinator.dispatch.state" not in sys.modules, "too late: the times were read"
    for name in ("LEASE", "READER", "HANDOVER", "NO_PROGRESS"):
        setattr(limits, name, getattr(limits, name) / factor)
    from coordinator.dispatch import state  # noqa: PLC0415 - see above

    for name in ("SILENCE_MS", "QUIET_MS", "HEARTBEAT_MS"):
        setattr(state, name, getattr(state, name) // factor)
    from coordinator.dispatch import watch  # noqa: PLC0415 - it reads the state's

    setattr(watch, "RENEW_EVERY", watch.RENEW_EVERY / factor)  # noqa: B010 - a constant to all others


def main() -> None:
    """Serves until SIGTERM."""
    quicken(int(sys.argv[1]))
    if sys.argv[2:] == ["plant"]:
        from tests.bench.chaos_plant import unfenced  # noqa: PLC0415 - after the times

        unfenced()
    from coordinator.app import serve_until_stopped  # noqa: PLC0415 - after the times
    from coordinator.settings import load_settings  # noqa: PLC0415 - after the times
    from shared.home import hive_home  # noqa: PLC0415 - after the times
    from shared.processes import run_server  # noqa: PLC0415 - after the times

    run_server(serve_until_stopped(load_settings(os.environ, {}, hive_home())))


if __name__ == "__main__":
    main()
