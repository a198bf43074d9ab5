"""Forms with a file, as clients send them and as they should not; and which part of a file a header asks for."""

import pytest
from hypothesis import given, strategies as st

from coordinator.openai.content import range_of
from coordinator.openai.upload import Upload
from shared.errors import RequestError

KIND = "multipart/form-data; boundary=XyZ"


def form(*parts: tuple[str, str | None, bytes], end: bytes = b"--XyZ--\r\n") -> bytes:
    """A form of these (name, filename, value)."""
    return b"".join(
        b'--XyZ\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
        % (name.encode(), b"" if file is None else b'; filename="%b"' % file.encode(), value)
        for name, file, value in parts
    ) + end  # fmt: skip


def taken(body: bytes, *cuts: int) -> tuple[Upload, bytes]:
    upload, file, rest = Upload(KIND), b"", body
    for cut in (*cuts, len(body)):
        file += b"".join(upload.push(rest[:cut]))
        rest = rest[cut:]
    upload.end()
    return upload, file


@given(st.binary(max_size=300), st.lists(st.integers(1, 60)))
def test_a_form_is_read_however_it_comes(data: bytes, cuts: list[int]) -> None:
    data = data.replace(b"\r\n--XyZ", b"")
    before = form(("purpose", None, b"batch"), ("file", "ü.jsonl", data))
    upload, file = taken(before, *cuts)
    assert (upload.fields, upload.filename, file) == ({"purpose": "batch"}, "ü.jsonl", data)


def test_a_file_may_come_before_its_purpose_and_without_a_name() -> None:
    upload, file = taken(form(("file", None, b"abc"), ("purpose", None, b"batch")))
    assert (upload.fields, upload.filename, file) == ({"purpose": "batch"}, "upload", b"abc")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", form(("file", "a", b"abc"), end=b""), form(("purpose", None, b"batch")),
        form(("file", "a", b"1"), ("file", "b", b"2")), form(("purpose", None, b"x" * 5000), ("file", "a", b"1")),
        form(*[("a", None, b"1")] * 40), b"--XyZ\r\nContent-Disposition: form-data; name=" + b"a" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        taken(body)


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary="])
def test_a_body_of_another_kind_is_refused(kind: str) -> None:
    with pytest.raises(RequestError):
        Upload(kind)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None), ("bytes=0-", (0, 10)), ("bytes=2-4", (2, 5)), ("bytes=2-99", (2, 10)), ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)), ("bytes=10-", None), ("bytes=5-4", None), ("bytes=-", None), ("bytes=-0", None),
        ("bytes=0-1,3-4", None), ("lines=0-1", None), ("bytes=٣-", None), ("bytes=9-" + "9" * 30, None),
    ],
)  # fmt: skip
def test_which_part_is_asked_for(header: str | None, part: tuple[int, int] | None) -> None:
    assert range_of(header, 10) == part
