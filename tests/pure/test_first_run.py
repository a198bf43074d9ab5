"""The first run's three questions: what is asked, what is asked again, and what is written."""

from pathlib import Path

import pytest

from shared.geo.cells import cell_of, format_cell, parse_cell
from shared.geo.index import countries
from worker.first_run import Answers, Found, NoAnswerError, ask, config, ready_answers, write
from worker.places import PlaceError, cell_of_words, cities, city_of_zone, local_zone
from worker.settings import settings

ROME = next(city for city in cities() if city.name == "Rome")
FOUND = Found(8, 16 * 10**9, ROME)


def asked(typed: list[str], **given: str) -> tuple[Answers, list[str], list[str]]:
    """The answers to what was typed, the questions, and what was said of wrong answers."""
    left = list(typed)
    questions: list[str] = []
    said: list[str] = []

    def question(words: str, ready: str) -> str:
        questions.append(f"{words} [{ready}]")
        return left.pop(0)

    answers = ask(FOUND, given, question, said.append)
    assert left == []
    return answers, questions, said


def test_enter_three_times_is_an_answer() -> None:
    answers, questions, said = asked(["", "", ""])
    assert answers == Answers("http://127.0.0.1:8080", ROME.cell, "half") == ready_answers(FOUND, {})
    assert (len(questions), said) == (3, [])
    assert "[Rome, IT]" in questions[1]


def test_what_is_given_is_not_asked() -> None:
    answers, questions, _ = asked(["a"], coordinator="https://hive.example", cell="871e8052affffff")
    assert answers.cell == "871e8052affffff"
    assert len(questions) == 1


def test_a_wrong_answer_is_explained_and_asked_again() -> None:
    answers, _, said = asked(["ftp://x", "hive.example", "Atlantis", "Cambridge", "cambridge, gb", "most", "ALL"])
    assert (answers.coordinator, answers.amount) == ("hive.example", "all")
    assert [len(line.splitlines()) for line in said] == [1, 1, 1, 1]
    assert "Cambridge, GB; Cambridge, US" in said[2]


@pytest.mark.parametrize(
    ("amount", "slots", "threads", "memory", "idle"),
    [("a little", 1, 2, 4 * 10**9, True), ("half", 2, 4, 8 * 10**9, False), ("all", 4, 0, 0, False)],
)
def test_what_is_written_is_read_back(
    tmp_path: Path, amount: str, slots: int, threads: int, memory: int, idle: bool
) -> None:
    file = write(tmp_path, Answers('https://hive.example/"x', ROME.cell, amount), FOUND)
    assert file.stat().st_mode & 0o777 == 0o600
    found = settings(tmp_path, {}, {})
    assert (found.coordinator, found.cell) == ('https://hive.example/"x', ROME.cell)
    assert (found.slots, found.threads, found.limits.memory, found.when.idle_only) == (slots, threads, memory, idle)


def test_one_core_is_never_none() -> None:
    assert "threads = 1" in config(Answers("x", ROME.cell, "a little"), Found(1, 10**9, None))


def test_without_a_place_there_is_no_answer_ready() -> None:
    with pytest.raises(NoAnswerError, match="--cell"):
        ready_answers(Found(1, 1, None), {})
    assert ready_answers(Found(1, 1, None), {"cell": ROME.cell}).cell == ROME.cell


@pytest.mark.parametrize(
    ("words", "place"),
    [("rome", (ROME.latitude, ROME.longitude)), ("Lodz", (51.76, 19.46)), ("ZURICH, CH", None), ("41.9,12.5", (41.9, 12.5)),
     ("-33.9 18.4", (-33.9, 18.4)), ("871e8052affffff", None), ("São Paulo", None), ("sao paulo", None)],
)  # fmt: skip
def test_places_in_words(words: str, place: tuple[float, float] | None) -> None:
    cell = cell_of_words(words)
    assert place is None or cell == format_cell(cell_of(*place))


@pytest.mark.parametrize("words", ["", "Atlantis", "91,0", "0,181", "1,2,3", "841e805ffffffff", "Rome, DE"])
def test_words_that_are_no_place(words: str) -> None:
    with pytest.raises(PlaceError):
        cell_of_words(words)


def test_every_city_is_in_its_country_and_has_one_name_there() -> None:
    assert [str(city) for city in cities() if city.country not in countries(parse_cell(city.cell))] == []
    names = [str(city).casefold() for city in cities()]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_the_time_zone_is_the_machines_own(tmp_path: Path) -> None:
    assert local_zone({"TZ": ":Europe/Rome"}, tmp_path) == "Europe/Rome"
    assert local_zone({}, tmp_path) is None
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert local_zone({"TZ": "/etc/localtime"}, tmp_path) == "Asia/Tokyo"
    (tmp_path / "localtime").symlink_to("/var/db/timezone/zoneinfo/Europe/Rome")
    assert city_of_zone(local_zone({}, tmp_path)) == ROME
    assert city_of_zone("Mars/Base") is None
    assert city_of_zone(None) is None
