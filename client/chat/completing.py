"""What TAB offers in the chat: commands, models, places and paths."""

from collections.abc import Callable, Iterable, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from client.chat.slash import COMMANDS


class Completing(Completer):
    """Completes a line that begins with a slash; `models` and `places` are asked each time, for they change."""

    def __init__(self, models: Callable[[], Sequence[str]], places: Callable[[], Sequence[str]]) -> None:
        self._words = {"model": models, "place": places}
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What may stand where the cursor is."""
        line = document.text_before_cursor
        if not line.startswith("/") or "\n" in line:
            return
        name, is_argument, argument = line[1:].partition(" ")
        if not is_argument:
            for command, about in COMMANDS.items():
                if command.startswith(name.lower()):
                    yield Completion(command + " " * bool(about.argument), -len(name), display_meta=about.does)
        elif name in self._words:
            for word in self._words[name]():
                if word.lower().startswith(argument.lower()):
                    yield Completion(word, -len(argument))
        elif name in ("file", "save"):
            yield from self._paths.get_completions(Document(argument), complete_event)
