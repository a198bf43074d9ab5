"""The other clients, unmodified, against a scripted engine for the exact cases."""

from pathlib import Path

import pytest

from tests.clients import programs
from tests.clients.stage import Stage

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(
    "client",
    [
        "openai_node.mjs",
        "vercel.mjs",
        "langchain@theirs",
        "anthropic_messages@theirs",
        "litellm@theirs",
        "llama_index@theirs",
    ],
)
async def test_every_case_holds(stage: Stage, client: str, tmp_path: Path) -> None:
    await programs.run(client, "staged", stage.environment, stage.answer, tmp_path)
