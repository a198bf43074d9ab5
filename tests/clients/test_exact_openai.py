"""The official `openai` package for Python, in two major versions, against a scripted engine for the exact cases."""

from pathlib import Path

import pytest

from tests.clients import programs
from tests.clients.stage import Stage

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize(
    "client",
    [
        "openai_exact@ours",
        "openai_exact@theirs",
        "openai_leaving@ours",
        "openai_leaving@theirs",
        "openai_several@ours",
        "openai_several@theirs",
        "openai_responses@ours",
        "openai_responses@theirs",
        "openai_texts@ours",
        "openai_texts@theirs",
    ],
)
async def test_every_case_holds(stage: Stage, client: str, tmp_path: Path) -> None:
    await programs.run(client, "staged", stage.environment, stage.answer, tmp_path)
