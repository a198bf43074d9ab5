"""Model files are pinned: a changed, cut or missing one is refused, an untouched one is not read again."""

import os
from pathlib import Path

import pytest

from shared.files import write_private
from tests.support_gguf import a_model, gguf, number, string
from worker import models
from worker.models import FOLDER, ModelError, add, local_models, place_of, remove, verified


def added(folder: Path, content: bytes | None = None, name: str = "some") -> models.LocalModel:
    file = folder / "mine.gguf"
    file.write_bytes(a_model() if content is None else content)
    return add(folder / "home", file, name)


def test_what_is_added_is_what_the_file_says(tmp_path: Path) -> None:
    model = added(tmp_path)
    assert (model.context, model.architecture, model.quantization, model.source) == (512, "llama", "Q8_0", "added")
    assert model.need is not None
    assert model.need.fits(512, 1 << 30)
    assert list(local_models(tmp_path / "home")) == ["hive-nano", "some"]
    assert verified(tmp_path / "home", ("some",)) == [model]


def test_an_untouched_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = added(tmp_path)
    monkeypatch.setattr(models, "file_digest", lambda _: pytest.fail("it was read"))
    assert verified(tmp_path / "home", ("some",)) == [model]


def test_a_touched_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = added(tmp_path)
    os.utime(model.path, ns=(1, 1))
    assert verified(tmp_path / "home", ("some",))[0].digest == model.digest
    monkeypatch.setattr(models, "file_digest", lambda _: pytest.fail("it was read"))
    assert verified(tmp_path / "home", ("some",))[0].mtime_ns == 1


@pytest.mark.parametrize("change", ["byte", "cut", "longer", "gone", "nonsense"])
def test_a_changed_file_is_refused(tmp_path: Path, change: str) -> None:
    file = Path(added(tmp_path).path)
    raw = file.read_bytes()
    if change == "gone":
        file.unlink()
    else:
        made = {"byte": raw[:-1] + b"\1", "cut": raw[:-1], "longer": raw + b"x", "nonsense": b"x" * len(raw)}
        file.write_bytes(made[change])
        os.utime(file, ns=(1, 1))
    with pytest.raises(ModelError, match="add it again"):
        verified(tmp_path / "home", ("some",))


def test_what_is_no_model_is_not_added(tmp_path: Path) -> None:
    for content, says in [
        (b"notes", "does not begin"),
        (a_model()[:-1], "cut off"),
        (a_model({"split.count": number(2)}), "one of 2 parts"),
        (gguf({"general.type": string("adapter"), "general.architecture": string("llama")}), "adapter"),
        (gguf({"general.architecture": string("llama")}), "vocabulary"),
    ]:
        with pytest.raises(ModelError, match=says) as caught:
            added(tmp_path, content)
        assert str(caught.value).endswith("nothing was added")
    for name in ("hive-nano", "A", "../x", "", "x" * 200):
        with pytest.raises(ModelError, match="id"):
            added(tmp_path, name=name or "-")
    assert list((tmp_path / "home").glob("models/*")) == []


def test_two_ids_never_share_a_file(tmp_path: Path) -> None:
    names = ("llama3:8b", "llama3-8b", "llama3/8b")
    assert len({place_of(tmp_path, name) for name in names}) == 3
    for n, name in enumerate(names):
        added(tmp_path, a_model(layers=n + 1), name)
    assert len({model.digest for model in verified(tmp_path / "home", names)}) == 3


def test_a_model_is_found_by_its_other_names(tmp_path: Path) -> None:
    added(tmp_path, name="tinyllama")
    assert verified(tmp_path / "home", ("tinyllama-1.1b-chat",))[0].id == "tinyllama"
    with pytest.raises(ModelError, match="fetch phi-3-mini"):
        verified(tmp_path / "home", ("phi-3-mini",))


def test_adding_again_replaces_and_removing_leaves_nothing(tmp_path: Path) -> None:
    old = added(tmp_path)
    new = added(tmp_path, a_model(layers=3))
    assert (old.path, old.digest == new.digest) == (new.path, False)
    assert remove(tmp_path / "home", "some") == new
    assert list((tmp_path / "home" / FOLDER).iterdir()) == []
    with pytest.raises(ModelError, match="no model some"):
        remove(tmp_path / "home", "some")
    with pytest.raises(ModelError, match="bundled"):
        remove(tmp_path / "home", "hive-nano")


def test_a_card_from_an_earlier_version_and_a_damaged_one(tmp_path: Path) -> None:
    model = added(tmp_path)
    card = Path(model.path).with_suffix(".json")
    early = (
        f'{{"id":"some","path":"{model.path}","digest":"{model.digest}","context":512,'
        f'"size_bytes":{model.size_bytes},"architecture":"llama","mtime_ns":{model.mtime_ns},"bundled":false}}'
    )
    write_private(card, early.encode())
    assert verified(tmp_path / "home", ("some",))[0].digest == model.digest
    write_private(card, b"{")
    assert list(local_models(tmp_path / "home")) == ["hive-nano"]
