"""The lists of models: OpenRouter's terms, HiveOps's question, and what is true at this moment."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from coordinator.match.rules import ModelFacts
from coordinator.store.engine import Engine
from tests.swarm.http_hive import MODEL, Served, entry, make_key, online, serving

OTHER = "qwen/other:7b"


@pytest.fixture
async def served(engine: Engine, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(engine, tmp_path) as running:
        other = msgspec.structs.replace(
            entry(), id=OTHER, quantization="Q5_K_M", aliases=("other",), price_in=5, price_out=0
        )
        running.hive.catalogue[OTHER] = other
        running.hive.vocabularies[OTHER] = running.hive.vocabularies[MODEL]
        yield running


def offer(*, loaded: bool = True, weak: bool = False, **more: Any) -> ModelFacts:
    return ModelFacts("0" * 64, 2048, loaded, weak=weak, **more)


async def listed(served: Served, **query: str) -> list[dict[str, Any]]:
    async with served.client() as http:
        got = await http.get("/v1/models", params=query)
    assert got.status_code == 200
    assert got.json()["object"] == "list"
    data: list[dict[str, Any]] = got.json()["data"]
    return data


async def test_openrouters_terms_for_a_provider(served: Served) -> None:
    served.hive.join(online("rome"))
    (model,) = await listed(served)
    assert model == {
        "id": MODEL,
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "hive",
        "name": MODEL,
        "description": "",
        "hugging_face_id": "",
        "input_modalities": ["text"],
        "output_modalities": ["text"],
        "context_length": 2048,
        "max_output_length": 2047,
        "architecture": {"modality": "text->text", "family": "llama", "tokenizer": "words", "instruct_type": None},
        "pricing": {
            "prompt": "0.00001",
            "completion": "0.00002",
            "image": "0",
            "request": "0",
            "input_cache_read": "0.00001",
        },
        "quantization": "int8",
        "file_type": "Q8_0",
        "size_bytes": 8_000_000,
        "licence": "Apache-2.0",
        "digest": "ab" * 32,
        "supported_sampling_parameters": [
            "temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty",
            "stop", "max_tokens", "seed", "logit_bias",
        ],
        "supported_features": ["tools", "json_mode", "structured_outputs", "logprobs"],
        "is_ready": True,
        "loaded": True,
        "workers_online": 1,
        "datacenters": [{"country_code": "IT"}],
        "openrouter": {"slug": f"hive/{MODEL}"},
    }  # fmt: skip


async def test_prices_are_exact_decimals(served: Served) -> None:
    async with served.client() as http:
        pricing = (await http.get(f"/v1/models/{OTHER}")).json()["pricing"]
    assert pricing == {
        "prompt": "0.0000000000005",
        "completion": "0",
        "image": "0",
        "request": "0",
        "input_cache_read": "0.0000000000005",
    }
    assert Decimal(pricing["prompt"]) * 1_000_000 * 10**7 == 5


async def test_the_list_is_what_is_true_now(served: Served) -> None:
    assert await listed(served) == []
    rome, berlin = online("rome"), online("berlin")
    served.hive.join(rome)
    served.hive.join(berlin)
    (model,) = await listed(served)
    assert [place["country_code"] for place in model["datacenters"]] == ["DE", "IT"]
    served.hive.hub.leave(rome)
    (model,) = await listed(served)
    assert (model["workers_online"], model["datacenters"]) == (1, [{"country_code": "DE"}])
    served.hive.hub.changed(berlin, msgspec.structs.replace(berlin.facts, jobs=False))
    assert await listed(served) == []
    everything = await listed(served, all="true")
    assert [(m["id"], m["is_ready"]) for m in everything] == [(MODEL, False), (OTHER, False)]


async def test_loaded_ones_come_first_and_the_order_is_stable(served: Served) -> None:
    session = online("rome")
    session.facts = msgspec.structs.replace(session.facts, models={OTHER: offer(), MODEL: offer(loaded=False)})
    served.hive.join(session)
    for _ in range(3):
        assert [m["id"] for m in await listed(served)] == [OTHER, MODEL]


async def test_what_only_other_programs_serve_promises_less(served: Served) -> None:
    session = online("rome")
    facts = {MODEL: offer(weak=True, tasks=frozenset({"generate", "embed"})), OTHER: offer(tasks=frozenset({"embed"}))}
    session.facts = msgspec.structs.replace(session.facts, models=facts)
    served.hive.join(session)
    weak, embeds = sorted(await listed(served), key=lambda m: m["id"] != MODEL)
    assert (weak["supported_features"], weak["output_modalities"]) == ([], ["text"])
    assert not {"seed", "logit_bias"} & set(weak["supported_sampling_parameters"])
    assert (embeds["output_modalities"], embeds["max_output_length"]) == (["embeddings"], 0)
    assert embeds["supported_sampling_parameters"] == embeds["supported_features"] == []
    assert embeds["architecture"]["modality"] == "text->embeddings"


async def test_a_keys_models_alone(served: Served) -> None:
    served.hive.join(online("rome"))
    narrow = {"authorization": f"Bearer {await make_key(served.hive, models=[OTHER])}"}
    async with served.client() as http:
        assert (await http.get("/v1/models", headers=narrow)).json()["data"] == []
        everything = (await http.get("/v1/models?all=1", headers=narrow)).json()["data"]
        assert [m["id"] for m in everything] == [OTHER]
        for path in (f"/v1/models/{MODEL}", f"/v1/model/info?model={MODEL}"):
            got = await http.get(path, headers=narrow)
            assert (got.status_code, got.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_one_model_by_its_names(served: Served, prefix: str) -> None:
    served.hive.join(online("rome"))
    async with served.client() as http:
        for name, id_ in ((MODEL, MODEL), (OTHER, OTHER), ("qwen%2Fother%3A7b", OTHER), ("other", OTHER)):
            for path in (f"/models/{name}", f"/models/{name}/", f"/model/info?model={name}"):
                got = await http.get(prefix + path)
                assert (got.status_code, got.json()["id"]) == (200, id_), path
        for path, status, code, param in (
            ("/models/none", 404, "model_not_found", "model"),
            ("/model/info?model=none", 404, "model_not_found", "model"),
            ("/model/info", 400, "invalid_request", "model"),
            ("/model/info?model=", 400, "invalid_request", "model"),
        ):
            got = await http.get(prefix + path)
            error = got.json()["error"]
            assert (got.status_code, error["code"], error["param"]) == (status, code, param), path


async def test_head_and_a_trailing_slash(served: Served) -> None:
    served.hive.join(online("rome"))
    async with served.client() as http:
        for path in ("/v1/models", "/models/", f"/v1/models/{MODEL}", f"/v1/model/info/?model={MODEL}"):
            full, head = await http.get(path), await http.head(path)
            assert (full.status_code, head.status_code, head.content) == (200, 200, b""), path
            assert head.headers["content-length"] == full.headers["content-length"]
