"""The worker's settings: file < environment < flags, and each wrong one named."""

from pathlib import Path
from typing import Any

import pytest

from shared.crypto import fingerprint
from shared.geo.cells import cell_of, format_cell
from worker.settings import SettingsError, fits_pin, settings, websocket_url

ROME = format_cell(cell_of(41.9, 12.5))


def test_a_flag_beats_the_environment_beats_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'[worker]\ncell = "{ROME}"\nslots = 2\nthreads = 2\nmax_tps = 9.5\n')
    found = settings(tmp_path, {"HIVE_SLOTS": "3", "HIVE_THREADS": "3", "OTHER": "x"}, {"slots": 4, "handle": None})
    assert (found.cell, found.slots, found.threads, found.max_tps) == (ROME, 4, 3, 9.5)


def test_lists_and_switches_can_come_from_the_environment(tmp_path: Path) -> None:
    found = settings(tmp_path, {"HIVE_CELL": ROME, "HIVE_MODELS": "a, b", "HIVE_JOBS": "false"}, {})
    assert (found.models, found.jobs) == (("a", "b"), False)


def test_a_finer_cell_is_read_at_seven(tmp_path: Path) -> None:
    assert settings(tmp_path, {}, {"cell": "8a1e8052ac8ffff"}).cell.startswith("871e8052a")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({}, "where this machine is"),
        ({"cell": "nowhere"}, "no H3 cell"),
        ({"cell": "841e805ffffffff"}, "too coarse"),
        ({"slots": 0}, "slots"),
        ({"handle": "kitchen"}, "handle"),
        ({"server_key": "abc"}, "server-key"),
        ({"models": ()}, "--model"),
        ({"coordinator": "http://hive.example.org"}, "https://"),
        ({"coordinator": "ftp://x"}, "no address"),
        ({"log_level": "loud"}, "log_level"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, flags: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        settings(tmp_path, {}, {"cell": ROME, **flags} if flags else {})


def test_a_broken_file_or_an_unknown_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[worker")
    with pytest.raises(SettingsError, match=r"config\.toml is not TOML"):
        settings(tmp_path, {}, {"cell": ROME})
    (tmp_path / "config.toml").write_text("[worker]\nspeed = 3\n")
    with pytest.raises(SettingsError, match="speed"):
        settings(tmp_path, {}, {"cell": ROME})


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/hive/worker"),
        ("http://[::1]:8080/", "ws://[::1]:8080/hive/worker"),
        ("http://localhost", "ws://localhost/hive/worker"),
        ("https://hive.example.org", "wss://hive.example.org/hive/worker"),
        ("hive.example.org", "wss://hive.example.org/hive/worker"),
    ],
)
def test_workers_dial_by_tls_or_this_machine(address: str, url: str) -> None:
    assert websocket_url(address) == url


@pytest.mark.parametrize(
    "address",
    ["", "://", "ftp://hive.example.org", "two words", "http://127.0.0.1:port", "http://127.0.0.1:99999",
     "http://127.0.0.1:0", "http://[::1", "https://me:secret@hive.example.org", "https://hive\x1b.example.org"],
)  # fmt: skip
def test_what_is_no_address_is_said_in_a_sentence(address: str) -> None:
    with pytest.raises(
        SettingsError, match=r"is no address of a coordinator; it looks like https://hive\.example\.org"
    ):
        websocket_url(address)


def test_a_pin_is_a_key_or_its_fingerprint() -> None:
    key = "ab" * 32
    assert fits_pin("", key)
    assert fits_pin(key, key)
    assert fits_pin(fingerprint(key), key)
    assert not fits_pin("cd" * 32, key)
