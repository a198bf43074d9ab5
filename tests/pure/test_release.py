"""A release is trusted for its signature by the pinned key, and for nothing else."""

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from nacl.signing import SigningKey

from shared.crypto import Context, fingerprint, public_key, sign
from shared.release import Release, ReleaseError, ReleaseFile, chosen, is_pin, newer, signed, trusted
from worker.update import wanted

KEY = SigningKey(b"\1" * 32)
PK = public_key(KEY)
WHEEL = ReleaseFile("hive_swarm-0.2.0-py3-none-any.whl", 7, "ab" * 32)
RELEASE = Release(1, "0.2.0", [1], [WHEEL], 1_800_000_000_000, PK)
TAGS = ["cp311-abi3-manylinux_2_17_x86_64", "cp311-abi3-linux_x86_64", "py3-none-any"]


def of(*names: str) -> Release:
    return msgspec.structs.replace(RELEASE, files=[ReleaseFile(name, 7, "ab" * 32) for name in names])


def changed(manifest: bytes, **fields: Any) -> bytes:
    found = msgspec.json.decode(manifest)
    return msgspec.json.encode({**found, "release": {**found["release"], **fields}})


@pytest.mark.parametrize("pin", [PK, fingerprint(PK)])
def test_a_release_by_the_pinned_key_is_trusted(pin: str) -> None:
    assert trusted(signed(KEY, RELEASE), pin) == RELEASE


def test_another_key_is_named_and_refused() -> None:
    other = SigningKey(b"\2" * 32)
    with pytest.raises(ReleaseError, match=fingerprint(public_key(other))):
        trusted(signed(other, RELEASE), PK)
    forged = changed(signed(other, RELEASE), key=PK)
    with pytest.raises(ReleaseError, match="signature is wrong"):
        trusted(forged, PK)


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "0.3.0"},
        {"protocols": [2]},
        {"released_at": 1},
        {"files": [{**msgspec.to_builtins(WHEEL), "size": 8}]},
    ],
)
def test_any_change_breaks_the_signature(fields: dict[str, Any]) -> None:
    with pytest.raises(ReleaseError, match="signature is wrong"):
        trusted(changed(signed(KEY, RELEASE), **fields), PK)


def test_a_signature_for_something_else_is_none_for_a_release() -> None:
    body = msgspec.to_builtins(RELEASE)
    manifest = msgspec.json.encode({"release": body, "signature": sign(KEY, Context.OFFER, body)})
    with pytest.raises(ReleaseError, match="signature is wrong"):
        trusted(manifest, PK)


@pytest.mark.parametrize(
    "name", ["../hive_swarm-0.2.0-py3-none-any.whl", "a/b-1-c-d-e.whl", "x.tar.gz", "", "hive.whl"]
)
def test_a_file_has_a_plain_wheels_name(name: str) -> None:
    body = msgspec.to_builtins(of(name))
    manifest = msgspec.json.encode({"release": body, "signature": sign(KEY, Context.RELEASE, body)})
    with pytest.raises(ReleaseError, match="no release manifest"):
        trusted(manifest, PK)


def test_a_file_is_named_once() -> None:
    with pytest.raises(ReleaseError, match="twice"):
        trusted(signed(KEY, of(WHEEL.name, WHEEL.name)), PK)


@given(st.integers(0, 600), st.binary(max_size=4))
def test_a_cut_or_stained_manifest_is_a_sentence(at: int, stain: bytes) -> None:
    whole = signed(KEY, RELEASE)
    at %= len(whole) - 3
    for broken in (whole[:at], whole[:at] + stain + whole[at + len(stain) :]):
        with contextlib.suppress(ReleaseError):
            assert trusted(broken, PK) == RELEASE


@pytest.mark.parametrize(
    ("release", "installed", "says"),
    [
        ("0.2.0", "0.2.0", "already"),
        ("0.1.9", "0.2.0", "older"),
        ("0.9.0", "0.10.0", "older"),
        ("0.2.0", "0.2.0.dev3", "older|already"),
    ],
)
def test_going_back_needs_force(release: str, installed: str, says: str) -> None:
    with pytest.raises(ReleaseError, match=says):
        newer(release, installed, force=False)
    newer(release, installed, force=True)


def test_newer_is_by_number() -> None:
    newer("0.10.0", "0.9.0", force=False)
    newer("1.0.0", "0.9.99", force=False)


def test_the_wheel_that_fits_best_is_chosen() -> None:
    own, plain = "hive_swarm-0.2.0-cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", WHEEL.name
    assert chosen(of(plain, own), TAGS).name == own
    assert chosen(of(plain, "hive_swarm-0.2.0-cp311-abi3-win_amd64.whl"), TAGS).name == plain
    with pytest.raises(ReleaseError, match="no wheel for this system"):
        chosen(of("hive_swarm-0.2.0-cp311-abi3-win_amd64.whl"), TAGS)
    with pytest.raises(ReleaseError, match="no wheel for this system"):
        chosen(of("other-0.2.0-py3-none-any.whl", "hive_swarm-0.3.0-py3-none-any.whl"), TAGS)


def test_the_key_and_the_place_come_from_flags_environment_or_file(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no release key is pinned"):
        wanted(tmp_path, {}, "somewhere", None)
    with pytest.raises(ReleaseError, match="--from"):
        wanted(tmp_path, {}, None, PK)
    with pytest.raises(ReleaseError, match="64 hex digits"):
        wanted(tmp_path, {}, "somewhere", "abc")
    (tmp_path / "config.toml").write_text(f'[worker]\nslots = 2\n[release]\nkey = "{PK}"\nfrom = "https://a"\n')
    assert (wanted(tmp_path, {}, None, None).source, wanted(tmp_path, {}, None, None).key) == ("https://a", PK)
    environment = {"HIVE_RELEASE_KEY": fingerprint(PK)}
    assert wanted(tmp_path, environment, "b", None).key == fingerprint(PK)
    assert wanted(tmp_path, environment, "b", PK).source == "b"
    (tmp_path / "config.toml").write_text("[release]\nkey = 3\n")
    with pytest.raises(ReleaseError, match=r"\[release\]"):
        wanted(tmp_path, {}, "a", PK)


def test_what_names_a_key() -> None:
    assert is_pin(PK)
    assert is_pin(fingerprint(PK))
    assert not any(map(is_pin, (PK[:-1], PK.upper(), fingerprint(PK)[:-1], PK + "\n", "")))
