"""Which requests may be answered again, and what makes two of them the same."""

from typing import Any

import msgspec
import pytest

from coordinator.answer.cache import key_of, may_repeat, wish_of
from coordinator.openai.chat import ChatBody, submission as chat
from coordinator.submit.placement import Placement
from coordinator.submit.request import JobRequest, Submission
from shared.errors import RequestError
from shared.protocol.messages import Message, Sampling
from tests.swarm.http_hive import entry

GREEDY = JobRequest(model="hive-nano", messages=[Message(role="user", content="Hi")], sampling=Sampling(temperature=0))
ASKED = Submission(requests=(GREEDY,), placement=Placement(), source="v1", max_tokens=8, attached=True)


def with_(**terms: Any) -> Submission:
    return msgspec.structs.replace(ASKED, **terms)


def request(**fields: Any) -> Submission:
    return with_(requests=(msgspec.structs.replace(GREEDY, **fields),))


@pytest.mark.parametrize(
    ("header", "wish"),
    [(None, None), ("", None), ("true", True), (" TRUE ", True), ("1", True), ("false", False), ("0", False)],
)
def test_the_header(header: str | None, wish: bool | None) -> None:
    assert wish_of(header) is wish


@pytest.mark.parametrize("header", ["no-store", "yes", "true,false", "none"])
def test_another_word_is_refused(header: str) -> None:
    with pytest.raises(RequestError) as caught:
        wish_of(header)
    assert caught.value.param == "x-hive-cache"


def test_what_may_be_repeated() -> None:
    warm = request(sampling=Sampling())
    assert may_repeat(ASKED, None)
    assert may_repeat(ASKED, wish=False)
    assert not may_repeat(warm, None)
    assert not may_repeat(warm, wish=False)
    assert may_repeat(warm, wish=True)
    assert not may_repeat(msgspec.structs.replace(warm, seed="7"), None)


@pytest.mark.parametrize(
    "asked",
    [
        with_(n=2),
        with_(requests=(GREEDY, GREEDY)),
        with_(store=True),
        with_(echo=b"{}"),
        with_(attached=False),
        request(logprobs=0),
        request(task="embed", messages=None, inputs=["x"]),
    ],
)
def test_what_is_never_repeated(asked: Submission) -> None:
    assert not may_repeat(asked, wish=True)
    assert not may_repeat(asked, None)


DIFFERENT: list[Submission] = [
    ASKED,
    request(messages=[Message(role="user", content="Hi ")]),
    request(messages=[Message(role="system", content="Hi")]),
    request(messages=None, prompt="Hi"),
    request(stop=["x"]),
    request(tools="[]"),
    request(response_format='{"type":"json_object"}'),
    request(logit_bias={"1": 1}),
    request(sampling=Sampling(temperature=0, top_k=2)),
    with_(max_tokens=9),
    with_(max_tokens=None),
    with_(seed="7"),
    with_(seed="8"),
    with_(placement=Placement(region="EU", countries=frozenset(["IT", "FR"]))),
    with_(placement=Placement(region="IT", countries=frozenset(["IT"]))),
    with_(placement=Placement(cell=1)),
    with_(placement=Placement(cell=1, strict=True)),
    with_(placement=Placement(min_tier=1)),
    with_(placement=Placement(min_evidence=1)),
    with_(placement=Placement(seeded=True)),
    with_(placement=Placement(own=True)),
]


def test_all_that_matters_is_in_the_key() -> None:
    keys = [key_of(asked, entry()) for asked in DIFFERENT]
    keys.append(key_of(ASKED, msgspec.structs.replace(entry(), digest="cd" * 32)))
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {32}


def test_what_does_not_change_the_text_is_not_in_it() -> None:
    same = [
        with_(source="hive"),
        with_(priority="batch"),
        with_(reward=5),
        with_(fallbacks=("other",)),
        request(model="another-name"),
        with_(cache_key=b"x"),
    ]
    assert {key_of(asked, entry()) for asked in same} == {key_of(ASKED, entry())}


def test_sets_and_dicts_have_no_order() -> None:
    places = [Placement(countries=frozenset(order)) for order in (["IT", "FR", "DE"], ["DE", "IT", "FR"])]
    biases = [{"1": 5, "2": 6}, {"2": 6, "1": 5}]
    keys = {
        key_of(msgspec.structs.replace(request(logit_bias=bias), placement=place), entry())
        for place in places
        for bias in biases
    }
    assert len(keys) == 1


def test_a_stream_is_the_same_request() -> None:
    bodies = [
        {"model": "hive-nano", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "stream": stream}
        for stream in (True, False)
    ]
    asked = [chat(msgspec.convert(body, ChatBody), lambda _: None) for body in bodies]
    assert key_of(asked[0], entry()) == key_of(asked[1], entry())
