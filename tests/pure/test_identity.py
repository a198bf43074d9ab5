"""One identity a home: made once, private, and never used when damaged."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.crypto import public_key
from worker.identity import IdentityError, existing_identity, identity
from worker.known import KnownError, pin, pinned_key


def test_it_is_made_once_and_stays(tmp_path: Path) -> None:
    first = identity(tmp_path, now=5, entropy=b"1" * 32)
    assert identity(tmp_path, now=6, entropy=b"2" * 32) == first
    assert existing_identity(tmp_path).created_at == 5
    assert public_key(first.key) == first.pk


def test_the_file_has_the_three_fields_and_mode_600(tmp_path: Path) -> None:
    identity(tmp_path, now=5, entropy=b"1" * 32)
    file = tmp_path / "identity.json"
    assert set(json.loads(file.read_text())) == {"pk", "sk", "createdAt"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert [f.name for f in tmp_path.iterdir()] == ["identity.json"]


def test_two_starts_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: identity(tmp_path, now=n, entropy=bytes([n]) * 32).pk, range(8)))
    assert len(set(made)) == 1


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    identity(tmp_path, now=5, entropy=b"1" * 32)
    (tmp_path / "identity.json").chmod(0o640)
    with pytest.raises(IdentityError, match="chmod 600"):
        existing_identity(tmp_path)


@pytest.mark.parametrize("content", ["{", '{"pk": "00", "sk": "zz", "createdAt": 1}'])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "identity.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(IdentityError, match="damaged"):
        existing_identity(tmp_path)


def test_two_keys_that_are_no_pair_are_refused(tmp_path: Path) -> None:
    identity(tmp_path, now=5, entropy=b"1" * 32)
    file = tmp_path / "identity.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "sk": "22" * 32}))
    with pytest.raises(IdentityError, match="not a pair"):
        existing_identity(tmp_path)


def test_none_yet_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="hive worker join"):
        existing_identity(tmp_path)


def test_the_key_is_not_in_its_repr(tmp_path: Path) -> None:
    who = identity(tmp_path, now=5, entropy=b"1" * 32)
    assert bytes(who.key).hex() not in repr(who)


def test_the_first_key_of_a_coordinator_stays_pinned(tmp_path: Path) -> None:
    pin(tmp_path, "a:1", "aa")
    pin(tmp_path, "a:1", "bb")
    pin(tmp_path, "b:1", "cc")
    assert [pinned_key(tmp_path, host) for host in ("a:1", "b:1", "c:1")] == ["aa", "cc", None]


def test_a_damaged_list_of_coordinators_is_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "known_coordinators.json").write_text("[]")
    with pytest.raises(KnownError, match="damaged"):
        pinned_key(tmp_path, "a:1")
