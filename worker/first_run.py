"""The first `hive worker join` of a home: three questions at most, each with a good answer ready, and config.toml."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from shared.errors import HiveError
from shared.files import write_private
from shared.words import size
from worker.places import City, PlaceError, cell_of_words
from worker.settings import FILE, SettingsError, websocket_url

AMOUNTS: Final = ("a little", "half", "all")
_SHARE: Final = {"a little": 4, "half": 2}
_NICE: Final = {"a little": 15, "half": 10, "all": 5}
COORDINATOR: Final = "http://127.0.0.1:8080"


class Found(msgspec.Struct, frozen=True):
    """What is known before anybody was asked: cores, bytes of memory, and the city of the machine's time zone."""

    cores: int
    memory: int
    city: City | None


class NoAnswerError(HiveError):
    """A question has no answer; the message says how to give it."""

    code = "no_answer"
    retryable = False


class Answers(msgspec.Struct, frozen=True):
    """What the owner said: the coordinator's address, the H3 cell as text, and one of AMOUNTS."""

    coordinator: str
    cell: str
    amount: str


def ask(
    found: Found, given: dict[str, Any], question: Callable[[str, str], str], say: Callable[[str], None]
) -> Answers:
    """Asks for what is not `given` already. `question` gets the words and the answer that stands ready, and gives what was
    typed (empty: that answer); `say` tells what is wrong with an answer before it is asked for again."""

    def until(words: str, ready: str, read: Callable[[str], str]) -> str:
        while True:
            try:
                return read(question(words, ready).strip() or ready)
            except (SettingsError, PlaceError) as error:
                say(f"{error.message}.")

    coordinator = given.get("coordinator") or until("Which coordinator", COORDINATOR, _address)
    city = str(found.city) if found.city else ""
    cell = given.get("cell") or until("Where is this machine (a city, or latitude, longitude)", city, cell_of_words)
    return Answers(coordinator, cell, until("How much of it may Hive use: a little, half or all", "half", _amount))


def ready_answers(found: Found, given: dict[str, Any]) -> Answers:
    """The answers of somebody who presses Enter three times; raises NoAnswerError where nothing tells the place."""
    if not given.get("cell") and found.city is None:
        raise NoAnswerError("the time zone does not tell where this machine is; say it with --cell, or --lat and --lon")
    return ask(found, given, lambda _words, ready: ready, lambda _: None)


def config(answers: Answers, found: Found) -> str:
    """The config.toml of these answers."""
    share = _SHARE.get(answers.amount)
    lines = [
        "# Written by the first `hive worker join`; what else can stand here is in docs/WORKER.md.",
        "[worker]",
        f"coordinator = {json.dumps(answers.coordinator, ensure_ascii=False)}",
        f'cell = "{answers.cell}"',
        f"slots = {4 if share is None else 4 // share}",
        f"threads = {0 if share is None else max(1, found.cores // share)}",
        "",
        "[worker.when]",
        f"idle_only = {'true' if answers.amount == 'a little' else 'false'}",
        "",
        "[worker.limits]",
        f"nice = {_NICE[answers.amount]}",
    ]
    if share is not None:
        lines.append(f'memory = "{size(found.memory // share).replace(" ", "")}"')
    return "\n".join(lines) + "\n"


def write(home: Path, answers: Answers, found: Found) -> Path:
    """Writes config.toml, mode 600, and tells where it is."""
    write_private(home / FILE, config(answers, found).encode())
    return home / FILE


def _address(typed: str) -> str:
    websocket_url(typed)
    return typed


def _amount(typed: str) -> str:
    fitting = [amount for amount in AMOUNTS if amount.removeprefix("a ").startswith(typed.lower().removeprefix("a "))]
    if len(fitting) != 1:
        raise SettingsError(f'"{typed[:20]}" is none of: a little, half, all')
    return fitting[0]
