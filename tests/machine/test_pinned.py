"""An operator pins models: callers can then ask for them, and their tokens are counted without their weights."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from coordinator.app import build
from coordinator.pinned import FOLDER, Terms, pin_file, pin_listed, servable, unpin
from coordinator.settings import load_settings
from shared.catalogue import Listed, catalogue, file_digest, library, price_by_size
from shared.errors import RequestError
from shared.hub import HubError
from shared.protocol.messages import Message
from shared.tokens import Vocabulary
from tests.support_gguf import a_model, gguf, string
from tests.support_hub import COMMIT, Hub, hub

ROOT = Path(__file__).resolve().parents[2]
NANO = catalogue()["hive-nano"]
LISTED: Listed = msgspec.structs.replace(library()["tinyllama"], price_in=7)
HELLO = [Message(role="user", content="What is a hive?")]


def never(problem: str) -> NoReturn:
    pytest.fail(problem)


@pytest.fixture
def it() -> Iterator[Hub]:
    with hub() as made:
        made.put(LISTED.repository, LISTED.file, NANO.path.read_bytes())
        yield made


def test_a_listed_model_is_pinned_by_what_the_hub_says(tmp_path: Path, it: Hub) -> None:
    card = pin_listed(tmp_path, LISTED, Terms(), it.url)
    assert (card.digest, card.size_bytes, card.context) == (NANO.digest, NANO.size_bytes, NANO.context)
    assert card.origin == f"{LISTED.repository}/{LISTED.file}@{COMMIT}"
    assert it.served <= 1 << 20
    found = servable(tmp_path, never)
    assert list(found) == ["hive-nano", "tinyllama"]
    entry = found["tinyllama"]
    assert (entry.digest, entry.price_in, entry.aliases) == (NANO.digest, 7, LISTED.aliases)
    assert entry.path.stat().st_size < NANO.size_bytes / 20
    ours, whole = Vocabulary(entry.path), Vocabulary(NANO.path)
    assert ours.render(HELLO) == whole.render(HELLO)
    assert ours.tokenise(whole.render(HELLO), special=True) == whole.tokenise(whole.render(HELLO), special=True)
    assert ours.end_ids == whole.end_ids


def test_a_guard_is_known_by_its_template_or_by_the_operators_word(tmp_path: Path) -> None:
    raw, template = NANO.path.read_bytes(), Vocabulary(NANO.path).metadata("tokenizer.chat_template")
    assert template is not None
    says = "{# <BEGIN UNSAFE CONTENT CATEGORIES> #}"
    speaking = raw.replace(template.encode(), says.encode().ljust(len(template.encode())))
    (tmp_path / "guard.gguf").write_bytes(speaking)
    (tmp_path / "nano.gguf").write_bytes(raw)
    folder = tmp_path / "models"
    assert pin_file(folder, tmp_path / "guard.gguf", Terms(id="speaking")).guard
    assert pin_file(folder, tmp_path / "nano.gguf", Terms(id="told", guard=True)).guard
    assert not pin_file(folder, tmp_path / "nano.gguf", Terms(id="plain")).guard
    assert {name for name, entry in servable(folder, never).items() if entry.guard} == {"speaking", "told"}


def test_a_file_is_pinned_under_a_name_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--id"):
        pin_file(tmp_path, NANO.path, Terms())
    card = pin_file(tmp_path, NANO.path, Terms(id="mine/nano:q8", price_out=5))
    assert (card.digest, card.price_in, card.price_out) == (NANO.digest, price_by_size(NANO.size_bytes)[0], 5)
    other = pin_file(tmp_path, NANO.path, Terms(id="mine-nano-q8"))
    assert set(servable(tmp_path, never)) == {"hive-nano", card.id, other.id}
    assert unpin(tmp_path, card.id).digest == card.digest
    assert set(servable(tmp_path, never)) == {"hive-nano", other.id}
    with pytest.raises(RequestError, match="mine-nano-q8"):
        unpin(tmp_path, card.id)


def test_what_cannot_be_served_is_not_pinned(tmp_path: Path, it: Hub) -> None:
    for content, says in [
        (b"no model", "does not begin"),
        (gguf({"general.architecture": string("clip")}), "projector"),
        (a_model()[:-1], "cut off"),
        (a_model({"llama.context_length": string("long")}), "not what it should be"),
        (a_model(), "cannot count the tokens"),
    ]:
        file = tmp_path / "some.gguf"
        file.write_bytes(content)
        with pytest.raises(RequestError, match=says):
            pin_file(tmp_path / "pinned", file, Terms(id="some"))
        it.put(LISTED.repository, LISTED.file, content)
        with pytest.raises((RequestError, HubError), match=says):
            pin_listed(tmp_path / "pinned", LISTED, Terms(), it.url)
    with pytest.raises(RequestError, match="bundled"):
        pin_file(tmp_path / "pinned", NANO.path, Terms(id="hive-nano"))
    with pytest.raises(RequestError, match="cannot be a model's id"):
        pin_file(tmp_path / "pinned", NANO.path, Terms(id="../nano"))
    it.head_status = [404]
    with pytest.raises(HubError, match="the hub has no"):
        pin_listed(tmp_path / "pinned", LISTED, Terms(), it.url)
    assert list(tmp_path.glob("pinned/*")) == []


def test_a_damaged_card_is_left_out_and_told(tmp_path: Path) -> None:
    for name in ("good", "cut", "changed", "gone"):
        pin_file(tmp_path, NANO.path, Terms(id=name))
    (tmp_path / "cut.json").write_bytes(b"{")
    (tmp_path / "changed.gguf").write_bytes(b"GGUF")
    (tmp_path / "gone.gguf").unlink()
    (tmp_path / "twice.json").write_bytes((tmp_path / "good.json").read_bytes())
    (tmp_path / "twice.gguf").write_bytes((tmp_path / "good.gguf").read_bytes())
    told: list[str] = []
    assert set(servable(tmp_path, told.append)) == {"hive-nano", "good"}
    assert [sentence.partition(" ")[0] for sentence in told] == ["changed.json", "cut.json", "gone.json", "twice.json"]


async def test_a_coordinator_serves_what_was_pinned_before_it_started(tmp_path: Path) -> None:
    settings = load_settings({"HIVE_STATE_DIR": str(tmp_path)}, {}, tmp_path)
    pin_file(settings.state_dir / FOLDER, NANO.path, Terms(id="mine"))
    hive = build(settings, "postgresql+asyncpg://nobody@127.0.0.1:1/none")
    try:
        assert (set(hive.catalogue), set(hive.vocabularies)) == ({"hive-nano", "mine"},) * 2
        assert hive.catalogue["mine"].digest == file_digest(NANO.path)
    finally:
        await hive.engine.dispose()


def test_the_command_adds_lists_and_removes(tmp_path: Path, it: Hub) -> None:
    def hive(*words: str) -> tuple[int, str, str]:
        asked = subprocess.run(
            [sys.executable, "-c", "from shared.cli import main; main()", "coordinator", "models", *words],
            env={**os.environ, "HIVE_HOME": str(tmp_path), "HF_ENDPOINT": it.url, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return asked.returncode, asked.stdout, asked.stderr

    code, out, err = hive("add", "tinyllama-1.1b-chat", "--price-in", "2.5", "--json")
    assert code == 0, err
    assert (json.loads(out)["id"], json.loads(out)["price_in"]) == ("tinyllama", 25_000_000)
    listed = {row["id"]: row["from"] for row in json.loads(hive("list", "--all", "--json")[1])}
    assert (listed["hive-nano"], listed["tinyllama"], listed["gemma-2-2b"]) == ("bundled", "pinned", "hub")
    assert "restart" in hive("rm", "tinyllama")[1]
    code, _, err = hive("rm", "tinyllama")
    assert (code, "not pinned" in err) == (1, True)
    code, _, err = hive("add", "no-such-model")
    assert (code, "neither a file nor in the library" in err, "Traceback" in err) == (1, True, False)
    code, _, err = hive("add", "tinyllama", "--price-in", "much")
    assert (code, "--price-in" in err) == (1, True)
