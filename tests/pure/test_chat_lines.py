"""What a line in the chat means, what a conversation holds, and which files go along."""

import stat
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from client.chat.answering import footer
from client.chat.asking import Ended
from client.chat.attach import attachment, sees
from client.chat.completing import Completing
from client.chat.conversation import Conversation, Image, Question, Text, Turn
from client.chat.hints import told
from client.chat.places import sentence
from client.chat.prompting import FILE, MOST_BYTES, history
from client.chat.slash import COMMANDS, Command, read, unquoted
from client.chat.wishes import Wishes
from client.given import MOST_TEXT
from client.printed import amount, printable
from client.shapes.jobs import Job
from client.shapes.swarm import Architecture, Hardware, Model, Pricing, Slug, Worker
from shared.errors import HiveError, RequestError, Unavailable
from tests.pure.test_client import JOB

MODEL = Model(
    id="seer", object="model", created=1, owned_by="hive", name="Seer", description="", hugging_face_id="",
    input_modalities=["text"], output_modalities=["text"], context_length=2048, max_output_length=2048,
    architecture=Architecture("text->text", "x", "bpe", None), pricing=Pricing("0", "0", "0", "0", "0"),
    quantization="int8", file_type="Q8_0", size_bytes=1, licence="MIT", digest="ab", supported_sampling_parameters=[],
    supported_features=[], is_ready=True, loaded=True, workers_online=1, datacenters=[], openrouter=Slug("hive/seer"),
)  # fmt: skip
SEES = msgspec.structs.replace(MODEL, input_modalities=["text", "image"])


def worker(*countries: str, online: bool = True) -> Worker:
    hardware = Hardware("cpu", 1, 1, [], 0.0)
    return Worker(
        pk="ab", handle=None, cell="841e805ffffffff", countries=list(countries), tier="seedling", evidence="claimed",
        state="online", online=online, slots=1, running=0, models=[], hardware=hardware, engine_build="b",
        first_seen="", last_seen="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("", ""),
        ("  Hello\nyou  ", "Hello\nyou"),
        ("/model", Command("model", "")),
        (" /Model  hive-nano ", Command("model", "hive-nano")),
        ("/system Answer\nin rhymes", Command("system", "Answer\nin rhymes")),
        ("/q", Command("quit", "")),
        ("/?", Command("help", "")),
        ("//model is a word", "/model is a word"),
        ("/etc/passwd: what is in it?", "/etc/passwd: what is in it?"),
        ("what is /model?", "what is /model?"),
    ],
)
def test_a_line_is_a_question_or_a_command(line: str, meant: object) -> None:
    assert read(line) == meant


@pytest.mark.parametrize(
    ("line", "says"), [("/fly", "no /fly"), ("/file", "/file PATH"), ("/new york", "nothing after")]
)
def test_a_command_that_is_none_is_told_with_a_way_out(line: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        read(line)


def test_every_command_is_read() -> None:
    for name, about in COMMANDS.items():
        assert read(f"/{name} {about.argument}".strip()) == Command(name, about.argument)


@pytest.mark.parametrize(
    ("typed", "path"), [("a b", "a b"), ("'a b'", "a b"), ('"a b"', "a b"), (r"a\ b", "a b"), ("'", "'")]
)
def test_a_path_may_be_dropped_into_the_terminal(typed: str, path: str) -> None:
    assert unquoted(typed) == path


def test_a_conversation_is_what_was_answered_and_the_open_question() -> None:
    empty = Conversation(system="Be kind.")
    asked = empty.asked(Question("One?"))
    assert asked.answered("") == asked
    once = asked.answered("Yes.").asked(Question("Two?", (Text("n.txt", "zwei"),)))
    assert [message["role"] for message in once.messages()] == ["system", "user", "assistant", "user"]
    assert once.messages()[-1]["content"] == '<file name="n.txt">\nzwei\n</file>\n\nTwo?'
    assert once.undone() == asked.answered("Yes.")
    assert once.again() == once
    assert once.answered("No.").again() == once
    assert asked.answered("Yes.").undone().undone() == empty
    assert empty.again() == empty
    assert once.asked(Question("Three?")).messages()[-1]["content"] == "Three?"


def test_a_picture_is_a_part_of_the_message() -> None:
    message = Question("What is it?", (Image("a.png", "data:image/png;base64,QQ=="), Text("b", "B"))).message()
    assert message["content"][0]["text"].endswith("What is it?")
    assert message["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}


def test_a_conversation_is_saved_for_people() -> None:
    saved = Conversation("Be kind.", (Turn(Question("One?", (Text("n.txt", "zwei"),)), "Yes."),)).markdown()
    assert saved == "> Be kind.\n\n**You:** One?\n\n(with n.txt)\n\nYes.\n"


def test_text_and_pictures_are_read_and_others_are_told_why_not(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("zwei\u2028é")
    assert attachment(tmp_path / "n.txt", None) == Text("n.txt", "zwei\u2028é")
    (tmp_path / "a.PNG").write_bytes(b"\x89PNG")
    assert attachment(tmp_path / "a.PNG", SEES) == Image("a.PNG", "data:image/png;base64,iVBORw==")
    assert sees(SEES)
    wrong: dict[str, tuple[bytes, str]] = {
        "binary": (b"\xff\xfe", "neither UTF-8 text nor a picture"),
        "zero": (b"a\0b", "zero bytes"),
        "large": (b"x" * (MOST_TEXT + 1), "at most 512.0 kB"),
    }
    for name, (content, says) in wrong.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RequestError, match=says):
            attachment(tmp_path / name, MODEL)
    with pytest.raises(RequestError, match="does not see pictures"):
        attachment(tmp_path / "a.PNG", MODEL)
    with pytest.raises(RequestError, match="There is no file"):
        attachment(tmp_path, MODEL)


def test_wishes_become_arguments() -> None:
    wishes = Wishes(model="m", jurisdiction="EU", tier="navigator", seed=0)
    assert wishes.request([])["extra_body"] == {"jurisdiction": "EU", "min_trust_tier": "navigator"}
    assert wishes.where == "EU, tier navigator or higher"
    asked = wishes.request([])
    assert asked["seed"] == 0
    assert "temperature" not in asked
    assert Wishes(model="m").where == "anywhere"


def test_a_place_is_told_with_who_is_there() -> None:
    workers = [worker("IT"), worker("DE", "FR"), worker("US"), worker("IT", online=False)]
    assert sentence(Wishes(model="m"), workers) == "Answers are computed anywhere; online now: DE/FR 1, IT 1, US 1."
    assert sentence(Wishes(model="m", jurisdiction="EU"), workers).endswith("2 of 3 workers online are there.")
    assert sentence(Wishes(model="m", jurisdiction="DE"), workers).endswith("0 of 3 workers online are there.")
    assert "may have added it" in sentence(Wishes(model="m", jurisdiction="MARS"), workers)
    assert sentence(Wishes(model="m"), []).endswith("online now: nobody.")


def test_the_line_below_an_answer() -> None:
    job = msgspec.convert({**JOB, "worker_cell": "841e805ffffffff", "tokens_generated": 1234}, Job)
    assert (
        footer(job, ["IT"], Ended("stop", 1, 2))
        == "1,234 tokens · 2 tokens/s · computed in IT, cell 841e805ffffffff · 0.001 GNS"
    )
    assert footer(job, [], None).startswith("stopped · 1,234 tokens · ")
    assert footer(None, [], Ended("length", 1, 1)) == "1 token · cut off, no more tokens were allowed"


def test_a_failure_has_a_way_out_and_no_control_characters() -> None:
    assert (
        told(Unavailable("Nobody\x1b[2J.")) == "Nobody[2J. /place any widens the search, /model shows who serves what."
    )
    assert (
        told(HiveError("Busy.", code="rate_limit_exceeded", retry_after_s=9))
        == "Busy. In 9 s it may go. /retry asks again."
    )
    assert told(RequestError("No.")) == "No."


def completions(line: str) -> list[str]:
    completing = Completing(lambda: ["hive-nano", "hive-large"], lambda: ["any", "EU"])
    return [one.text for one in completing.get_completions(Document(line), CompleteEvent())]


def test_tab_completes_commands_models_places_and_paths(tmp_path: Path) -> None:
    assert completions("/mo") == ["model "]
    assert completions("/ne") == ["new"]
    assert len(completions("/")) == len(COMMANDS)
    assert completions("/model hive-n") == ["hive-nano"]
    assert completions("/place e") == ["EU"]
    assert completions("hello /mo") == []
    assert completions("/mo\ndel") == []
    (tmp_path / "notes.txt").write_text("")
    assert completions(f"/file {tmp_path}/no") == ["tes.txt"]


def test_what_was_typed_is_kept_for_its_writer_alone(tmp_path: Path) -> None:
    file = tmp_path / "home" / FILE
    history(tmp_path / "home").append_string("secret")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert list(history(tmp_path / "home").load_history_strings()) == ["secret"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    entry = "\n# 2026-01-01\n+" + "x" * 1000 + "\n"
    file.write_text(entry * (MOST_BYTES // 1000 + 1))
    kept = list(history(tmp_path / "home").load_history_strings())
    assert file.stat().st_size < MOST_BYTES * 0.6
    assert set(kept) == {"x" * 1000}
    history(None).append_string("nowhere")
    assert "nowhere" not in file.read_text()


@pytest.mark.parametrize("text", ["\x1b]0;evil\x07", "a\rb", "\x9b31m", "\x00\x7f"])
def test_control_characters_do_not_reach_the_terminal(text: str) -> None:
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in printable(text))
    assert printable("é\n\t\u2028") == "é\n\t\u2028"


def test_amounts_are_exact() -> None:
    assert amount(Decimal("0.0010000")) == "0.001 GNS"
    assert amount(Decimal("1e-7")) == "0.0000001 GNS"
    assert (amount(Decimal(0)), amount(Decimal(12))) == ("0 GNS", "12 GNS")
