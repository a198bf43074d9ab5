"""Real processes that give way: priorities on processor and disk, of threads that run already and of those to come."""

import os
import subprocess
import sys

import psutil
import pytest

from worker.comfort.manners import give_way
from worker.settings import Limits

THREADED = """
import sys, threading
hold = threading.Event()
start = lambda: threading.Thread(target=hold.wait, daemon=True).start()
start(); start()
print("up", flush=True)
sys.stdin.readline()
start()
print("more", flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel keeps priorities by thread")
@pytest.mark.parametrize(
    ("limits", "nice", "io"),
    [
        (Limits(nice=12, ionice="idle"), 12, (psutil.IOPRIO_CLASS_IDLE, 0)),
        (Limits(nice=3, ionice="low"), 3, (psutil.IOPRIO_CLASS_BE, 7)),
    ],
)
def test_every_thread_of_an_engine_gives_way(limits: Limits, nice: int, io: tuple[int, int]) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with subprocess.Popen([sys.executable, "-c", THREADED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdout.readline()
            assert give_way(child.pid, limits)
            child.stdin.write(b"\n")
            child.stdin.flush()
            child.stdout.readline()
            threads = [thread.id for thread in psutil.Process(child.pid).threads()]
            assert len(threads) == 4
            assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {max(nice, own)}
            assert {tuple(psutil.Process(thread).ionice()) for thread in threads} == {io}
        finally:
            child.kill()


def test_a_process_that_is_gone_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert not give_way(child.pid, Limits())
