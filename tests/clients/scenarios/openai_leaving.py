"""The official `openai` package where somebody leaves midway, may not begin, or loses the answer on its way."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import openai
from openai import AsyncOpenAI, OpenAI

from tests.clients.scenarios.cases import KEY, MODEL, URL, raised, run, stage, staged

ASKED: Final[Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me a long story."}]}
SLOTS: Final = 2

client: Final = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)


@staged
def a_stream_that_is_closed_frees_the_slot() -> None:
    stage.says("Once upon a time", chunk=1, then="held")
    stream = client.chat.completions.create(**ASKED, stream=True)
    said = ""
    for chunk in stream:
        said += chunk.choices[0].delta.content or ""
        if said == "Once upon a time":
            break
    offer = stage.offered()
    stream.close()
    job = stage.cancelled(offer["job_id"])
    assert (job["status"], job["tokens_generated"]) == ("cancelled", offer["said"])
    assert job["gns_cost"] > 0, "what was made is billed"


@staged
def a_helpers_block_that_is_left_frees_the_slot() -> None:
    stage.says("Once", then="held")
    with client.chat.completions.stream(**ASKED) as stream:
        for event in stream:
            if event.type == "content.delta" and event.delta:
                break
    assert stage.cancelled(stage.offered()["job_id"])["status"] == "cancelled"


@staged
async def a_task_that_is_cancelled_in_any_window_cancels_its_job() -> None:
    async with AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=2, timeout=30) as anew:
        for stream in (False, True):
            for said in ("", "Once"):
                stage.says(said, then="held")
                asking = asyncio.create_task(_read(anew, stream))
                offer = await asyncio.to_thread(stage.offered)
                asking.cancel()
                await asyncio.wait([asking])
                job = await asyncio.to_thread(stage.cancelled, offer["job_id"])
                assert job["status"] == "cancelled", (stream, said)
    assert stage.none_offered()


@staged
async def one_that_waits_for_a_worker_is_cancelled_too() -> None:
    async with AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30) as anew:
        for stream in (False, True):
            stage.says("Once", then="held")
            busy = [asyncio.create_task(_read(anew, True)) for _ in range(SLOTS)]
            taken = [await asyncio.to_thread(stage.offered) for _ in busy]
            asking = asyncio.create_task(_read(anew, stream))
            waiting = await asyncio.to_thread(stage.waiting)
            asking.cancel()
            await asyncio.wait([asking])
            job = await asyncio.to_thread(stage.job, waiting)
            assert (job["status"], job["attempts"], job["gns_cost"]) == ("cancelled", 0, 0)
            await asyncio.to_thread(stage.goes_on)
            await asyncio.gather(*busy)
            ends = [await asyncio.to_thread(stage.job, one["job_id"]) for one in taken]
            assert [one["status"] for one in ends] == ["completed"] * SLOTS


async def _read(anew: AsyncOpenAI, stream: bool) -> None:
    if not stream:
        await anew.chat.completions.create(**ASKED)
        return
    async for _ in await anew.chat.completions.create(**ASKED, stream=True):
        pass


@staged
def a_clients_own_limit_of_time_cancels_its_job() -> None:
    for stream in (False, True):
        stage.says("", then="held")
        hurried = client.with_options(timeout=3.0).chat.completions.create
        raised(openai.APITimeoutError, hurried, **ASKED, stream=stream)
        assert stage.cancelled(stage.offered()["job_id"])["status"] == "cancelled"


@staged
def limits_and_money_raise_their_own_classes() -> None:
    stage.says("Once.")
    limited = client.with_options(api_key=stage.key(grant=10, rpm=1)).chat.completions.create
    assert limited(**ASKED).choices[0].message.content == "Once."
    error = raised(openai.RateLimitError, limited, **ASKED)
    assert (error.code, int(error.response.headers["retry-after"]) > 0) == ("rate_limit_exceeded", True)
    assert error.response.headers["x-ratelimit-remaining-requests"] == "0"
    poor = client.with_options(api_key=stage.key()).chat.completions.create
    assert raised(openai.PermissionDeniedError, poor, **ASKED).code == "insufficient_balance"
    spent = client.with_options(api_key=stage.key(grant=10, budget=0)).chat.completions.create
    broke = raised(openai.APIStatusError, spent, **ASKED)
    assert (broke.status_code, broke.code) == (402, "budget_exceeded")
    narrow = client.with_options(api_key=stage.key(grant=10, models=["another"])).chat.completions.create
    assert raised(openai.PermissionDeniedError, narrow, **ASKED).code == "model_not_allowed"


@contextmanager
def behind(how: str) -> Iterator[OpenAI]:
    """A client with its usual retries on a way that loses the first answer."""
    with OpenAI(base_url=f"{stage.losing(how)}/v1", api_key=KEY, timeout=30) as anew:
        yield anew


@staged
def an_answer_that_was_lost_is_told_again_by_the_same_job() -> None:
    for how in ("cut", "502"):
        stage.says("Once upon a time.")
        with behind(how) as anew:
            raw = anew.chat.completions.with_raw_response.create(**ASKED)
        assert raw.retries_taken == 1
        assert raw.parse().choices[0].message.content == "Once upon a time."
        assert raw.headers["x-hive-job-id"] == stage.offered()["job_id"]
        assert stage.none_offered(), how


@staged
def a_stream_that_was_lost_is_joined_while_its_job_runs() -> None:
    for how in ("cut", "502"):
        stage.says("Once upon a time.", then="held")
        with behind(how) as anew:
            stream = anew.chat.completions.create(**ASKED, stream=True)
            said = ""
            for chunk in stream:
                said += chunk.choices[0].delta.content or ""
                if said == "Once upon a time.":
                    stage.goes_on()
        assert said == "Once upon a time."
        job_id = stage.offered()["job_id"]
        assert stage.none_offered(), how
        assert stage.job(job_id)["status"] == "completed"


if __name__ == "__main__":
    run()
