"""The coordinator's settings: file < environment < flags, and each wrong one named."""

from pathlib import Path

import pytest

from coordinator.outside.addresses import allowed
from coordinator.settings import load_settings
from shared.errors import RequestError


def test_a_flag_beats_the_environment_beats_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[coordinator]\nport = 1\nadmin_port = 1\nhost = "::1"\n')
    found = load_settings({"HIVE_PORT": "2", "HIVE_ADMIN_PORT": "2", "OTHER": "x"}, {"port": 3, "host": None}, tmp_path)
    assert (found.host, found.port, found.admin_port, found.state_dir) == ("::1", 3, 2, tmp_path / "coordinator")


def test_groups_and_proxies_can_come_from_the_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[coordinator.groups]\nDACH = "DE, AT, CH"\n')
    assert load_settings({}, {}, tmp_path).groups == {"DACH": "DE, AT, CH"}
    environ = {"HIVE_GROUPS": "benelux=BE,NL,LU; FIVE=EU,US;", "HIVE_TRUSTED_PROXIES": "10.0.0.1,::1"}
    environ |= {"HIVE_CALLBACK_ALLOW": "127.0.0.1:9000, 10.0.0.0/8"}
    found = load_settings(environ, {}, tmp_path)
    assert found.groups == {"benelux": "BE,NL,LU", "FIVE": "EU,US"}
    assert found.trusted_proxies == ["10.0.0.1", "::1"]
    assert allowed(found.callback_allow) == allowed(["10.0.0.0/8", "127.0.0.1:9000"])


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"HIVE_PORT": "many"}, "port"),
        ({"HIVE_GROUPS": "EU=US"}, "'EU'"),
        ({"HIVE_GROUPS": "MINE=ATLANTIS"}, "ATLANTIS"),
        ({"HIVE_GROUPS": "DE,AT"}, "'DE,AT'"),
        ({"HIVE_CALLBACK_ALLOW": "127.0.0.1,hooks.lan"}, "'hooks.lan'"),
    ],
)
def test_what_does_not_hold_is_named(environ: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=says):
        load_settings(environ, {}, tmp_path)
    (tmp_path / "config.toml").write_text("[coordinator\n")
    with pytest.raises(RequestError, match="not TOML"):
        load_settings({}, {}, tmp_path)
