"""The OpenAI face: every route, with `/v1` in front or without it."""

from typing import Any, Final

from coordinator.openai import (
    batches,
    chat,
    completions,
    embeddings,
    files,
    models,
    moderations,
    rerank,
    responses,
    responses_kept,
    token_counter,
)

ROUTES: Final[list[Any]] = [
    *chat.ROUTES,
    *completions.ROUTES,
    *responses.ROUTES,
    *responses_kept.ROUTES,
    *embeddings.ROUTES,
    *rerank.ROUTES,
    *moderations.ROUTES,
    *models.ROUTES,
    *token_counter.ROUTES,
    *files.ROUTES,
    *batches.ROUTES,
]
