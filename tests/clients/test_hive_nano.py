"""Unmodified clients against a running swarm with the bundled model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import programs
from tests.clients.programs import Json
from tests.support_up import Up, running

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def up(installed: None) -> Iterator[Up]:
    with running() as swarm:
        yield swarm


async def nobody(asked: Json) -> Json:
    raise AssertionError(f"there is no stage here for {asked}")


@pytest.mark.parametrize(
    "client",
    [
        "openai_chat@ours",
        "openai_chat@theirs",
        "openai_fields@ours",
        "openai_fields@theirs",
        "openai_several@ours",
        "openai_several@theirs",
        "openai_responses@ours",
        "openai_responses@theirs",
        "openai_texts@ours",
        "openai_texts@theirs",
        "openai_node.mjs",
        "vercel.mjs",
        "langchain@theirs",
        "anthropic_messages@theirs",
        "litellm@theirs",
        "llama_index@theirs",
    ],
)
async def test_every_case_holds(up: Up, client: str, tmp_path: Path) -> None:
    where = {"HIVE_URL": up.ready.base_url, "HIVE_KEY": up.ready.api_key}
    try:
        await programs.run(client, "any", where, nobody, tmp_path)
    except AssertionError as error:
        error.add_note(up.logs())
        raise
