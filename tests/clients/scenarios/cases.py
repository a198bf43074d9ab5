"""What every scenario program has: where Hive is, its cases, and the stage behind Hive. It can reach this machine alone."""

import asyncio
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final, TypeVar

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
URL: Final = os.environ["HIVE_URL"]
KEY: Final = os.environ["HIVE_KEY"]
MODEL: Final = "hive-nano"

Json = dict[str, Any]
Case = Callable[[], Any]
Raised = TypeVar("Raised", bound=Exception)

_told: Final = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
"""What an SDK prints goes to the errors: the first output is the stage's."""


def _stays_here(event: str, args: tuple[Any, ...]) -> None:
    """An SDK that looks for a name or dials outside of this machine ends the program, whatever it would do on an error."""
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    host = args[0] if event == "socket.getaddrinfo" else args[1][0] if isinstance(args[1], tuple) else "localhost"
    if host not in LOOPBACK:
        sys.stderr.write(f"{event} to {host}: a client may reach this machine alone\n")
        traceback.print_stack()
        os._exit(70)


sys.addaudithook(_stays_here)

_cases: Final[dict[str, list[Case]]] = {"any": [], "staged": []}


def case(check: Case) -> Case:
    """A case that holds with every model."""
    _cases["any"].append(check)
    return check


def staged(check: Case) -> Case:
    """A case in which the stage decides what is said."""
    _cases["staged"].append(check)
    return check


def raised(error: type[Raised], act: Callable[..., Any], *args: Any, **options: Any) -> Raised:
    """The error of this class that the call ends with."""
    try:
        act(*args, **options)
    except error as caught:
        return caught
    raise AssertionError(f"no {error.__name__} was raised")


def run() -> None:
    """Runs the cases of the kind that the command names and tells of each."""
    for check in _cases[sys.argv[1]]:
        error = None
        try:
            made = check()
            if inspect.iscoroutine(made):
                asyncio.run(made)
        except Exception:  # noqa: BLE001 - whatever it is, it is told, and the next case runs
            error = traceback.format_exc()
        _tell(case=check.__name__, error=error)


class Stage:
    """Behind Hive: decides what the workers do and waits for what they hear. Only in staged cases."""

    def says(self, *texts: str, chunk: int = 4, then: str = "done", late: bool = False) -> None:
        """The answers to the next requests, the last one to all that follow, in frames of `chunk` tokens. `then`: how they
        end, `done`, `held` (until it `goes_on`) or `failed`. What is `late` says nothing before it `goes_on`."""
        _ask("says", texts=texts, chunk=chunk, then=then, late=late)

    def offered(self) -> Json:
        """The next request as a worker got it, with its `job_id` and how many tokens were `said`; waits for it."""
        return _ask("offered")

    def thinks(self) -> None:
        """From now on the model is one that reasons between `<think>` and `</think>`."""
        _ask("thinks")

    def guards(self) -> None:
        """From now on the model is one that judges texts."""
        _ask("guards")

    def goes_on(self, after_s: float = 0) -> None:
        """What is held goes on to its end, once this time has passed."""
        _ask("goes_on", after_s=after_s)

    def told_of_silence(self, after_s: float) -> None:
        """Streams tell of a silence after this time."""
        _ask("told_of_silence", after_s=after_s)

    def none_offered(self) -> bool:
        """Whether no worker got a request that was not asked about yet."""
        return bool(_ask("none_offered")["none"])

    def waiting(self) -> str:
        """The id of the newest job, once it waits for a worker."""
        return str(_ask("waiting")["job_id"])

    def cancelled(self, job_id: str) -> Json:
        """The job, once its worker was told to stop and it has ended."""
        return _ask("cancelled", job_id=job_id)

    def job(self, job_id: str) -> Json:
        """The job, once it has ended."""
        return _ask("job", job_id=job_id)

    def key(self, **terms: Any) -> str:
        """A new key of a new account, on these terms of the operator's."""
        return str(_ask("key", terms=terms)["key"])

    def losing(self, how: str) -> str:
        """An address of Hive that loses the first answer on its way: `cut` (the connection) or `502`."""
        return str(_ask("losing", how=how)["url"])


stage: Final = Stage()


def _ask(what: str, **terms: Any) -> Json:
    _tell(ask=what, **terms)
    answer: Json = json.loads(sys.stdin.readline())
    assert "wrong" not in answer, answer["wrong"]
    return answer


def _tell(**words: Any) -> None:
    _told.write(json.dumps(words) + "\n")
