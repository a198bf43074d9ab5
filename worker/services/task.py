"""Windows: a task of the Task Scheduler that starts when its user logs on."""

from pathlib import Path
from subprocess import list2cmdline
from typing import Final
from xml.sax.saxutils import escape

from worker.services.plan import NAME, SAYS_SO, Plan, ServiceError, Starting, one_line

TASK: Final = "Hive worker"
_TEMPLATE: Final = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{says_so}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>8</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>5</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>conhost.exe</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def task(starting: Starting, user: str) -> str:
    """The task's XML; whether the battery may be used is the worker's own rule. Raises ServiceError."""
    return _TEMPLATE.format(says_so=escape(SAYS_SO), user=escape(user), arguments=escape(_arguments(starting)))


def plan(starting: Starting, user: str) -> Plan:
    """For this user, named as DOMAIN\\name. The file stays in HIVE_HOME, so that it is known what was installed."""
    file = starting.home / f"{NAME}.xml"
    return Plan(
        file=file,
        content=task(starting, user).encode("utf-16"),
        probe=["schtasks", "/query", "/fo", "list"],
        renew=[["schtasks", "/end", "/tn", TASK]],
        start=[
            ["schtasks", "/create", "/tn", TASK, "/xml", str(file), "/f"],
            ["schtasks", "/run", "/tn", TASK],
        ],
        stop=[["schtasks", "/delete", "/tn", TASK, "/f"]],
        tidy=[],
        without="the Task Scheduler does not answer; start the service named Task Scheduler and run this again",
        hint="It runs while you are logged on; `hive worker status` shows what it does.",
    )


def _arguments(starting: Starting) -> str:
    """For conhost, which runs the worker without a window. A task has no environment, so Python sets HIVE_HOME itself;
    the scheduler expands percent signs, so none may be left."""
    home = _literal(starting.home)
    code = f"import os; os.environ['HIVE_HOME'] = {home}; from shared.cli import main; main(['worker', 'join'])"
    if "%" in str(starting.python):
        raise ServiceError(
            f"a task cannot start {starting.python}: its path has a percent sign; install Hive elsewhere"
        )
    return list2cmdline(["--headless", one_line(starting.python), "-P", "-c", code])


def _literal(path: Path) -> str:
    """The path as a Python string without quotation marks and percent signs of its own."""
    text = one_line(path)
    return "'" + "".join(c if c.isalnum() or c in " .,:_-/+@()" else f"\\U{ord(c):08x}" for c in text) + "'"
