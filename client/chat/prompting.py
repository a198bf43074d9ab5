"""The line that a person writes in: several lines, a history that only they can read, and completion."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from shared.files import write_private

FILE: Final = "chat_history"
MOST_BYTES: Final = 1_000_000
_STYLE: Final = Style.from_dict(
    {
        "prompt": "bold fg:ansicyan",
        "bottom-toolbar": "noreverse fg:ansibrightblack",
        "completion-menu": "bg:default fg:default",
        "completion-menu.completion": "bg:default fg:ansicyan",
        "completion-menu.completion.current": "bg:default fg:ansicyan bold reverse",
        "completion-menu.meta.completion": "bg:default fg:ansibrightblack",
        "completion-menu.meta.completion.current": "bg:default fg:default",
        "scrollbar.background": "bg:default",
        "scrollbar.button": "bg:default",
    }
)


def session(completer: Completer, toolbar: Callable[[], str], history: History) -> PromptSession[str]:
    """Asks for a question: Enter sends it, Alt-Enter, Ctrl-J or a backslash before Enter begin another line."""
    return PromptSession(
        [("class:prompt", "› ")],
        multiline=True,
        prompt_continuation="  ",
        history=history,
        completer=completer,
        complete_while_typing=True,
        reserve_space_for_menu=4,
        enable_suspend=True,
        key_bindings=_keys(),
        bottom_toolbar=toolbar,
        style=_STYLE,
    )


def history(home: Path | None) -> History:
    """What was typed in earlier chats, in a file of this home that nobody else may read; None for a chat that leaves nothing."""
    if home is None:
        return InMemoryHistory()
    file = home / FILE
    _make_private(file)
    return FileHistory(file)


def _make_private(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    if stat.S_IMODE(file.stat().st_mode) != 0o600:
        file.chmod(0o600)
    if file.stat().st_size > MOST_BYTES:
        write_private(file, _newer_half(file.read_bytes()))


def _newer_half(content: bytes) -> bytes:
    """From the first entry on that begins in the second half."""
    begins = content.find(b"\n# ", len(content) // 2)
    return content[begins:] if begins >= 0 else b""


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None
        elif buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("c-c")
    def empty(event: KeyPressEvent) -> None:
        if not event.current_buffer.text:
            event.app.exit(exception=KeyboardInterrupt)
        event.current_buffer.reset()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
