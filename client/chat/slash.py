"""What a line in the chat is: a question, or a command that begins with a slash. Pure."""

import re
from typing import Final, NamedTuple

from shared.errors import RequestError


class Command(NamedTuple):
    """A command and what was written after it."""

    name: str
    argument: str


class About(NamedTuple):
    """How a command is written, and what it does."""

    argument: str
    does: str


COMMANDS: Final = {
    "model": About("[NAME]", "show the models, or go on with another"),
    "place": About("[PLACE]", "show or say where answers may be computed: EU, DE, 'IT,FR', any"),
    "system": About("[TEXT]", "show or set the system prompt; 'none' takes it away"),
    "file": About("PATH", "send a text file or a picture along with the next question"),
    "new": About("", "begin a new conversation"),
    "undo": About("", "take back the last question and its answer"),
    "retry": About("", "ask the last question again"),
    "save": About("PATH", "write the conversation to a file: Markdown, or JSON if it ends in .json"),
    "help": About("", "show this"),
    "quit": About("", "leave; so does Ctrl-D"),
}
_ALIASES: Final = {"exit": "quit", "q": "quit", "?": "help", "h": "help"}
_COMMAND: Final = re.compile(r"/([a-z?]+)(?:\s+(.*))?", re.DOTALL | re.IGNORECASE)


def read(line: str) -> Command | str:
    """The command, or the question as it will be asked. A path is no command, and // begins a question with a slash; raises
    RequestError for a command that there is not, or that lacks what it needs."""
    text = line.strip()
    if text.startswith("//"):
        return text[1:]
    match = _COMMAND.fullmatch(text)
    if match is None:
        return text
    name = _ALIASES.get(match[1].lower(), match[1].lower())
    about = COMMANDS.get(name)
    if about is None:
        raise RequestError(f"There is no /{name}; /help lists what there is. A question with a slash begins with //.")
    argument = (match[2] or "").strip()
    if about.argument and not about.argument.startswith("[") and not argument:
        raise RequestError(f"/{name} {about.argument}: it is to {about.does}.")
    if argument and not about.argument:
        raise RequestError(f"/{name} takes nothing after it.")
    return Command(name, argument)


def unquoted(path: str) -> str:
    """A path as it was typed or dropped into the terminal: without quotes around it and backslashes before spaces."""
    if len(path) > 1 and path[0] == path[-1] and path[0] in "'\"":
        return path[1:-1]
    return path.replace("\\ ", " ")
