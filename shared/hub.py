"""The Hugging Face hub, or a mirror at HF_ENDPOINT: where a file is, what its SHA-256 is, and its bytes in ranges."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from shared.errors import HiveError
from shared.gguf.reader import GgufError, Header, read

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_BLOCK: Final = 1 << 20
_TIMEOUT_S: Final = 10.0
_MOST_BYTES: Final = 1 << 44


# Its library else tells the hub of itself, which no owner asked for; it reads this when it is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


class HubError(HiveError):
    """The hub does not have the file, does not give it, or says something impossible of it."""

    code = "hub"
    status = 502
    retryable = False


class HubAway(HubError):
    """The hub cannot be reached, or broke off: the same may work later."""

    code = "hub_away"
    retryable = True


class Remote(msgspec.Struct, frozen=True):
    """A file on the hub at one commit; `digest` is the SHA-256 that the hub names for it, in hex."""

    repository: str
    file: str
    revision: str
    url: str
    digest: str
    size_bytes: int


def locate(repository: str, file: str, endpoint: str | None = None) -> Remote:
    """The file as it is now, pinned to its commit and digest; raises HubError or HubAway in one sentence.

    `endpoint` is the hub's address, by default that of HF_ENDPOINT; a token comes from HF_TOKEN or `hf auth login`.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url  # noqa: PLC0415 - 20 MB, and the daemon stays small

    with _in_words(f"{file} of {repository}"):
        url = hf_hub_url(repository, file, endpoint=endpoint)
        found = get_hf_file_metadata(url, timeout=_TIMEOUT_S, endpoint=endpoint)
    if found.etag is None or not _SHA256.fullmatch(found.etag):
        raise HubError(f"the hub names no SHA-256 for {file} of {repository}, so it cannot be checked and is not used")
    if found.size is None or not 0 < found.size < _MOST_BYTES:
        raise HubError(f"the hub names no size for {file} of {repository}")
    revision = found.commit_hash or "main"
    pinned = hf_hub_url(repository, file, revision=revision, endpoint=endpoint)
    return Remote(repository, file, revision, pinned, found.etag, found.size)


def header(remote: Remote) -> Header:
    """The GGUF header of a file on the hub, of which no more is read than that; raises HubError."""
    return read_header(RemoteFile(remote))


def read_header(file: "RemoteFile") -> Header:
    """The same, from a file whose bytes are wanted afterwards."""
    try:
        return read(file, file.remote.size_bytes)
    except GgufError as error:
        raise HubError(
            f"{file.remote.file} of {file.remote.repository} is no model that can be used: {error}"
        ) from error


@contextmanager
def opened(remote: Remote, first: int, last: int) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The file's bytes from `first` to `last` as they come, and where they really begin: at 0 if the hub does not do
    ranges. Raises HubError or HubAway, also while they are read."""
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # noqa: PLC0415 - as above
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    asked = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={first}-{last}"}
    with (
        _in_words(f"{remote.file} of {remote.repository}"),
        get_session().stream("GET", remote.url, headers=asked, timeout=_TIMEOUT_S) as answer,
    ):
        hf_raise_for_status(answer)
        yield _begins(answer.status_code, answer.headers.get("Content-Range", ""), first), answer.iter_raw()


class RemoteFile:
    """A file on the hub that can be read from anywhere, in blocks of 1 MiB of which each is fetched once."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._position = 0
        self._blocks: dict[int, bytes] = {}

    def seek(self, offset: int, /) -> int:
        """Moves without reading."""
        self._position = offset
        return offset

    def read(self, size: int, /) -> bytes:
        """At most the rest of a block."""
        number, first = divmod(self._position, _BLOCK)
        part = self._block(number)[first : first + size]
        self._position += len(part)
        return part

    def _block(self, number: int) -> bytes:
        first = number * _BLOCK
        last = min(first + _BLOCK, self.remote.size_bytes) - 1
        if last < first:
            return b""
        if number not in self._blocks:
            self._blocks[number] = self._fetched(first, last)
        return self._blocks[number]

    def _fetched(self, first: int, last: int) -> bytes:
        found = bytearray()
        with opened(self.remote, first, last) as (begins, parts):
            if begins != first:
                raise HubError("the hub does not give parts of files; fetch the file and add it with its path")
            for part in parts:
                found += part
                if len(found) > last - first:
                    break
        if len(found) < last - first + 1:
            raise HubAway("the hub broke off in the middle of a file; try again")
        return bytes(found[: last - first + 1])


def _begins(status: int, content_range: str, first: int) -> int:
    """Where an answer's bytes begin; raises HubError for others than were asked for."""
    if status == 200:
        return 0
    match = _RANGE.fullmatch(content_range)
    if status != 206 or match is None or int(match[1]) != first:
        raise HubError("the hub gave other bytes than it was asked for")
    return first


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Turns what the hub's client raises into a sentence."""
    import httpx2  # noqa: PLC0415 - as above
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled  # noqa: PLC0415

    try:
        yield
    except HfHubHTTPError as error:
        raise _refusal(error.response.status_code, what) from error
    except OfflineModeIsEnabled as error:
        raise HubAway("HF_HUB_OFFLINE is set, so nothing can be fetched from the hub; unset it") from error
    except (HFValidationError, httpx2.InvalidURL) as error:
        raise HubError(f"{what} cannot be a file of the hub") from error
    except httpx2.HTTPError as error:
        raise HubAway(f"the hub cannot be reached for {what} ({type(error).__name__}); try again later") from error


def _refusal(status: int, what: str) -> HubError:
    if status in (401, 403):
        return HubError(f"the hub does not give {what} to you: accept its licence there, then set HF_TOKEN")
    if status == 404:
        return HubError(f"the hub has no {what}")
    if status == 416:
        return HubError(f"the hub has less of {what} than it said")
    if status == 429:
        return HubAway(f"the hub has had too many requests from here and holds back {what}; try again in a while")
    if status >= 500:
        return HubAway(f"the hub has a fault of its own (status {status}) and does not give {what}; try again later")
    return HubError(f"the hub does not give {what} (status {status})")
