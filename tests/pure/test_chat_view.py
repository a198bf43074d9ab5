"""An answer on a terminal, piece by piece: what is left there is what a whole rendering shows, and nothing is lost above."""

import io

import pyte
import pytest
from hypothesis import given, settings, strategies as st
from rich.console import Console

from client.markdown import Blocks, Shown, Tidy
from client.view import LiveView, PlainView

ANSWER = """# Bees

A hive has **many** bees; see [the page](https://bees.test/a).

1. a queen

2. workers
   - they dance

| what | how many |
|---|---|
| queens | 1 |

```python
def dance():

    return "8"
```

> buzz <b>loud</b>

---
""" + "\n\n".join(f"Paragraph {n}: " + "honey " * 30 for n in range(8))


class Glass(io.StringIO):
    """A terminal that remembers what has scrolled off."""

    def __init__(self, columns: int = 40, rows: int = 12) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self.screen)
        self.frames: list[bytes] = []
        self.console = Console(
            file=self, force_terminal=True, color_system="256", width=columns, height=rows, legacy_windows=False
        )

    def write(self, text: str) -> int:
        self.frames.append(text.encode())
        self._stream.feed(text.replace("\n", "\r\n").encode())
        return len(text)

    @property
    def lines(self) -> list[str]:
        above = ["".join(line[at].data for at in range(self.screen.columns)) for line in self.screen.history.top]
        return [line.rstrip() for line in (*above, *self.screen.display)]


def whole(text: str, columns: int = 40) -> list[str]:
    """What the blocks look like, one after the other with an empty line between."""
    blocks = Blocks()
    out = io.StringIO()
    console = Console(file=out, width=columns, force_terminal=True, color_system=None, legacy_windows=False)
    for number, block in enumerate(one for one in [*blocks.push(text), *blocks.finish()] if one.strip()):
        if number:
            console.print()
        console.print(Tidy(Shown(block)), end="")
    return [line.rstrip() for line in out.getvalue().splitlines()]


def trimmed(lines: list[str]) -> list[str]:
    """The lines up to the last that holds anything."""
    while lines and not lines[-1]:
        lines.pop()
    return lines


def told(glass: Glass) -> list[str]:
    return trimmed(glass.lines)


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_what_is_left_is_the_whole_answer_once(size: int) -> None:
    glass = Glass()
    with LiveView(glass.console) as view:
        view.draw("waiting for bees")
        for at in range(0, len(ANSWER), size):
            view.say(ANSWER[at : at + size])
            view.draw("")
    assert told(glass) == trimmed(whole(ANSWER))
    assert "waiting" not in "\n".join(glass.lines)


def test_a_block_longer_than_the_screen_is_seen_at_its_end_and_kept_whole() -> None:
    glass, code = Glass(), "```text\n" + "".join(f"line {n}\n" for n in range(50)) + "```\n"
    with LiveView(glass.console) as view:
        for line in code.splitlines(keepends=True)[:-1]:
            view.say(line)
            view.draw("Ctrl-C stops")
        assert any("line 49" in line for line in glass.screen.display)
        assert not any("line 10" in line for line in glass.lines)
        view.say("```\n")
    assert [line.strip() for line in told(glass) if "line" in line] == [f"line {n}" for n in range(50)]


def test_reasoning_comes_first_and_is_dim() -> None:
    glass = Glass()
    with LiveView(glass.console) as view:
        view.think("Hm, bees.\n")
        view.draw("")
        view.think("Eight?")
        view.draw("")
        view.say("Eight.")
        view.draw("")
    assert told(glass) == ["Hm, bees. Eight?", "", "Eight."]
    assert b"\x1b[2mHm, bees." in b"".join(glass.frames)


def test_nothing_is_drawn_when_nothing_is_new_and_a_frame_is_shown_at_once() -> None:
    glass = Glass()
    with LiveView(glass.console) as view:
        view.say("Hello")
        view.draw("")
        before = len(glass.frames)
        view.draw("")
        assert len(glass.frames) == before
        view.say(" you")
        view.draw("")
        assert glass.frames[before] == b"\x1b[?2026h"
        assert glass.frames[-1] == b"\x1b[?2026l"
        assert len(glass.frames) == before + 3


def test_the_words_of_a_worker_do_not_speak_to_the_terminal() -> None:
    glass = Glass()
    with LiveView(glass.console) as view:
        view.say("a\x1b]0;evil\x07b\x1b[2Jc")
        view.draw("d\x1b[31m")
    assert told(glass) == ["a]0;evilb[2Jc"]


def test_an_answer_that_never_came_leaves_nothing() -> None:
    glass = Glass()
    with LiveView(glass.console) as view:
        view.draw("waiting")
    assert told(glass) == []
    assert glass.screen.cursor.y == 0
    assert not glass.screen.cursor.hidden


def test_a_pipe_gets_the_answer_as_it_is_with_a_line_end() -> None:
    written = list[str]()
    with PlainView(written.append) as view:
        view.think("Hm.")
        view.draw("waiting")
        view.say("**Eight**")
        view.say(" bees\x1b")
    assert written == ["**Eight**", " bees\x1b", "\n"]


MARKS = st.sampled_from(
    [
        "*",
        "**",
        "`",
        "```",
        "\n",
        "\n\n",
        "# ",
        "- ",
        "1. ",
        "> ",
        "|",
        "|-|-|\n",
        "[",
        "](x)",
        "![",
        "<b>",
        "</kbd>",
        "---\n",
        "a",
        " ",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(MARKS, max_size=40).map("".join))
def test_no_markdown_breaks_it_and_no_letter_is_lost(text: str) -> None:
    glass, blocks = Glass(), Blocks()
    pieces = [piece for letter in text for piece in blocks.push(letter)]
    assert "".join([*pieces, *blocks.finish()]) == text
    with LiveView(glass.console) as view:
        for letter in text:
            view.say(letter)
        view.draw("")
    assert told(glass) == trimmed(whole(text))
