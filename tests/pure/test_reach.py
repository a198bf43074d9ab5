"""Which Hive a client means, and that a key goes nowhere but there."""

import json
from pathlib import Path

import pytest

from shared.errors import RequestError
from shared.reach import DEFAULT_URL, Reach, base_url, reach, running_here, same_listener

HERE = {"base_url": "http://127.0.0.1:8123", "admin_url": "http://127.0.0.1:9123", "api_key": "k", "admin_key": "a"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "ready.json").write_text(json.dumps({**HERE, "pids": {}, "workers": []}))
    return tmp_path


def test_nothing_known_is_the_default_without_a_key(tmp_path: Path) -> None:
    assert running_here(tmp_path) is None
    assert reach(None, {}, tmp_path) == Reach(DEFAULT_URL, None)


def test_the_swarm_of_this_machine_is_found_with_its_key(home: Path) -> None:
    assert reach(None, {}, home) == Reach("http://127.0.0.1:8123", "k")
    assert reach("localhost:8123/v1", {}, home) == Reach("http://localhost:8123", "k")


@pytest.mark.parametrize("elsewhere", ["https://hive.example.org", "http://127.0.0.1:8124", "http://127.0.0.1:8123/a"])
def test_its_key_is_for_no_other_address(home: Path, elsewhere: str) -> None:
    assert reach(elsewhere, {}, home) == Reach(elsewhere, None)
    assert reach(None, {"HIVE_BASE_URL": elsewhere}, home) == Reach(elsewhere, None)
    assert reach(elsewhere, {"HIVE_API_KEY": "mine"}, home) == Reach(elsewhere, "mine")


def test_a_flag_beats_the_environment_which_beats_the_file(home: Path) -> None:
    named = {"HIVE_BASE_URL": "https://one.example", "HIVE_API_KEY": "mine"}
    assert reach(None, named, home) == Reach("https://one.example", "mine")
    assert reach("https://two.example", named, home) == Reach("https://two.example", "mine")
    assert reach(None, {"HIVE_BASE_URL": "", "HIVE_API_KEY": ""}, home).key == "k"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://hive.example.org/", "https://hive.example.org"),
        ("https://hive.example.org/v1/", "https://hive.example.org"),
        ("https://example.org/hive/v1", "https://example.org/hive"),
        ("hive.example.org", "https://hive.example.org"),
        ("localhost:8080", "http://localhost:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_addresses_as_people_write_them(written: str, meant: str) -> None:
    assert base_url(written) == meant


@pytest.mark.parametrize(
    "wrong", ["ftp://x", "http://", "http://a b", "http://me:pw@host", "http://host:99999", "\x1b[2J"]
)
def test_what_is_no_address_is_said_to_be_none(wrong: str) -> None:
    with pytest.raises(RequestError, match="no address of a Hive"):
        base_url(wrong)


def test_a_file_that_is_no_ready_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "ready.json").write_text("{")
    with pytest.raises(RequestError, match="is not a ready file"):
        reach(None, {}, tmp_path)


def test_two_names_of_this_machine_are_one_listener() -> None:
    assert same_listener("http://localhost:1", "http://127.0.0.1:1")
    assert not same_listener("http://localhost:1", "http://localhost:2")
    assert not same_listener("http://a.example:1", "http://b.example:1")


def test_a_key_that_cannot_be_one_is_told(home: Path) -> None:
    assert reach(None, {"HIVE_API_KEY": " mine\n"}, home).key == "mine"
    for wrong in ("ключ", "two\nlines", "\udcff"):
        with pytest.raises(RequestError, match="HIVE_API_KEY is not a key"):
            reach(None, {"HIVE_API_KEY": wrong}, home)
