"""macOS: a launch agent of the user who is logged in."""

import plistlib
from pathlib import Path
from typing import Any, Final

from worker.services.plan import SAYS_SO, STOP_S, Plan, Starting, one_line

LABEL: Final = "org.hive-swarm.worker"
RESTART_S: Final = 30


def agent(starting: Starting) -> bytes:
    """The property list. It has no ProcessType: `Background` would keep the engine on the efficiency cores."""
    listed: dict[str, Any] = {
        "Label": LABEL,
        "ProgramArguments": [one_line(starting.python), *starting.words[1:]],
        "EnvironmentVariables": {"HIVE_HOME": one_line(starting.home)},
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": RESTART_S,
        "ExitTimeOut": STOP_S,
        "Nice": 5,
        "LowPriorityIO": True,
        "Umask": 0o077,
        "StandardOutPath": str(starting.home / "worker.log"),
        "StandardErrorPath": str(starting.home / "worker.log"),
    }
    head, _, rest = plistlib.dumps(listed).partition(b"<plist")
    return head + f"<!-- {SAYS_SO} -->\n".encode() + b"<plist" + rest


def plan(starting: Starting, user_home: Path, uid: int) -> Plan:
    """For the user with this home folder and number."""
    domain = f"gui/{uid}"
    file = user_home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    return Plan(
        file=file,
        content=agent(starting),
        probe=["launchctl", "print", domain],
        renew=[["launchctl", "bootout", f"{domain}/{LABEL}"]],
        start=[["launchctl", "bootstrap", domain, str(file)]],
        stop=[],
        tidy=[],
        without="nobody is logged in at this Mac's screen as you; log in there once and run this again",
        hint=f"It runs while you are logged in, and writes to {starting.home / 'worker.log'}.",
    )
