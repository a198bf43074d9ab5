"""Reranking in the shape of Cohere and Jina: documents by how well they answer a query."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from litestar import post
from litestar.types import ASGIApp

from coordinator.answer.serve import called, serve_whole
from coordinator.answer.teller import Counts, Names, Told
from coordinator.api.bodies import decoded
from coordinator.api.face import face_of
from coordinator.api.hive import HttpRequest
from coordinator.submit.body import PlacedBody, asked_by_body, refuse_common
from coordinator.submit.placement import asked_by_headers, placement
from coordinator.submit.request import JobRequest, Submission
from coordinator.submit.texts import in_jobs
from shared.errors import RequestError
from shared.geo.jurisdiction import NO_GROUPS, Groups
from shared.vectors import numbers_of, rows_of

MOST_DOCUMENTS: Final = 2048


class Document(msgspec.Struct, frozen=True):
    """A document by its text; other fields mean nothing."""

    text: str


class RerankBody(PlacedBody, frozen=True, kw_only=True):
    """`POST /v1/rerank`: a query and up to 2048 documents; the best `top_n` are told, all of them where it is left out."""

    model: str
    query: str
    documents: list[str | Document]
    top_n: int | None = None
    return_documents: bool | None = None

    @property
    def texts(self) -> list[str]:
        """The documents' texts."""
        return [document if isinstance(document, str) else document.text for document in self.documents]


_DECODER: Final = msgspec.json.Decoder(RerankBody)


def submission(body: RerankBody, header: Callable[[str], str | None], groups: Groups = NO_GROUPS) -> Submission:
    """The jobs that a body asks for; raises RequestError for what is wrong with it."""
    refuse_common(body)
    if not 1 <= len(body.documents) <= MOST_DOCUMENTS:
        message = f"documents takes from 1 to {MOST_DOCUMENTS} documents, got {len(body.documents)}."
        raise RequestError(message, param="documents")
    if body.top_n is not None and body.top_n < 1:
        raise RequestError(f"top_n must be at least 1, got {body.top_n}.", param="top_n")
    parts = in_jobs(body.texts, beside=len(body.query))
    return Submission(
        requests=tuple(JobRequest(model=body.model, task="rank", inputs=[body.query, *part]) for part in parts),
        placement=placement([asked_by_headers(header), asked_by_body(body)], groups),
        source="v1",
        attached=True,
    )


class RerankTeller:
    """Tells scores, the best first; of equal ones the document that was named first."""

    def __init__(self, names: Names, *, top_n: int | None = None, documents: Sequence[str] | None = None) -> None:
        self._names = names
        self._top_n = top_n
        self._documents = documents

    def whole(self, answers: Sequence[Told], counts: Counts) -> object:
        """The best documents."""
        scores = [score for answer in answers for row in rows_of(answer.text) for score in numbers_of(row)]
        best = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[: self._top_n]
        return {
            "id": str(self._names.id),
            "object": "list",
            "model": self._names.model,
            "results": [self._result(i, scores[i]) for i in best],
            "usage": {"prompt_tokens": counts.tokens_in, "total_tokens": counts.tokens_in},
        }

    def _result(self, index: int, score: float) -> dict[str, Any]:
        told: dict[str, Any] = {"index": index, "relevance_score": score}
        return told if self._documents is None else told | {"document": {"text": self._documents[index]}}


@post(["/v1/rerank", "/rerank"], name="rerank", status_code=200)
async def rerank(request: HttpRequest) -> ASGIApp:
    """Scores of documents: durable jobs, told in one piece; a client that goes away cancels them."""
    call = await called(request)
    body = decoded(_DECODER, call.raw)
    asked = submission(body, request.headers.get, face_of(request).groups)
    documents = body.texts if body.return_documents else None
    return await serve_whole(request, call, asked, partial(RerankTeller, top_n=body.top_n, documents=documents))


ROUTES: Final[list[Any]] = [rerank]
