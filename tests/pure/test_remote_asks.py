"""What each kind of server is asked, who it is told to be, and what of its numbers is believed."""

import json
import math
import struct
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, strategies as st

from shared.protocol.messages import Image, Message, Sampling
from worker.engine.wire import Generate
from worker.remote import kinds
from worker.remote.asks import Ask, Kind, ask, embeddings, refusal, rerank
from worker.remote.kinds import (
    Listed,
    Props,
    Running,
    Shown,
    Studio,
    Version,
    build,
    found,
    kind_of,
    listed,
    ollama_tasks,
    tried_tasks,
)
from worker.remote.upstream import Upstream, UpstreamFailed
from worker.remote.vectors import normalised, scores, vectors

ORIGIN = Upstream(url="http://127.0.0.1:9/v1", models={"m": "there"}).origin
KINDS: tuple[Kind, ...] = get_args(Kind)
SAMPLING = Sampling(
    temperature=700_000, top_p=900_000, min_p=50_000, top_k=40, presence_penalty=100_000, frequency_penalty=200_000,
    repetition_penalty=1_100_000,
)  # fmt: skip


def request(**changed: Any) -> Generate:
    fields: dict[str, Any] = {
        "number": 1, "max_tokens": 20, "sampling": SAMPLING, "seed": (1 << 63) + 5, "messages": [Message("user", "hi")],
        "stop": ["END"], "scope": "s",
    }  # fmt: skip
    return Generate(**{**fields, **changed})


def asked(kind: Kind, context: int = 2048, tokens_in: int = 9, **changed: Any) -> tuple[Ask, dict[str, Any]]:
    call = ask(request(**changed), kind, ORIGIN, "there", context=context, tokens_in=tokens_in, salt="salt")
    assert call.request.body is not None
    return call, json.loads(call.request.body)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gets_the_words_the_model_and_the_sampling(kind: Kind) -> None:
    call, body = asked(kind)
    assert body["model"] == "there"
    assert body["stream"] is True
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    flat = body | body.get("options", {})
    told = {"temperature": 0.7, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.2, "seed": 5}
    assert {name: flat[name] for name in told} == told
    assert "END" not in json.dumps(body)
    assert call.framing == ("ndjson" if kind == "ollama" else "sse")


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "server"])
def test_known_kinds_get_the_rest_of_the_sampling_in_their_words(kind: Kind) -> None:
    _, body = asked(kind)
    flat = body | body.get("options", {})
    assert (flat["top_k"], flat["min_p"]) == (40, 0.05)
    assert flat["repetition_penalty" if kind == "vllm" else "repeat_penalty"] == 1.1


@pytest.mark.parametrize(("kind", "path"), [("server", "/v1/completions"), ("ollama", "/api/generate")])
def test_a_raw_prompt_goes_raw(kind: Kind, path: str) -> None:
    call, body = asked(kind, prompt="Once", messages=None)
    assert (call.request.path, body["prompt"]) == (path, "Once")
    assert body.get("raw", True) is True


def test_nobody_may_time_the_prompt_of_another_account() -> None:
    assert asked("llama-server")[1]["cache_prompt"] is False
    assert asked("vllm")[1]["cache_salt"] == "salt"


def test_ollama_is_given_the_context_and_forbidden_to_cut_the_prompt() -> None:
    _, body = asked("ollama", context=1024)
    assert (body["options"]["num_ctx"], body["truncate"], body["shift"]) == (1024, False, False)


def test_an_upstream_is_asked_for_more_tokens_than_ours_and_never_for_more_than_fit() -> None:
    assert asked("vllm")[1]["max_tokens"] == 104
    assert asked("vllm", context=50, tokens_in=40)[1]["max_tokens"] == 10
    assert asked("ollama", context=50, tokens_in=40)[1]["options"]["num_predict"] == 10


@pytest.mark.parametrize(
    "changed",
    [
        {"resume": [1]}, {"tools": "[]"}, {"logit_bias": {"1": 5}}, {"logprobs": 0},
        {"response_format": '{"type":"json_object"}'}, {"response_format": "{"}, {"response_format": "[]"},
    ],
)  # fmt: skip
def test_what_no_upstream_is_trusted_with(changed: dict[str, Any]) -> None:
    assert all(refusal(request(**changed), kind) for kind in KINDS)


def test_what_some_of_them_can() -> None:
    plain = request(sampling=Sampling())
    assert [refusal(plain, kind) for kind in KINDS] == [None] * len(KINDS)
    text = request(sampling=Sampling(), response_format='{"type":"text"}')
    assert [refusal(text, kind) for kind in KINDS] == [None] * len(KINDS)
    fresh = request(sampling=Sampling(), fresh=True)
    assert {kind for kind in KINDS if refusal(fresh, kind) is None} == {"llama-server", "vllm"}
    assert {kind for kind in KINDS if refusal(request(), kind) is None} == set(KINDS) - {"server"}
    called = request(messages=[Message("assistant", tool_calls=[{}])])
    assert {kind for kind in KINDS if refusal(called, kind)} == {"ollama", "server"}


SEEN = Message(
    "user", "before\nafter", images=[Image(0, "data:image/png;base64,QUJD"), Image(6, "data:image/jpeg;base64,REVG")]
)


def test_images_stand_where_they_stood_in_the_text() -> None:
    def image(url: str) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": url}}

    _, body = asked("vllm", messages=[SEEN])
    assert body["messages"][0]["content"] == [
        image(SEEN.images[0].url), {"type": "text", "text": "before"}, image(SEEN.images[1].url),
        {"type": "text", "text": "\nafter"},
    ]  # fmt: skip
    _, body = asked("llama-server", messages=[Message("user", images=[SEEN.images[0]])])
    assert body["messages"][0]["content"] == [image(SEEN.images[0].url)]


def test_ollama_gets_images_bare_and_beside_the_text() -> None:
    _, body = asked("ollama", messages=[SEEN, Message("assistant", "I see.")])
    assert body["messages"] == [
        {"role": "user", "content": "before\nafter", "images": ["QUJD", "REVG"]},
        {"role": "assistant", "content": "I see."},
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_only_for_models_that_see_them(kind: Kind) -> None:
    shown = request(messages=[SEEN], sampling=Sampling())
    assert refusal(shown, kind) == "this upstream server does not see images with this model"
    assert refusal(shown, kind, vision=True) is None


def test_what_a_model_of_ollama_can_be_asked() -> None:
    assert ollama_tasks(None) == ollama_tasks(Shown()) == ("generate",)
    assert ollama_tasks(Shown(capabilities=["completion", "tools", "vision"])) == ("generate",)
    assert ollama_tasks(Shown(capabilities=["embedding"])) == ("embed",)
    assert ollama_tasks(Shown(capabilities=[])) == ()


def test_what_a_server_can_be_asked_that_was_tried() -> None:
    told = [
        tried_tasks(kind, embeds=embeds, ranks=ranks)
        for kind in ("llama-server", "vllm")
        for embeds in (False, True)
        for ranks in (False, True)
    ]  # fmt: skip
    assert told == [
        ("generate",), ("rank",), ("generate", "embed"), ("rank",), ("generate",), ("rank",), ("embed",), ("embed", "rank"),
    ]  # fmt: skip


def test_who_answers() -> None:
    def kind(owner: str, server: str = "", version: Version | None = None) -> Kind:
        return kind_of(Listed("m", owner), server, version)

    assert kind("llamacpp") == "llama-server"
    assert kind("me", "llama.cpp") == "llama-server"
    assert kind("vllm", "uvicorn") == "vllm"
    assert kind("organization_owner") == "lm-studio"
    assert kind("library", version=Version("0.12.3")) == "ollama"
    assert kind("library") == kind("library", version=Version()) == "server"


def test_a_model_is_found_by_its_name_its_alias_or_its_latest_tag() -> None:
    models = listed(b'{"data":[{"id":"/m.gguf","aliases":["nano"]},{"id":"llama3:latest"},{"id":"x:8b"}]}')
    assert [found(models, name).id for name in ("nano", "llama3", "x:8b")] == ["/m.gguf", "llama3:latest", "x:8b"]
    with pytest.raises(UpstreamFailed) as caught:
        found(models, "x")
    assert caught.value.code == "model_not_loaded"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":[{"id":3}]}', b"\xff", b"[" * 100_000])
def test_a_list_that_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        listed(body)


@given(st.sampled_from(KINDS), st.text())
def test_a_build_fits_a_receipt(kind: Kind, version: str) -> None:
    told = build(kind, version)
    assert len(told) <= 200
    assert told.isprintable()
    assert told.startswith(f"openai {kind}")


def test_how_much_context_there_is() -> None:
    shown = msgspec.json.decode(
        b'{"model_info":{"llama.context_length":8192,"x":null},"parameters":"stop \\"a\\"\\nnum_ctx 6000"}', type=Shown
    )
    running = msgspec.json.decode(b'{"models":[{"name":"m:latest","context_length":2000}]}', type=Running)
    assert kinds.ollama_context(shown, running, "m") == 2000
    assert kinds.ollama_context(shown, None, "m") == kinds.ollama_context(shown, running, "other") == 6000
    assert kinds.ollama_context(None, None, "m") == 4096
    small = msgspec.json.decode(b'{"model_info":{"a.context_length":512}}', type=Shown)
    assert kinds.ollama_context(small, None, "m") == 512
    assert kinds.studio_context(Studio(32_768, 9000)) == 9000
    assert kinds.studio_context(Studio(2048, 0)) == 2048
    assert kinds.studio_context(None) == 4096
    model = listed(b'{"data":[{"id":"m","max_model_len":5000,"meta":{"n_ctx_train":8000}}]}')[0]
    props = msgspec.json.decode(b'{"default_generation_settings":{"n_ctx":1024}}', type=Props)
    assert (kinds.listed_context(model, None), kinds.listed_context(model, props)) == (5000, 1024)
    assert kinds.listed_context(Listed("m"), None) == 0


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(numbers, min_size=1, max_size=30).filter(any))
def test_vectors_have_length_one(vector: list[float]) -> None:
    raw = normalised(vector)
    told = struct.unpack(f"<{len(vector)}f", raw)
    assert math.isclose(math.fsum(x * x for x in told), 1.0, rel_tol=1e-5)


def test_vectors_are_put_in_the_order_of_their_texts() -> None:
    body = b'{"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[3,0]}]}'
    assert vectors(body, 2) == [struct.pack("<2f", 1, 0), struct.pack("<2f", 0, 1)]
    assert scores(b'{"results":[{"index":1,"relevance_score":-2},{"index":0,"relevance_score":1.5}]}', 2) == [1.5, -2.0]


@pytest.mark.parametrize(
    "body",
    [
        b"{}", b'{"data":[]}', b'{"data":[{"index":0,"embedding":[0,0]}]}', b'{"data":[{"index":0,"embedding":[]}]}',
        b'{"data":[{"index":1,"embedding":[1]}]}', b'{"data":[{"index":0,"embedding":[1e999]}]}',
        b'{"data":[{"index":0,"embedding":["a"]}]}', b'{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}',
    ],
)  # fmt: skip
def test_vectors_that_are_none(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        vectors(body, 1)


def test_vectors_and_scores_must_be_complete() -> None:
    with pytest.raises(UpstreamFailed):
        vectors(b'{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1]}]}', 2)
    with pytest.raises(UpstreamFailed):
        scores(b'{"results":[{"index":0,"relevance_score":1}]}', 2)


def test_the_calls_without_tokens() -> None:
    assert json.loads(embeddings(ORIGIN, "there", ["a"]).body or b"")["input"] == ["a"]
    call = rerank(ORIGIN, "there", "q", ["a", "b"])
    assert call.path == "/v1/rerank"
    assert json.loads(call.body or b"")["documents"] == ["a", "b"]
