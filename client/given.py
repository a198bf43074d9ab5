"""What a person gives to be asked: words, and what is piped in."""

import sys
from typing import Final

from shared.errors import RequestError
from shared.words import size

MOST_TEXT: Final = 512 * 1000
"""How many bytes of text, typed, piped in or from a file, go into a question."""


def has_input() -> bool:
    """Whether something is piped in, or at least no person sits there."""
    return sys.stdin is not None and not sys.stdin.isatty()


def question(words: str) -> str:
    """The words with what is piped in below them; raises RequestError for what is no text, too long, or nothing at all."""
    content = sys.stdin.buffer.read(MOST_TEXT + 1) if has_input() else b""
    if len(content) > MOST_TEXT:
        raise RequestError(f"More than {size(MOST_TEXT)} were piped in; that does not fit into a question.")
    try:
        text = "\n\n".join(part for part in (words, content.decode().strip()) if part)
    except UnicodeDecodeError as e:
        raise RequestError("What was piped in is not UTF-8 text.") from e
    if not text.strip():
        raise RequestError("There is nothing to ask: give it in quotes, or pipe it in.")
    return text
