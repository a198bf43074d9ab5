"""Responses that are kept, by the official client: continued, followed, cancelled, made short and deleted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from coordinator.queue import sweep
from coordinator.queue.limits import STORED
from tests.swarm.responding import MODEL, SAYS, client_of, ended, heard, offered, read_into, say
from tests.swarm.whole import Swarm


@pytest.fixture
async def client(swarm: Swarm) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(swarm) as made:
        yield made


async def test_a_chain_is_the_whole_conversation_under_its_last_instructions(swarm: Swarm, client: AsyncOpenAI) -> None:
    first = await client.responses.create(model=MODEL, input="One?", instructions="Old.")
    await offered(swarm)
    second = await client.responses.create(model=MODEL, input="Two?", previous_response_id=first.id)
    await offered(swarm)
    await client.responses.delete(first.id)
    third = await client.responses.create(
        model=MODEL, input="Three?", previous_response_id=second.id, instructions="New.", store=False
    )
    assert await heard(swarm) == [
        ("system", "New."), ("user", "One?"), ("assistant", SAYS), ("user", "Two?"), ("assistant", SAYS), ("user", "Three?")
    ]  # fmt: skip
    assert third.previous_response_id == second.id
    listed = [item async for item in client.responses.input_items.list(second.id, order="asc", limit=2)]
    assert [item.to_dict()["role"] for item in listed] == ["user", "assistant", "user"]
    assert len({item.id for item in listed}) == 3
    newest = await client.responses.input_items.list(second.id, limit=1)
    assert (newest.has_more, newest.data[0].id) == (True, listed[-1].id)
    for gone in (first.id, third.id, "resp_nonsense"):
        with pytest.raises(openai.NotFoundError) as missing:
            await client.responses.retrieve(gone)
        assert (missing.value.code, missing.value.type) == ("not_found", "invalid_request_error")
        with pytest.raises(openai.BadRequestError) as caught:
            await client.responses.create(model=MODEL, input="Four?", previous_response_id=gone)
        assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


async def test_items_are_named_by_their_ids(swarm: Swarm, client: AsyncOpenAI) -> None:
    first = await client.responses.create(model=MODEL, input="One?")
    await offered(swarm)
    (given,) = (await client.responses.input_items.list(first.id)).data
    named: Any = [{"type": "item_reference", "id": given.id}, {"type": "item_reference", "id": first.output[0].id}]
    await client.responses.create(model=MODEL, input=[*named, {"role": "user", "content": "Two?"}])
    assert await heard(swarm) == [("user", "One?"), ("assistant", SAYS), ("user", "Two?")]
    for wrong in ("msg_1", given.id + "9", str(given.id).replace("msg", "rs")):
        with pytest.raises(openai.NotFoundError) as caught:
            await client.responses.create(model=MODEL, input=[{"type": "item_reference", "id": wrong}])
        assert caught.value.param == "input[0].id"


async def test_in_the_background_it_goes_on_without_a_reader(swarm: Swarm, client: AsyncOpenAI) -> None:
    gate = asyncio.Event()
    say(swarm, chunk=1, gate=gate)
    made = await client.responses.create(model=MODEL, input="Hi", background=True)
    assert (made.status in ("queued", "in_progress"), made.background, made.output) == (True, True, [])
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model=MODEL, input="Go on.", previous_response_id=made.id)
    assert caught.value.param == "previous_response_id"
    gate.set()
    got = await ended(client, made)
    assert (got.status, got.output_text) == ("completed", SAYS)
    assert (await client.responses.cancel(got.id)).status == "completed"


async def test_in_the_background_it_is_cancelled(swarm: Swarm, client: AsyncOpenAI) -> None:
    say(swarm, chunk=1, gate=asyncio.Event())
    made = await client.responses.create(model=MODEL, input="Hi", background=True)
    assert (await client.responses.cancel(made.id)).status == "cancelled"
    assert (await client.responses.cancel(made.id)).status == "cancelled"
    seen: list[Any] = []
    stream = await client.responses.retrieve(made.id, stream=True, starting_after=1)
    with pytest.raises(openai.APIError) as caught:
        await read_into(seen, stream)
    assert ([event.type for event in seen], caught.value.message) == (
        ["response.in_progress", "response.failed"],
        "The job was cancelled.",
    )


async def test_a_stream_in_the_background_is_gone_on_with(swarm: Swarm, client: AsyncOpenAI) -> None:
    gate = asyncio.Event()
    say(swarm, chunk=1, gate=gate)
    stream = await client.responses.create(model=MODEL, input="Hi", background=True, stream=True)
    seen: list[Any] = []
    async for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    assert [event.type for event in seen[:3]] == ["response.created", "response.queued", "response.in_progress"]
    rest = await client.responses.retrieve(seen[0].response.id, stream=True, starting_after=seen[-1].sequence_number)
    gate.set()
    seen += [event async for event in rest]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    deltas = [event.delta for event in seen if event.type == "response.output_text.delta"]
    assert "".join(deltas) == seen[-1].response.output_text == SAYS
    late = [e async for e in await client.responses.retrieve(seen[0].response.id, stream=True, starting_after=500)]
    assert [(event.type, event.sequence_number) for event in late] == [("response.completed", 501)]
    async with client.responses.stream(response_id=seen[0].response.id) as again:
        assert (await again.get_final_response()).output_text == SAYS


async def test_what_was_deleted_is_gone_with_prompt_and_result(swarm: Swarm, client: AsyncOpenAI) -> None:
    got = await client.responses.create(model=MODEL, input="My secret")
    job = got.id.removeprefix("resp_")
    async with swarm.client() as http:
        assert (await http.get(f"/hive/jobs/{job}")).json()["result_text"] == SAYS
        deleted = await http.delete(f"/v1/responses/{got.id}")
        assert deleted.json() == {"id": got.id, "object": "response", "deleted": True}
        assert (await http.get(f"/hive/jobs/{job}")).json()["result_text"] is None
        for path in ("", "/input_items"):
            assert (await http.get(f"/v1/responses/{got.id}{path}")).status_code == 404
        assert (await http.delete(f"/v1/responses/{got.id}")).status_code == 404
    say(swarm, chunk=1, gate=asyncio.Event())
    running = await client.responses.create(model=MODEL, input="Hi", background=True)
    await client.responses.delete(running.id)
    async with swarm.client() as http:
        assert (await swarm.ended(http, running.id.removeprefix("resp_")))["status"] == "cancelled"


async def test_a_response_is_kept_for_thirty_days(swarm: Swarm, client: AsyncOpenAI) -> None:
    got = await client.responses.create(model=MODEL, input="My secret")
    now = swarm.hive.clock()
    await sweep.one_round(swarm.hive.engine, now + STORED - timedelta(hours=1))
    assert (await client.responses.retrieve(got.id)).output_text == SAYS
    await sweep.one_round(swarm.hive.engine, now + STORED + timedelta(hours=1))
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(got.id)


async def test_a_response_of_a_model_that_is_gone_is_deleted_all_the_same(swarm: Swarm, client: AsyncOpenAI) -> None:
    got = await client.responses.create(model=MODEL, input="My secret")
    vocabularies: Any = swarm.hive.vocabularies
    words = vocabularies.pop(MODEL)
    with pytest.raises(openai.NotFoundError, match="no longer served"):
        await client.responses.retrieve(got.id)
    await client.responses.delete(got.id)
    vocabularies[MODEL] = words
    with pytest.raises(openai.NotFoundError, match="not found"):
        await client.responses.retrieve(got.id)


async def test_others_find_nothing(swarm: Swarm, client: AsyncOpenAI) -> None:
    got = await client.responses.create(model=MODEL, input="Hi", background=True)
    got = await ended(client, got)
    admin = {"authorization": f"Bearer {swarm.admin_key}"}
    async with httpx.AsyncClient(base_url=swarm.admin_url, headers=admin) as http:
        other = (await http.post("/admin/keys", json={"plan": "enterprise", "name": "other", "grant": 1})).json()["key"]
    async with client_of(swarm, other) as stranger:
        for call in (
            stranger.responses.retrieve(got.id),
            stranger.responses.retrieve(got.id, stream=True),
            stranger.responses.delete(got.id),
            stranger.responses.cancel(got.id),
            stranger.responses.create(model=MODEL, input=[{"type": "item_reference", "id": got.output[0].id or ""}]),
        ):
            with pytest.raises(openai.NotFoundError):
                await call
        with pytest.raises(openai.NotFoundError):
            await stranger.responses.input_items.list(got.id)
        with pytest.raises(openai.BadRequestError) as caught:
            await stranger.responses.create(model=MODEL, input="Hi", previous_response_id=got.id)
        assert caught.value.code == "previous_response_not_found"
    assert (await client.responses.retrieve(got.id)).id == got.id


async def test_a_conversation_is_made_short_by_its_model(swarm: Swarm, client: AsyncOpenAI) -> None:
    say(swarm, "I told the capital: Rome.")
    asked: Any = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "Two?"},
    ]
    short = await client.responses.compact(model=MODEL, input=asked, instructions="Be brief.")
    assert [item.type for item in short.output] == ["message", "message", "compaction"]
    assert (short.object, short.usage.output_tokens > 0) == ("response.compaction", True)
    told = await heard(swarm)
    assert told[:4] == [("system", "Be brief."), ("user", "One?"), ("assistant", "A"), ("user", "Two?")]
    assert "Summarise" in (told[4][1] or "")
    sealed: Any = short.output[2]
    assert "Rome" not in sealed.encrypted_content
    say(swarm)
    items: Any = [item.to_dict(warnings=False) for item in short.output]
    await client.responses.create(model=MODEL, input=[*items, {"role": "user", "content": "Three?"}])
    (*before, summary, last) = await heard(swarm)
    assert before == [("user", "One?"), ("user", "Two?")]
    assert summary[0] == "assistant"
    assert (summary[1] or "").endswith("I told the capital: Rome.")
    assert last == ("user", "Three?")
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(short.id)
    forged: Any = [{"type": "compaction", "encrypted_content": "AAAA" + sealed.encrypted_content[4:]}]
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model=MODEL, input=forged)
    assert caught.value.param == "input[0].encrypted_content"
    say(swarm, " ")
    with pytest.raises(openai.InternalServerError) as silent:
        await client.responses.compact(model=MODEL, input="One?")
    assert silent.value.code == "job_failed"


async def test_tokens_are_counted_as_they_are_read(swarm: Swarm, client: AsyncOpenAI) -> None:
    counted = await client.responses.input_tokens.count(model=MODEL, input="One?", instructions="Be brief.")
    made = await client.responses.create(model=MODEL, input="One?", instructions="Be brief.")
    assert made.usage is not None
    assert (counted.input_tokens, counted.object) == (made.usage.input_tokens, "response.input_tokens")
    more = await client.responses.input_tokens.count(model=MODEL, input="Two?", previous_response_id=made.id)
    assert more.input_tokens > made.usage.output_tokens


async def test_what_is_too_long_loses_its_oldest_turns_if_it_may(swarm: Swarm, client: AsyncOpenAI) -> None:
    words = "word " * 200
    turns: Any = [{"role": ("user", "assistant")[place % 2], "content": f"{place} {words}"} for place in range(61)]
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model=MODEL, input=turns)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
    got = await client.responses.create(model=MODEL, input=turns, instructions="Be brief.", truncation="auto")
    assert (got.truncation, got.output_text) == ("auto", SAYS)
    told = await heard(swarm)
    assert told[0] == ("system", "Be brief.")
    assert told[1][0] == "user"
    assert [content for _, content in told[1:]] == [turn["content"] for turn in turns][-len(told) + 1 :]
    assert 3 < len(told) < 61
    with pytest.raises(openai.BadRequestError) as still:
        await client.responses.create(model=MODEL, input=words * 100, truncation="auto")
    assert still.value.code == "context_length_exceeded"


async def test_an_sdks_own_retry_is_the_same_response(swarm: Swarm, client: AsyncOpenAI) -> None:
    made = await client.responses.create(model=MODEL, input="Once.")
    again = await client.responses.create(model=MODEL, input="Once.", extra_headers={"x-stainless-retry-count": "1"})
    assert again.to_dict() == made.to_dict()
    other = await client.responses.create(model=MODEL, input="Once.")
    assert other.id != made.id
    keyed = {"Idempotency-Key": "k"}
    first = await client.responses.create(model=MODEL, input="Twice.", background=True, extra_headers=keyed)
    second = await client.responses.create(model=MODEL, input="Twice.", background=True, extra_headers=keyed)
    assert first.id == second.id
    retry = {"x-stainless-retry-count": "1"}
    retried = await client.responses.create(model=MODEL, input="Twice.", background=True, extra_headers=retry)
    assert retried.id == first.id


async def test_a_deleted_answer_is_not_given_again_as_an_empty_one(swarm: Swarm, client: AsyncOpenAI) -> None:
    keyed = {"Idempotency-Key": "k"}
    first = await client.responses.create(model=MODEL, input="Once.", extra_headers=keyed)
    await client.responses.delete(first.id)
    with pytest.raises(openai.ConflictError) as caught:
        await client.responses.create(model=MODEL, input="Once.", extra_headers=keyed)
    assert caught.value.code == "idempotency_conflict"
    again = await client.responses.create(model=MODEL, input="Once.", extra_headers={"x-stainless-retry-count": "1"})
    assert (again.id != first.id, again.output_text) == (True, SAYS)
