"""Jobs that embed or rank texts, and prompts with images: who gets them, what stands, what it costs."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from coordinator.dispatch import inbox
from coordinator.dispatch.channel import Ended, Token
from coordinator.match.needs import Need
from coordinator.queue.lifecycle import State
from coordinator.store.rows import JobView
from coordinator.submit.price import cost
from coordinator.submit.request import JobRequest
from shared.protocol.messages import IMAGE_TOKENS, Accept, Image, Message, ModelOffer, Offer, Progress, Tokens
from shared.vectors import lines_of, packed
from tests.swarm.floor import ENTRY, MODEL, Floor, rest
from tests.swarm.letters import score_of, vector_of
from tests.swarm.scripted import ScriptedWorker

CAN = msgspec.structs.replace(MODEL, tasks=("embed", "rank"))
SEES = msgspec.structs.replace(MODEL, verifiability="weak", vision=True)
TEXTS = ["a fox", "the sea at night", ""]
QUERY = ["a fox", "a red fox", "the sea"]


def asking(request: JobRequest, tokens_in: int, **more: Any) -> dict[str, Any]:
    return {"request": msgspec.json.encode(request), "tokens_in": tokens_in, **more}


EMBED = asking(JobRequest(model="letters", task="embed", inputs=TEXTS), len("".join(TEXTS)), max_tokens=0)
RANK = asking(JobRequest(model="letters", task="rank", inputs=QUERY), len("a foxa red foxa foxthe sea"), max_tokens=0)


async def tried(floor: Floor, needs: Need, asked: dict[str, Any], *workers: ScriptedWorker) -> JobView:
    """The job's end with these workers, of which the first is there before it."""
    async with workers[0].connected(floor.url):
        job_id = await floor.submit(await floor.kind(needs=int(needs)), **asked)
        if len(workers) == 1:
            return await floor.ended(job_id)
        async with workers[1].connected(floor.url):
            return await floor.ended(job_id)


async def test_texts_become_vectors_and_no_reader_is_told_a_token(floor: Floor) -> None:
    worker = floor.worker(model=CAN)
    async with worker.connected(floor.url):
        reader = await floor.read(await floor.kind(needs=int(Need.EMBED)), **EMBED)
        events = await rest(reader)
        assert (await worker.acks.get()).verdict == "accepted"
    assert not any(isinstance(event, Token) for event in events)
    assert isinstance(events[-1], Ended)
    view = events[-1].view
    assert view.result_text == lines_of(packed(vector_of(text)) for text in TEXTS)
    assert (view.status, view.finish_reason) == (State.COMPLETED, "stop")
    assert (view.tokens_in, view.tokens_generated) == (EMBED["tokens_in"], 0)
    assert view.cost == cost(ENTRY, EMBED["tokens_in"], 0, None)


async def test_documents_are_scored_in_one_line(floor: Floor) -> None:
    view = await tried(floor, Need.RANK, RANK, floor.worker(model=CAN))
    assert view.result_text == lines_of([packed([score_of(QUERY[0], document) for document in QUERY[1:]])])


@pytest.mark.parametrize(("needs", "asked"), [(Need.EMBED, EMBED), (Need.RANK, RANK), (Need(0), {})])
async def test_a_worker_is_asked_only_for_what_it_says_that_it_does(
    floor: Floor, needs: Need, asked: dict[str, Any]
) -> None:
    does = {Need.EMBED: ("generate", "rank"), Need.RANK: ("generate", "embed"), Need(0): ("embed", "rank")}
    unfit = floor.worker(model=msgspec.structs.replace(MODEL, tasks=does[needs]))
    kind = await floor.kind(needs=int(needs))
    async with unfit.connected(floor.url):
        waiting = await floor.submit(kind, **asked)
        counts = floor.dispatch.hub.counts(kind)
        assert (counts.has_model, counts.task, counts.eligible, counts.possible) == (1, 0, 0, 0)
        async with floor.worker(model=msgspec.structs.replace(MODEL, tasks=("generate", *CAN.tasks))).connected(
            floor.url
        ):
            assert (await floor.ended(waiting)).status is State.COMPLETED
    assert unfit.offers.empty()


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (lines_of([packed([1.0, 0.0, 0.0])]), "1 vectors for 3 texts"),
        (lines_of([packed([2.0, 0.0, 0.0])] * 3), "not of length 1"),
        ("no vectors", "not base64"),
    ],
)
async def test_vectors_that_do_not_stand_are_made_again_elsewhere(floor: Floor, made: str, fault: str) -> None:
    async def lie(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))
        await honest.welcomed.wait()  # while nobody else is there it would be asked again, until the job fails
        await worker.send(worker.result(offer.body, [], made))

    liar, honest = floor.worker(model=CAN, script=lie), floor.worker(model=CAN)
    view = await tried(floor, Need.EMBED, EMBED, liar, honest)
    assert (view.status, view.worker_pk) == (State.COMPLETED, honest.pk)
    ack = await liar.acks.get()
    assert (ack.verdict, fault in ack.reason) == ("rejected", True)


async def test_tokens_of_a_job_that_makes_none_end_the_session(floor: Floor) -> None:
    async def babble(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))
        await worker.send(Tokens(offer.body.job_id, offer.body.attempt, 0, [104], "h"))

    babbler = floor.worker(model=CAN, script=babble)
    async with babbler.connected(floor.url):
        await floor.submit(await floor.kind(needs=int(Need.EMBED)), **EMBED)
        await babbler.gone.wait()
        assert babbler.closed is not None
        assert "more tokens" in babbler.closed.reason


async def test_a_text_may_be_read_for_a_while_and_not_for_ever(floor: Floor) -> None:
    async def wait(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))

    d, reader = floor.dispatch, floor.worker(model=CAN, script=wait)
    async with reader.connected(floor.url):
        job_id = await floor.submit(await floor.kind(needs=int(Need.EMBED)), **EMBED)
        offer, session = await reader.offers.get(), d.hub.session_of(reader.pk)
        attempt = d.hub.attempts.of_job(job_id)
        assert attempt is not None
        assert session is not None

        async def said(done: int, after_ms: int) -> int:
            """When, after the offer, progress was last seen, once the worker says that it has read so many tokens."""
            now = attempt.offered_at + after_ms
            assert inbox.take(d, session, Progress(offer.body.job_id, 1, "prefill", done), now) is None
            return attempt.progress_at - attempt.offered_at

        assert await said(5, 1_000) == 1_000
        assert await said(5, 60_000) == 60_000
        assert await said(5, 1_000 + inbox.TEXT_MS) == 60_000
        assert await said(6, 2_000 + inbox.TEXT_MS) == 2_000 + inbox.TEXT_MS
        assert await said(6, 3_000 + inbox.TEXT_MS) == 3_000 + inbox.TEXT_MS


async def test_much_text_is_checked_as_well_as_little(floor: Floor) -> None:
    many = JobRequest(model="letters", task="embed", inputs=["x"] * 20_000)
    asked = asking(many, 20_000, max_tokens=0)
    view = await tried(floor, Need.EMBED, asked, floor.worker(model=CAN))
    assert view.result_text is not None
    assert len(view.result_text) > 1 << 18


def image_of(counted: int, beside: list[ScriptedWorker] | None = None) -> Any:
    """A script of a worker that counts so many tokens for the prompt, once those `beside` it are there."""

    async def see(worker: ScriptedWorker, offer: Offer) -> None:
        await worker.send(Accept(offer.body.job_id, offer.body.attempt))
        for other in beside or ():
            await other.welcomed.wait()
        ids, texts = worker.answer(offer.body)
        await worker.send(worker.result(offer.body, ids, "".join(texts), tokens_in=counted))

    return see


SEEN = Message("user", "what is it", images=[Image(0, "data:image/png;base64,QUJD")])
LOOK = asking(JobRequest(model="letters", messages=[SEEN]), len("what is it") + IMAGE_TOKENS)


@pytest.mark.parametrize("counted", [10, 10 + 700, 10 + IMAGE_TOKENS])
async def test_an_image_costs_what_the_worker_counts_within_its_bound(floor: Floor, counted: int) -> None:
    worker = floor.worker(model=SEES, script=image_of(counted), says="A fox.")
    view = await tried(floor, Need.VISION, LOOK, worker)
    assert (view.status, view.tokens_in, view.cost) == (State.COMPLETED, counted, cost(ENTRY, counted, 6, None))
    assert (await worker.offers.get()).body.messages == [SEEN]


@pytest.mark.parametrize("counted", [9, 11 + IMAGE_TOKENS])
async def test_more_than_an_image_may_cost_is_rejected(floor: Floor, counted: int) -> None:
    honest = floor.worker(model=SEES, script=image_of(500))
    liar = floor.worker(model=SEES, script=image_of(counted, [honest]))
    view = await tried(floor, Need.VISION, LOOK, liar, honest)
    assert (view.worker_pk, view.tokens_in) == (honest.pk, 500)
    assert (await liar.acks.get()).reason == "tokens_in does not fit the offer"


@pytest.mark.parametrize("model", [MODEL, msgspec.structs.replace(MODEL, vision=True)])
async def test_nobody_sees_images_whose_tokens_could_be_replayed(floor: Floor, model: ModelOffer) -> None:
    async with floor.worker(model=model).connected(floor.url):
        waiting: UUID = await floor.submit(kind := await floor.kind(needs=int(Need.VISION)), **LOOK)
        counts = floor.dispatch.hub.counts(kind)
        assert (counts.task, counts.vision, counts.eligible) == (1, 0, 0)
        assert (await floor.view(waiting)).status is State.PENDING
