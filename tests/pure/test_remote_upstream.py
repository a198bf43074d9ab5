"""What an owner may say of a server of their own."""

import tomllib
from typing import Any

import msgspec
import pytest

from worker.remote.upstream import Origin, Upstream, is_near

MODELS = {"hive-nano": "llama3:8b"}


def told(**fields: Any) -> Upstream:
    return msgspec.convert({"url": "http://127.0.0.1:11434/v1", "models": MODELS, **fields}, Upstream)


def refused(**fields: Any) -> str:
    with pytest.raises(msgspec.ValidationError) as caught:
        told(**fields)
    return str(caught.value)


def test_the_table_of_the_settings_is_read() -> None:
    text = """
        [[worker.openai]]
        url = "http://192.168.1.7:8000/v1/"
        key = "sk-abc"
        models = {"hive-nano" = "llama3:8b"}
        vocabulary = {"hive-nano" = "nano.gguf"}
        slots = 2
    """
    found = msgspec.convert(tomllib.loads(text)["worker"]["openai"], tuple[Upstream, ...])
    assert (found[0].slots, found[0].models, found[0].vocabulary) == (2, MODELS, {"hive-nano": "nano.gguf"})
    assert found[0].origin == Origin("192.168.1.7", 8000, False, "/v1")
    assert found[0].origin.root == ""


def test_an_origin_knows_its_port_and_its_path() -> None:
    assert told(url="http://localhost/x/v1").origin == Origin("localhost", 80, False, "/x/v1")
    assert told(url="http://localhost/x/v1").origin.root == "/x"
    far = told(url="https://llm.example.org/v1", anywhere=True).origin
    assert far == Origin("llm.example.org", 443, True, "/v1")
    assert told(url="http://[::1]:8080/v1").origin.name == "[::1]:8080"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "10.1.2.3", "192.168.0.9", "172.16.4.4", "fd00::1"])
def test_near_addresses(host: str) -> None:
    assert is_near(host)


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "example.org", "localhost.example.org", "0.0.0.0", "::", "", "2a00::1", "127.1"]
)
def test_other_addresses_are_not_near(host: str) -> None:
    assert not is_near(host)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"url": "http://8.8.8.8/v1"}, "anywhere = true"),
        ({"url": "http://llm.example.org/v1"}, "anywhere = true"),
        ({"url": "http://llm.example.org/v1", "anywhere": True}, "https://"),
        ({"url": "ftp://127.0.0.1/v1"}, "looks like"),
        ({"url": "127.0.0.1:11434"}, "looks like"),
        ({"url": "http://127.0.0.1:99999/v1"}, "looks like"),
        ({"url": "http://127.0.0.1/v1?key=1"}, "looks like"),
        ({"url": "http://127.0.0.1/v1\r\nX-Other: 1"}, "looks like"),
        ({"url": "http://127.0.0.1/v 1"}, "looks like"),
        ({"url": "http://[::1/v1"}, "looks like"),
        ({"url": "http://user:secret@127.0.0.1/v1"}, "holds no password"),
        ({"models": {}}, "at least one model"),
        ({"models": {"hive-nano": ""}}, "printable"),
        ({"models": {"hive-nano": "a\nb"}}, "printable"),
        ({"vocabulary": {"other": "file"}}, "not among its models"),
        ({"vision": ["other"]}, "not among its models"),
        ({"key": "a b"}, "without spaces"),
        ({"key": "a\r\nHost: elsewhere"}, "without spaces"),
        ({"slots": 0}, "slots"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_refused_and_in_which_words(fields: dict[str, Any], word: str) -> None:
    assert word in refused(**fields)


def test_a_key_and_a_password_are_in_no_words() -> None:
    assert "sk-secret" not in repr(told(key="sk-secret")) + str(told(key="sk-secret"))
    assert "sk-secret" not in refused(url="http://user:sk-secret@127.0.0.1/v1")
    assert "sk-secret" not in refused(key="sk-secret 2")
