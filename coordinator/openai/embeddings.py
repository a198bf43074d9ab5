"""OpenAI's embeddings: texts as vectors, as numbers or as base64."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, Literal

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.serve import called, serve_whole
from coordinator.answer.teller import Counts, Names, Told
from coordinator.api.bodies import decoded
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.openai.inputs import Spell, known, speller, texts_of
from coordinator.submit.body import PlacedBody, asked_by_body, refuse_common
from coordinator.submit.placement import asked_by_headers, placement
from coordinator.submit.request import JobRequest, Submission
from coordinator.submit.texts import in_jobs
from shared.errors import RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups
from shared.vectors import lines_of, numbers_of, packed, rows_of

MOST_TEXTS: Final = 2048
_ENCODER: Final = msgspec.json.Encoder()


class EmbeddingBody(PlacedBody, frozen=True, kw_only=True):
    """`POST /v1/embeddings`: OpenAI's fields and Hive's placement. An input is text or token ids, or a list of either;
    vectors of fewer `dimensions` are cut and have length 1 again."""

    model: str
    input: str | list[Any] | None = None
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None


_DECODER: Final = msgspec.json.Decoder(EmbeddingBody)


def submission(
    body: EmbeddingBody,
    header: Callable[[str], str | None],
    spell: Spell,
    dimensions: int,
    groups: Groups = NO_GROUPS,
) -> Submission:
    """The jobs that a body asks for, of a model whose vectors have so many `dimensions`; raises RequestError."""
    refuse_common(body)
    texts = texts_of(body.input, spell, "input", MOST_TEXTS)
    if body.dimensions is not None and not 1 <= body.dimensions <= dimensions:
        message = (
            f"dimensions must be between 1 and {dimensions}, which the model's vectors have, got {body.dimensions}."
        )
        raise RequestError(message, param="dimensions")
    parts = in_jobs(texts, numbers=dimensions)
    return Submission(
        requests=tuple(JobRequest(model=body.model, task="embed", inputs=part) for part in parts),
        placement=placement([asked_by_headers(header), asked_by_body(body)], groups),
        source="v1",
        attached=True,
    )


class EmbeddingTeller:
    """Tells vectors as OpenAI does."""

    def __init__(self, names: Names, *, dimensions: int | None = None, base64: bool = False) -> None:
        self._names = names
        self._dimensions = dimensions
        self._written = _lines if base64 else _numbers

    def whole(self, answers: Sequence[Told], counts: Counts) -> object:
        """A list of embeddings in the order of their texts."""
        written = chain.from_iterable(self._written(answer.text, self._dimensions) for answer in answers)
        data = [{"object": "embedding", "index": i, "embedding": one} for i, one in enumerate(written)]
        usage = {"prompt_tokens": counts.tokens_in, "total_tokens": counts.tokens_in}
        return {"object": "list", "data": data, "model": self._names.model, "usage": usage}


def shortened(row: bytes, dimensions: int) -> bytes:
    """The first numbers of a vector, made a vector of length 1 again where they have any."""
    numbers = numbers_of(row)[:dimensions]
    length = math.hypot(*numbers)
    return packed([number / length for number in numbers] if length else numbers)


def _lines(text: str, dimensions: int | None) -> Iterator[str]:
    """Each vector as base64 of little-endian float32, which is how a result has it."""
    if dimensions is None:
        yield from text.split("\n")
    else:
        yield from (lines_of([shortened(row, dimensions)]) for row in rows_of(text))


def _numbers(text: str, dimensions: int | None) -> Iterator[msgspec.Raw]:
    """Each vector as JSON by itself: encoding all at once would keep every other thread waiting."""
    for row in rows_of(text):
        yield msgspec.Raw(_ENCODER.encode(numbers_of(row if dimensions is None else shortened(row, dimensions))))


@post(["/v1/embeddings", "/embeddings"], name="embeddings", status_code=200)
async def embeddings(request: HttpRequest) -> ASGIApp:
    """Vectors of texts: durable jobs, told in one piece; a client that goes away cancels them."""
    call = await called(request)
    body = decoded(_DECODER, call.raw)
    face = face_of(request)
    _, vocabulary = known(face, body.model)
    spell = speller(face, body.model, "input")
    asked = submission(body, request.headers.get, spell, vocabulary.dimensions, face.groups)
    tell = partial(EmbeddingTeller, dimensions=body.dimensions, base64=body.encoding_format == "base64")
    return await serve_whole(request, call, asked, tell)


ROUTES: Final[list[Any]] = [embeddings]
