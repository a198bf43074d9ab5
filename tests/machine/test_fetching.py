"""A model comes from the hub whole, goes on where it was cut, and is refused where it is not the file."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import hub as remote_hub
from shared.catalogue import library
from shared.gguf.facts import facts_of_file
from shared.gguf.memory import need_of
from shared.hub import HubAway, HubError
from tests.support_gguf import a_model, gguf, number, string
from tests.support_hub import COMMIT, Hub, hub
from worker import fetching
from worker.fetching import MARGIN, PAUSE_S, TRIES, Asking, Room, fetch, left_over
from worker.models import LocalModel, ModelError, local_models, remove, verified

ROOMY = Room(disk=1 << 40, memory=1 << 40)
MODEL = a_model(vocabulary=100_000)
HEADER = [None, None]
"""The requests for its header, which are not cut: 2 MiB."""
LISTED = msgspec.structs.replace(library()["tinyllama"], id="small", repository="some/small-GGUF", file="small.gguf")


@pytest.fixture
def it() -> Iterator[Hub]:
    with hub() as made:
        made.put(LISTED.repository, LISTED.file, MODEL)
        yield made


class Waits(list[float]):
    """The waits that were asked for; nothing waits."""

    def __call__(self, seconds: float, /) -> None:
        self.append(seconds)


def fetched(home: Path, it: Hub, *, room: Room = ROOMY, pause: Waits | None = None, **more: Any) -> LocalModel:
    asking = Asking(endpoint=it.url, **more)
    return fetch(home, LISTED, room, lambda _done, _size: None, asking, Waits() if pause is None else pause)


def nothing_stays(home: Path) -> bool:
    return not left_over(home) and "small" not in local_models(home) and not list(home.glob("models/*.gguf"))


def test_a_model_is_fetched_pinned_and_verified(tmp_path: Path, it: Hub) -> None:
    told: list[tuple[int, int]] = []
    model = fetch(tmp_path, LISTED, ROOMY, lambda *said: told.append(said), Asking(endpoint=it.url), Waits())
    assert Path(model.path).read_bytes() == MODEL
    assert (model.source, model.digest) == ("fetched", it.put("a", "b", MODEL))
    assert (model.context, model.architecture, model.quantization) == (512, "llama", "Q8_0")
    assert model.need == need_of(facts_of_file(Path(model.path)))
    assert (told[0], told[-1]) == ((0, len(MODEL)), (len(MODEL), len(MODEL)))
    assert [model] == verified(tmp_path, ("small",))
    assert all(COMMIT in said for method, said in it.asked if method == "GET" and not said.startswith("bytes"))
    before = it.whole()
    assert fetched(tmp_path, it) == model
    assert it.whole() == before
    assert remove(tmp_path, "small") == model
    assert nothing_stays(tmp_path)


def test_a_cut_transfer_goes_on_where_it_was(tmp_path: Path, it: Hub) -> None:
    header = 2 << 20
    it.cuts = [*HEADER, 3 << 20, 1 << 20]
    waits = Waits()
    model = fetched(tmp_path, it, pause=waits)
    assert Path(model.path).read_bytes() == MODEL
    assert len(waits) == 2
    assert it.served - len(MODEL) <= header


def test_a_fetch_that_gave_up_goes_on_next_time(tmp_path: Path, it: Hub) -> None:
    it.cuts = [*HEADER, 4 << 20]
    waits = Waits()

    def broken(seconds: float, /) -> None:
        waits.append(seconds)
        it.get_status = [503]

    with pytest.raises(HubAway, match="fault of its own"):
        fetch(tmp_path, LISTED, ROOMY, lambda _done, _size: None, Asking(endpoint=it.url), broken)
    assert waits == [PAUSE_S * 2**n for n in range(TRIES - 1)]
    [part] = left_over(tmp_path)
    have = part.stat().st_size
    assert have == 4 << 20
    it.get_status = []
    fetched(tmp_path, it)
    assert it.whole()[-1] == f"bytes={have}-{len(MODEL) - 1}"
    assert left_over(tmp_path) == []


def test_a_hub_without_ranges_begins_again(tmp_path: Path, it: Hub) -> None:
    with pytest.raises(HubError, match="does not give parts"):
        remote_hub.header(without_ranges(it))
    small = a_model()
    it.put(LISTED.repository, LISTED.file, small)
    it.cuts = [None, 1000]
    assert Path(fetched(tmp_path, it).path).read_bytes() == small


def without_ranges(it: Hub) -> remote_hub.Remote:
    it.put("some/other", "late.gguf", gguf({"a": string("x" * (3 << 20)), "b": number(1)}))
    it.ranges = False
    return remote_hub.locate("some/other", "late.gguf", it.url)


def test_spoilt_bytes_are_refused_and_do_not_stay(tmp_path: Path, it: Hub) -> None:
    it.spoilt = {len(MODEL) - 1}
    with pytest.raises(HubError, match="another SHA-256"):
        fetched(tmp_path, it)
    assert nothing_stays(tmp_path)
    it.spoilt = set()
    assert Path(fetched(tmp_path, it).path).read_bytes() == MODEL


def test_a_spoilt_part_is_found_at_the_end(tmp_path: Path, it: Hub) -> None:
    digest = it.put(LISTED.repository, LISTED.file, MODEL)
    part = tmp_path / "models" / f"{digest[:32]}.part"
    part.parent.mkdir()
    part.write_bytes(b"?" + MODEL[1 : 1 << 20])
    with pytest.raises(HubError, match="another SHA-256"):
        fetched(tmp_path, it)
    assert nothing_stays(tmp_path)
    part.write_bytes(MODEL + b"too much")
    assert Path(fetched(tmp_path, it).path).read_bytes() == MODEL


def test_lies_about_digest_and_size(tmp_path: Path, it: Hub) -> None:
    it.digest_says = "ab" * 32
    with pytest.raises(HubError, match="another SHA-256"):
        fetched(tmp_path, it)
    it.digest_says = "no digest"
    with pytest.raises(HubError, match="names no SHA-256"):
        fetched(tmp_path, it)
    it.digest_says, it.size_says = None, len(MODEL) - 100
    with pytest.raises(HubError, match="cut off"):
        fetched(tmp_path, it)
    it.size_says = len(MODEL) + 100
    with pytest.raises(HubError, match="less of"):
        fetched(tmp_path, it)
    [part] = left_over(tmp_path)
    part.unlink()
    it.size_says, it.more = None, b"and more"
    with pytest.raises(HubError, match="more than it said"):
        fetched(tmp_path, it)
    assert nothing_stays(tmp_path)
    it.more, it.shift = b"", 1
    with pytest.raises(HubError, match="other bytes"):
        fetched(tmp_path, it)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, HubError, "accept its licence"), (403, HubError, "accept its licence"), (404, HubError, "the hub has no"),
        (429, HubAway, "too many"), (500, HubAway, "fault of its own"), (503, HubAway, "fault of its own"),
        (418, HubError, "status 418"),
    ],
)  # fmt: skip
def test_what_the_hub_refuses_is_said(tmp_path: Path, it: Hub, status: int, kind: type[HubError], says: str) -> None:
    it.head_status = [status]
    with pytest.raises(kind, match=says) as caught:
        fetched(tmp_path, it)
    assert "\n" not in str(caught.value)
    it.head_status, it.get_status = [], [status]
    with pytest.raises(kind, match=says):
        fetched(tmp_path, it)
    assert nothing_stays(tmp_path)


def test_nobody_there_is_a_sentence(tmp_path: Path) -> None:
    with hub() as gone:
        url = gone.url
    with pytest.raises(HubAway, match="cannot be reached"):
        fetch(tmp_path, LISTED, ROOMY, lambda _done, _size: None, Asking(endpoint=url), Waits())


def test_what_does_not_fit_is_not_begun(tmp_path: Path, it: Hub) -> None:
    need = need_of(facts_of(tmp_path))
    small = Room(disk=1 << 40, memory=need.of(512, 1) - 1)
    with pytest.raises(ModelError, match="of memory and this machine has"):
        fetched(tmp_path, it, room=small)
    with pytest.raises(ModelError, match="make room"):
        fetched(tmp_path, it, room=Room(disk=len(MODEL) + MARGIN - 1, memory=1 << 40))
    assert nothing_stays(tmp_path)
    assert fetched(tmp_path, it, room=small, force=True).id == "small"


def facts_of(folder: Path) -> Any:
    file = folder / "facts.gguf"
    file.write_bytes(MODEL)
    return facts_of_file(file)


def test_a_disk_that_fills_up_is_a_sentence(tmp_path: Path, it: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Any, _chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fetching._Part, "write", full)
    with pytest.raises(ModelError, match="cannot be written to"):
        fetched(tmp_path, it)


def test_only_the_wanted_file_and_only_whole_models(tmp_path: Path, it: Hub) -> None:
    with pytest.raises(ModelError, match="another file"):
        fetched(tmp_path, it, digest="ab" * 32)
    with pytest.raises(ModelError, match="more than"):
        fetched(tmp_path, it, most_bytes=len(MODEL) - 1)
    for content, says in [
        (b"<html>not found</html>" * 99, "does not begin"),
        (MODEL[:-1], "cut off"),
        (gguf({"general.architecture": string("clip")}), "projector"),
        (a_model({"split.count": number(3)}), "one of 3 parts"),
        (a_model({"llama.block_count": string("two")}), "not what it should be"),
    ]:
        it.put(LISTED.repository, LISTED.file, content)
        with pytest.raises((HubError, ModelError), match=says):
            fetched(tmp_path, it)
    assert nothing_stays(tmp_path)


def test_a_token_does_not_follow_to_another_host(tmp_path: Path, it: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with hub() as other:
        other.files = it.files
        it.elsewhere = other.url.replace("127.0.0.1", "localhost")
        assert fetched(tmp_path, it).id == "small"
        assert set(it.tokens) == {"Bearer hf_secret"}
        assert set(other.tokens) == {None}


def test_two_fetches_of_one_model(tmp_path: Path, it: Hub) -> None:
    def second(done: int, _size: int) -> None:
        if done == 0:
            with pytest.raises(ModelError, match="fetched already"):
                fetched(tmp_path, it)

    assert fetch(tmp_path, LISTED, ROOMY, second, Asking(endpoint=it.url), Waits()).id == "small"
