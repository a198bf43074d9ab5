"""How the commands of this machine speak with its running worker: one JSON line each way on loopback, behind a token."""

import asyncio
import hmac
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec
import structlog

from shared.errors import HiveError
from shared.files import read_private, write_private
from worker.report import Report

FILE: Final = "control.json"
LINE_BYTES: Final = 4096
PATIENCE_S: Final = 5.0
MOST_CALLERS: Final = 16
_LOG: Final = structlog.get_logger("worker.control")


class ControlError(HiveError):
    """The running worker cannot be told; the message says what to do."""

    code = "control"


class Door(msgspec.Struct, frozen=True):
    """Where the worker listens, and what a caller must know: only who can read the home's files can."""

    port: int
    token: str


class Ask(msgspec.Struct, frozen=True):
    """One request; a pause has an end in ms since 1970 UTC, or none."""

    token: str
    do: Literal["pause", "resume", "drain", "quit", "status"]
    until: int | None = None


class Reply(msgspec.Struct, frozen=True):
    """What became of it: the worker's state after it, or in `error` a sentence."""

    report: Report | None = None
    error: str | None = None


class Controlled(Protocol):
    """What can be asked of a worker."""

    def pause(self, until: int | None) -> None:
        """Take no work, until this time in ms since 1970 UTC or until `resume`."""

    def resume(self) -> None:
        """The owner's pause is over."""

    def drain(self) -> None:
        """Take no more work and end once nothing runs, however long it takes."""

    def stop(self) -> None:
        """End within seconds; at once if asked again."""

    def report(self) -> Report:
        """The state now."""


class Control:
    """The listener of a running worker, on a port of loopback that the system chooses. Garbage is met with silence."""

    def __init__(self, home: Path, worker: Controlled) -> None:
        self._home, self._worker = home, worker
        self._token = secrets.token_hex(32)
        self._callers = 0

    async def run(self) -> None:
        """Listens until it is cancelled; a worker that cannot listen works all the same."""
        try:
            async with await asyncio.start_server(self._call, "127.0.0.1", 0, limit=LINE_BYTES) as server:
                door = Door(server.sockets[0].getsockname()[1], self._token)
                await asyncio.to_thread(write_private, self._home / FILE, msgspec.json.encode(door))
                await server.serve_forever()
        except OSError as error:
            _LOG.warning("no_control", reason=error.strerror)
        finally:
            self._close()

    def _close(self) -> None:
        """Removes the door, but not one that another worker of this home has put in its place."""
        file = self._home / FILE
        with suppress(OSError):
            if self._token.encode() in file.read_bytes():
                file.unlink()

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers += 1
        try:
            if self._callers <= MOST_CALLERS:
                await self._answer(reader, writer)
        except (TimeoutError, OSError, ValueError):
            _LOG.debug("caller_gone")  # or one that wrote no line of ours: readline's ValueError is a line too long
        finally:
            self._callers -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(PATIENCE_S):
            line = await reader.readline()
            reply = self._reply(line)
            if reply is not None:
                writer.write(msgspec.json.encode(reply) + b"\n")
                await writer.drain()

    def _reply(self, line: bytes) -> Reply | None:
        try:
            ask = msgspec.json.decode(line, type=Ask)
        except msgspec.DecodeError:
            return None
        if not hmac.compare_digest(ask.token.encode(), self._token.encode()):
            return None
        try:
            self._do(ask)
        except HiveError as error:
            return Reply(error=error.message)
        return Reply(self._worker.report())

    def _do(self, ask: Ask) -> None:
        match ask.do:
            case "pause":
                self._worker.pause(ask.until)
            case "resume":
                self._worker.resume()
            case "drain":
                self._worker.drain()
            case "quit":
                self._worker.stop()
            case "status":
                return


def ask(
    home: Path, do: Literal["pause", "resume", "drain", "quit", "status"], until: int | None = None
) -> Report | None:
    """Asks this home's worker and gives its state afterwards; None if none listens here. Raises ControlError."""
    try:
        door = msgspec.json.decode(read_private(home / FILE), type=Door)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ControlError(f"{home / FILE} cannot be read; end the worker and start it again") from error
    line = _asked(door, msgspec.json.encode(Ask(door.token, do, until)))
    if line is None:
        return None
    try:
        reply = msgspec.json.decode(line, type=Reply)
    except msgspec.DecodeError as error:
        raise ControlError("the worker did not answer; it may just be ending") from error
    if reply.error is not None:
        raise ControlError(reply.error)
    return reply.report


def _asked(door: Door, request: bytes) -> bytes | None:
    """The line that comes back, empty where the other side says nothing; None if nobody listens."""
    try:
        caller = socket.create_connection(("127.0.0.1", door.port), PATIENCE_S)
    except OSError:
        return None
    with caller, suppress(OSError):
        caller.sendall(request + b"\n")
        with caller.makefile("rb") as lines:
            return lines.readline()
    return b""
