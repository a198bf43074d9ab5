"""The OpenAI face: every route, with `/v1` in front or without it."""

from typing import Any, Final

from coordinator.openai import chat, completions, models, token_counter

ROUTES: Final[list[Any]] = [*chat.ROUTES, *completions.ROUTES, *models.ROUTES, *token_counter.ROUTES]
