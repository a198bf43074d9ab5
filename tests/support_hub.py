"""A hub on this machine that speaks as much of Hugging Face's HTTP as its client needs, and can break, lie and stall."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
_CHUNK: Final = 1 << 16


class Hub:
    """Files by (repository, name), and what goes wrong with them next; each fault is used up by one request."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[tuple[str, str], bytes] = {}
        self.digest_says: str | None = None
        self.size_says: int | None = None
        self.head_status: list[int] = []
        self.get_status: list[int] = []
        self.cuts: list[int | None] = []
        self.spoilt: set[int] = set()
        self.more: bytes = b""
        self.ranges = True
        self.shift = 0
        self.elsewhere: str | None = None
        self.asked: list[tuple[str, str]] = []
        self.tokens: list[str | None] = []
        self.served = 0
        self.stall_at: int | None = None
        self.stalled = threading.Event()
        self.go_on = threading.Event()

    def put(self, repository: str, file: str, content: bytes) -> str:
        """Adds a file; its SHA-256."""
        self.files[repository, file] = content
        return hashlib.sha256(content).hexdigest()

    def whole(self) -> list[str]:
        """The ranges that were asked for, header look-ups of the first megabyte left out."""
        return [said for method, said in self.asked if method == "GET"]


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub that listens on this machine alone until the block ends."""
    it = Hub()

    class Handler(_Handler):
        hub = it

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    it.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield it
    finally:
        it.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a client that goes away is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Says nothing."""

    def do_HEAD(self) -> None:
        """The metadata of a file, as `resolve` answers them."""
        found = self._found(self.hub.head_status)
        if found is None:
            return
        size = self.hub.size_says if self.hub.size_says is not None else len(found)
        digest = self.hub.digest_says if self.hub.digest_says is not None else hashlib.sha256(found).hexdigest()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Size", str(size))
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("ETag", '"another"')
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def do_GET(self) -> None:
        """A file or a part of it, with whatever was planned for this answer."""
        found = self._found(self.hub.get_status)
        if found is None:
            return
        if self.hub.elsewhere is not None:
            self._redirect()
            return
        content = bytearray(found)
        for at in self.hub.spoilt:
            content[at] ^= 0xFF
        first, last = self._range(len(content))
        if first > last:
            self._refuse(416)
            return
        body = bytes(content[first : last + 1]) + self.hub.more
        stop = self.hub.cuts.pop(0) if self.hub.cuts else None
        self.send_response(206 if self.hub.ranges and "Range" in self.headers else 200)
        if self.hub.ranges and "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {first + self.hub.shift}-{last}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(body[:stop], first, cut=stop is not None)

    def _send(self, body: bytes, first: int, *, cut: bool) -> None:
        for at in range(0, len(body), _CHUNK):
            if self.hub.stall_at is not None and first + at >= self.hub.stall_at:
                self.hub.stalled.set()
                self.hub.go_on.wait(30)
            chunk = body[at : at + _CHUNK]
            try:
                self.wfile.write(chunk)
                self.wfile.flush()
            except OSError:
                break
            self.hub.served += len(chunk)
        if cut:
            self.close_connection = True

    def _range(self, size: int) -> tuple[int, int]:
        said = self.headers.get("Range")
        if not self.hub.ranges or said is None:
            return 0, size - 1
        first, _, last = said.removeprefix("bytes=").partition("-")
        return int(first), min(int(last or size), size - 1)

    def _found(self, planned: list[int]) -> bytes | None:
        """The file that the path names, else an answer that there is none."""
        self.hub.asked.append((self.command, self.headers.get("Range") or self.path))
        self.hub.tokens.append(self.headers.get("Authorization"))
        if planned:
            self._refuse(planned.pop(0))
            return None
        repository, _, rest = self.path.lstrip("/").partition("/resolve/")
        found = self.hub.files.get((repository, rest.partition("/")[2]))
        if found is None:
            self._refuse(404)
        return found

    def _redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"{self.hub.elsewhere}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: int) -> None:
        body = json.dumps({"error": "planned"}).encode()
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        if status == 403:
            self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
