"""Files of a data directory that something has damaged: one sentence with a way out, and what is left is not touched."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coordinator.settings import load_secrets
from deploy.ledger_setup import load_seeds
from shared.errors import RequestError

Damage = Callable[[Path], object]

DAMAGES: dict[str, Damage] = {
    "empty": lambda file: file.write_bytes(b""),
    "short": lambda file: file.write_bytes(file.read_bytes()[:10]),
    "other": lambda file: file.write_bytes(b"\xff{not ours"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["server.key", "pepper.key", "admin.key"])
def test_a_damaged_secret_is_named(tmp_path: Path, name: str, damage: str) -> None:
    made = load_secrets(tmp_path)
    assert load_secrets(tmp_path) == made
    DAMAGES[damage](tmp_path / name)
    left = (tmp_path / name).read_bytes()
    with pytest.raises(RequestError, match="is damaged; put back a copy of it"):
        load_secrets(tmp_path)
    assert (tmp_path / name).read_bytes() == left


def test_a_secret_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    load_secrets(tmp_path)
    (tmp_path / "pepper.key").chmod(0o644)
    with pytest.raises(RequestError, match="chmod 600"):
        load_secrets(tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_seeds_are_named(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "seeds.json"
    assert load_seeds(file) == load_seeds(file)
    DAMAGES[damage](file)
    with pytest.raises(RequestError, match=r"seeds\.json is damaged; put back a copy of it"):
        load_seeds(file)
