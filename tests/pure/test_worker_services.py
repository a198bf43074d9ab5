"""What each system is given so that a worker starts by itself, and that taking it back leaves nothing."""

import plistlib
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, strategies as st

from worker.services import launchd, systemd, task
from worker.services.install import install, plan_here, uninstall
from worker.services.plan import SAYS_SO, Plan, ServiceError, Starting

AWKWARD = "/data/my hive/50%/a\"b\\c$HOME's"
PLAIN = Starting(Path("/opt/hive/bin/python"), Path("/data/hive"))
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)
TASK = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}


def lines(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if line and line[0] not in "#[")
    return {name: value for name, _, value in pairs}


def as_systemd_reads(value: str) -> list[str]:
    """Unquoting as POSIX shells do inside double quotes is what systemd does to these; then its specifiers."""
    return [word.replace("%%", "%") for word in shlex.split(value)]


def test_the_unit_lets_the_worker_read_and_little_else() -> None:
    unit = lines(systemd.unit(PLAIN))
    assert as_systemd_reads(unit["ExecStart"]) == ["/opt/hive/bin/python", "-P", "-m", "shared", "worker", "join"]
    assert (unit["ProtectSystem"], unit["ProtectHome"], unit["ReadWritePaths"]) == (
        "strict",
        "read-only",
        '"/data/hive"',
    )
    assert unit["NoNewPrivileges"] == unit["PrivateTmp"] == unit["MemoryDenyWriteExecute"] == "yes"
    assert unit["SystemCallFilter"] == "@system-service"
    assert "AF_INET AF_INET6" in unit["RestrictAddressFamilies"]
    assert (unit["Nice"], unit["IOSchedulingClass"], unit["Restart"]) == ("5", "idle", "on-failure")
    assert unit["KillSignal"] == "SIGINT"
    assert int(unit["TimeoutStopSec"]) > 13


def test_a_unit_asks_for_nothing_that_a_users_manager_cannot_give() -> None:
    refused = {
        "User",
        "CapabilityBoundingSet",
        "ProtectClock",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "DynamicUser",
    }
    assert not refused & lines(systemd.unit(PLAIN)).keys()


def test_gpu_drivers_may_compile_into_memory() -> None:
    assert "MemoryDenyWriteExecute" not in lines(systemd.unit(Starting(PLAIN.python, PLAIN.home, gpu=True)))


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\"'\\$"), min_size=1), TEXT)
def test_systemd_reads_back_every_path(python: str, home: str) -> None:
    unit = lines(systemd.unit(Starting(Path("/") / python, Path("/") / home)))
    home = str(Path("/") / home)
    assert as_systemd_reads(unit["ExecStart"])[0] == str(Path("/") / python)
    for name, wanted in (("Environment", f"HIVE_HOME={home}"), ("ReadWritePaths", home)):
        quoted = unit[name]
        assert quoted[0] == quoted[-1] == '"'
        assert quoted[1:-1].replace('\\"', '"').replace("\\\\", "\\").replace("%%", "%") == wanted


@pytest.mark.parametrize("letter", ["$", '"', "'", "\\"])
def test_a_python_that_systemd_cannot_start_is_refused(letter: str) -> None:
    with pytest.raises(ServiceError, match="install Hive elsewhere"):
        systemd.unit(Starting(Path(f"/a{letter}b/python"), PLAIN.home))


def test_a_path_with_a_line_break_is_refused() -> None:
    for home in ("/a\nExecStart=/bin/sh", "/a\0b", "/a\x7f"):
        with pytest.raises(ServiceError, match="control character"):
            systemd.plan(Starting(PLAIN.python, Path(home)), Path("/c"), "ada")


def test_the_launch_agent_restarts_after_a_crash_alone_and_has_time_to_end() -> None:
    listed = plistlib.loads(launchd.agent(Starting(Path(AWKWARD), Path(AWKWARD))))
    assert listed["ProgramArguments"] == [AWKWARD, "-P", "-m", "shared", "worker", "join"]
    assert listed["EnvironmentVariables"] == {"HIVE_HOME": AWKWARD}
    assert listed["KeepAlive"] == {"SuccessfulExit": False}
    assert (listed["ExitTimeOut"], listed["Umask"], listed["RunAtLoad"]) == (20, 0o077, True)
    assert SAYS_SO.encode() in launchd.agent(PLAIN)


def test_the_windows_task_runs_for_its_user_without_a_window_or_an_end() -> None:
    plan = task.plan(PLAIN, "KITCHEN\\Ada & Bob")
    root = ET.fromstring(plan.content.decode("utf-16").partition("?>")[2])
    found = {
        tag: root.findtext(f".//t:{tag}", namespaces=TASK) for tag in ("Command", "ExecutionTimeLimit", "RunLevel")
    }
    assert found == {"Command": "conhost.exe", "ExecutionTimeLimit": "PT0S", "RunLevel": "LeastPrivilege"}
    assert {user.text for user in root.iterfind(".//t:UserId", TASK)} == {"KITCHEN\\Ada & Bob"}
    assert plan.content.startswith(b"\xff\xfe")


@given(TEXT)
def test_the_task_hands_over_every_home_and_leaves_nothing_to_expand(home: str) -> None:
    root = ET.fromstring(task.task(Starting(Path("/py"), Path("/") / home), "ada").partition("?>")[2])
    arguments = root.findtext(".//t:Arguments", namespaces=TASK) or ""
    assert "%" not in arguments
    code = arguments.partition("-c ")[2].strip('"')
    literal = code.partition("os.environ['HIVE_HOME'] = ")[2].partition("; from")[0]
    assert eval(literal) == str(Path("/") / home)


def test_a_python_that_a_task_cannot_name_is_refused() -> None:
    with pytest.raises(ServiceError, match="percent"):
        task.task(Starting(Path("/50%/python"), Path("/h")), "ada")


def test_another_system_is_told_what_to_do() -> None:
    with pytest.raises(ServiceError, match="freebsd14"):
        plan_here(Path("/h"), "freebsd14", {})
    assert plan_here(Path("/h"), "linux", {"XDG_CONFIG_HOME": "/conf"}).file == Path(
        "/conf/systemd/user/hive-worker.service"
    )


class Machine:
    """Commands as they came; those that begin like one of `failing` fail, each as often as it says."""

    def __init__(self, **failing: int) -> None:
        self.said: list[str] = []
        self.failing = failing

    def __call__(self, words: list[str]) -> str | None:
        self.said.append(words[2] if words[0] == "systemctl" else words[1])
        for name, left in self.failing.items():
            if name in words and left:
                self.failing[name] -= 1
                return "it went wrong"
        return None


def plan_in(folder: Path) -> Plan:
    return systemd.plan(PLAIN, folder, "ada")


def no_rest() -> None:
    raise AssertionError("nothing is waited for")


def test_installing_twice_is_installing_once_and_uninstalling_leaves_no_file(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    install(plan, Machine(), no_rest)
    first = plan.file.read_bytes()
    install(plan, Machine(), no_rest)
    assert plan.file.read_bytes() == first == plan.content
    machine = Machine()
    assert uninstall(plan, machine)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
    assert machine.said[0] == "show-environment"
    assert machine.said[1:] == ["disable", "daemon-reload", "reset-failed"]
    assert not uninstall(plan, machine)


def test_without_a_session_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="enable-linger ada"):
        install(plan_in(tmp_path), Machine(**{"show-environment": 1}), no_rest)
    assert list(tmp_path.iterdir()) == []


def test_what_fails_to_start_is_taken_back_unless_it_was_there_before(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    with pytest.raises(ServiceError, match=r"restart hive-worker\.service` failed: it went wrong"):
        install(plan, Machine(restart=1), no_rest)
    assert not plan.file.exists()
    install(plan, Machine(), no_rest)
    with pytest.raises(ServiceError):
        install(plan, Machine(restart=1), no_rest)
    assert plan.file.exists()


def test_an_older_agent_may_take_its_time_to_end(tmp_path: Path) -> None:
    plan = launchd.plan(PLAIN, tmp_path, 501)
    install(plan, Machine(), no_rest)
    rests: list[int] = []
    install(plan, Machine(bootstrap=3, bootout=1), lambda: rests.append(1))
    assert len(rests) == 3
    assert uninstall(plan, Machine(bootout=1))


def test_a_file_of_somebody_else_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    plan.file.parent.mkdir(parents=True)
    plan.file.write_text("[Service]\nExecStart=/mine\n")
    for act in (lambda: install(plan, Machine(), no_rest), lambda: uninstall(plan, Machine())):
        with pytest.raises(ServiceError, match="not written by Hive"):
            act()
    assert plan.file.read_text().endswith("/mine\n")


def test_a_task_is_known_again_by_its_file(tmp_path: Path) -> None:
    plan = task.plan(Starting(Path("/py"), tmp_path), "ada")
    install(plan, Machine(), no_rest)
    assert uninstall(plan, Machine())
