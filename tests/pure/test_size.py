"""What a request takes: texts by their own count and one by one, images by a bound, and what is too long for any."""

from typing import Any

import msgspec
import pytest

from coordinator.match.needs import Need
from coordinator.submit.placement import Placement
from coordinator.submit.prepare import Size, kind_of
from coordinator.submit.request import JobRequest, Submission
from coordinator.submit.size import IMAGE_CONTEXT, size_of
from shared.errors import RequestError
from shared.protocol.messages import IMAGE_TOKENS, Image, Message
from tests.pure.test_price import KEY
from tests.swarm.http_hive import entry
from tests.swarm.letters import Letters

ENTRY = msgspec.structs.replace(entry(), context=512)
SEEN = Message("user", "hello", images=[Image(0, "data:image/png;base64,AA=="), Image(5, "data:image/png;base64,AA==")])


def size(asked: int | None = None, vocabulary: Any = None, **request: Any) -> Size:
    words: Any = vocabulary or Letters()
    return size_of(JobRequest(model="m", **request), asked, ENTRY, words)


def refused(**request: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        size(**request)
    return caught.value


def kind(size: Size, seed: str | None = None, **request: Any) -> Any:
    asked = Submission(requests=(JobRequest(model="m", **request),), placement=Placement(), source="v1", seed=seed)
    return kind_of(asked, ENTRY, size, account_id=KEY.account_id, owns=False)


def test_texts_are_read_one_by_one_and_make_nothing() -> None:
    assert size(task="embed", inputs=["abc", "", "ab"]) == Size(5, 0, 3)
    assert size(task="rank", inputs=["q", "abc", "a"]) == Size(6, 0, 4)
    assert size(10, prompt="abc") == Size(3, 10, 13)


def test_a_text_that_does_not_fit_is_named_with_its_count() -> None:
    long = refused(task="embed", inputs=["a", "b" * 513])
    assert (long.code, long.param, long.details) == (
        "context_length_exceeded", "input[1]", {"tokens": 513, "most": 512}
    )  # fmt: skip
    assert size(task="embed", inputs=["b" * 512]).at_once == 512
    long = refused(task="rank", inputs=["q", "b" * 512])
    assert (long.param, long.details) == ("documents[0]", {"tokens": 513, "most": 512})


def test_a_model_that_ranks_nothing_says_so() -> None:
    class Writer(Letters):
        ranks = False

    wrong = refused(task="rank", inputs=["q", "d"], vocabulary=Writer())
    assert (wrong.code, wrong.param) == ("invalid_request", "model")
    assert size(task="embed", inputs=["q"], vocabulary=Writer()).tokens_in == 1


def test_more_numbers_than_a_result_holds_are_refused() -> None:
    class Wide(Letters):
        dimensions = 8192

    assert "up to 1098 texts" in refused(task="embed", inputs=["a"] * 1099, vocabulary=Wide()).message
    assert size(task="embed", inputs=["a"] * 1098, vocabulary=Wide()).tokens_in == 1098


def test_images_are_held_for_by_their_bound_and_take_less_of_a_context() -> None:
    assert size(10, messages=[SEEN]) == Size(5 + 2 * IMAGE_TOKENS, 10, 5 + 2 * IMAGE_CONTEXT + 10)


@pytest.mark.parametrize(
    ("param", "value"),
    [("tools", "[]"), ("response_format", '{"type":"json_object"}'), ("logprobs", 0), ("logit_bias", {"1": 5})],
)
def test_what_no_upstream_is_trusted_with_is_refused_beside_images(param: str, value: Any) -> None:
    wrong = refused(messages=[SEEN], **{param: value})
    assert (wrong.code, wrong.param) == ("unsupported_parameter", param)


def test_a_kind_says_what_the_model_is_asked() -> None:
    small = Size(10, 0, 10)
    assert kind(small, task="embed", inputs=["a"]).needs == Need.EMBED
    assert kind(small, task="rank", inputs=["q", "d"]).needs == Need.RANK
    assert kind(Size(10, 5, 15), messages=[SEEN], seed="7").needs == Need.VISION
    assert kind(Size(10, 5, 15), messages=[msgspec.structs.replace(SEEN, images=[])], seed="7").needs == Need.SEEDED


def test_what_is_only_read_is_priced_by_what_is_read() -> None:
    one, ten = (kind(Size(n, 0, 100), task="embed", inputs=["a"]).price for n in (1_000_000, 10_000_000))
    assert one == ten == (100_000_000 * 6 // 10).bit_length()
