"""Linux: a systemd user unit that may read the machine, write HIVE_HOME and speak to the network, and little else."""

from pathlib import Path
from typing import Final

from worker.services.plan import NAME, SAYS_SO, STOP_S, Plan, ServiceError, Starting, one_line

UNIT: Final = f"{NAME}.service"
_USERCTL: Final = ["systemctl", "--user"]

# ProtectKernelModules, ProtectKernelLogs, ProtectClock, PrivateDevices and CapabilityBoundingSet are not here: they drop
# capabilities that a user's own manager cannot drop, and the unit would not start (218/CAPABILITIES). What is about files
# needs a user namespace; systemd makes it, or goes on without these lines where the kernel refuses one.
_TEMPLATE: Final = """\
# {says_so}
[Unit]
Description=Hive worker: lends this machine to a swarm
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={start}
Environment={home_variable}
Restart=on-failure
RestartSec=30
KillSignal=SIGINT
KillMode=mixed
TimeoutStopSec={stop_s}

Nice=5
CPUSchedulingPolicy=batch
IOSchedulingClass=idle
OOMScoreAdjust=500

NoNewPrivileges=yes
UMask=0077
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
{memory}
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={home}
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes

[Install]
WantedBy=default.target
"""
_NO_CODE_IN_DATA: Final = "MemoryDenyWriteExecute=yes\n"
_DRIVERS: Final = "# MemoryDenyWriteExecute is off: GPU drivers compile their kernels into memory while they run.\n"


def unit(starting: Starting) -> str:
    """The unit's text; HIVE_HOME may hold spaces, quotes, backslashes, dollars and percent signs, and Python's path all
    but what systemd itself refuses there. Raises ServiceError."""
    if found := next((letter for letter in "\"'\\$" if letter in str(starting.python)), None):
        raise ServiceError(f"systemd cannot start {starting.python}, which has a {found} in it; install Hive elsewhere")
    return _TEMPLATE.format(
        says_so=SAYS_SO,
        start=" ".join(_quoted(word) for word in (one_line(starting.python), *starting.words[1:])),
        home=_quoted(one_line(starting.home)),
        home_variable=_quoted(f"HIVE_HOME={one_line(starting.home)}"),
        memory=_DRIVERS if starting.gpu else _NO_CODE_IN_DATA,
        stop_s=STOP_S,
    )


def plan(starting: Starting, config: Path, user: str) -> Plan:
    """For the user whose configuration lies in `config` (XDG_CONFIG_HOME)."""
    return Plan(
        file=config / "systemd" / "user" / UNIT,
        content=unit(starting).encode(),
        probe=[*_USERCTL, "show-environment"],
        renew=[],
        start=[[*_USERCTL, "daemon-reload"], [*_USERCTL, "enable", UNIT], [*_USERCTL, "restart", UNIT]],
        stop=[[*_USERCTL, "disable", "--now", UNIT]],
        tidy=[[*_USERCTL, "daemon-reload"], [*_USERCTL, "reset-failed", UNIT]],
        without=f"there is no systemd session of {user} here; log in as {user} itself (not by su or sudo), or run "
        f"`loginctl enable-linger {user}` and log in again; in a container, let `hive worker join` be what it starts",
        hint=f"It runs while you are logged in; `loginctl enable-linger {user}` lets it run always. "
        f"`journalctl --user -u {NAME}` shows what it says.",
    )


def _quoted(text: str) -> str:
    """A word of a unit file: systemd unquotes it and then expands percent signs."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
