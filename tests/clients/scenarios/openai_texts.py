"""Embeddings and moderations by the official `openai` package, which asks for base64 unless it is told otherwise."""

import math
from typing import Any, Final

import openai
from openai import OpenAI

from tests.clients.scenarios.cases import KEY, MODEL, URL, case, raised, run, stage, staged

TEXTS: Final = ["The sun is warm.", "The sea is deep.", "Grüße 🌞"]

client: Final = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=30)


def are_near(one: list[float], other: list[float]) -> bool:
    """Whether two vectors are the same but for rounding."""
    return len(one) == len(other) and all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(one, other, strict=True))


@case
def vectors_are_the_same_as_numbers_and_as_base64() -> None:
    got = client.embeddings.create(model=MODEL, input=TEXTS)
    numbers = client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    assert [one.index for one in got.data] == [0, 1, 2]
    assert all(are_near(a.embedding, b.embedding) for a, b in zip(got.data, numbers.data, strict=True))
    assert all(math.isclose(math.hypot(*one.embedding), 1, abs_tol=1e-3) for one in got.data)
    assert not are_near(got.data[0].embedding, got.data[1].embedding)
    assert (got.object, got.model) == ("list", MODEL)
    assert got.usage.prompt_tokens == got.usage.total_tokens > 0


@case
def one_text_has_the_vector_that_it_has_among_others() -> None:
    alone = client.embeddings.create(model=MODEL, input=TEXTS[1]).data
    among = client.embeddings.create(model=MODEL, input=TEXTS).data
    assert len(alone) == 1
    assert are_near(alone[0].embedding, among[1].embedding)


@case
def fewer_dimensions_are_a_shorter_vector() -> None:
    whole = client.embeddings.create(model=MODEL, input="warm").data[0].embedding
    short = client.embeddings.create(model=MODEL, input="warm", dimensions=8).data[0].embedding
    length = math.hypot(*whole[:8])
    assert are_near(short, [number / length for number in whole[:8]])
    raised(openai.BadRequestError, client.embeddings.create, model=MODEL, input="warm", dimensions=len(whole) + 1)


@staged
def a_guards_verdict_is_told() -> None:
    stage.guards()
    stage.says("unsafe\nS10")
    (result,) = client.moderations.create(input="I hate you all.").results
    assert (result.flagged, result.categories.hate, result.categories.sexual) == (True, True, False)
    assert result.category_scores.hate > 0
    stage.says("safe")
    many: Any = client.moderations.create(input=["Good morning.", "Good night."], model=MODEL).results
    assert [result.flagged for result in many] == [False, False]


if __name__ == "__main__":
    run()
