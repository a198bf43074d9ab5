"""What a request takes of a model: the tokens that it reads and may make, and how many of them at once. Pure."""

from typing import Final

from coordinator.submit.prepare import Size, prompt_tokens, room
from coordinator.submit.request import JobRequest
from shared.catalogue import Entry
from shared.errors import RequestError
from shared.protocol.messages import IMAGE_TOKENS, images_in
from shared.tokens import Vocabulary

IMAGE_CONTEXT: Final = 1024
"""The room in a context that an image is taken to need: most vision models make fewer tokens of it. What is held for it is
IMAGE_TOKENS, for nobody knows before."""

MOST_NUMBERS: Final = 9_000_000
"""So many numbers fit into one result."""


def size_of(request: JobRequest, asked: int | None, entry: Entry, vocabulary: Vocabulary) -> Size:
    """The size of a request that asks for so many tokens; raises RequestError for what is wrong with it, or too long."""
    if request.task != "generate":
        lengths = text_lengths(request, entry, vocabulary)
        return Size(sum(lengths), 0, max(lengths))
    words, images = prompt_tokens(request, vocabulary), images_in(request.messages)
    if images:
        _check_seen(request)
    max_tokens = room(words, asked, entry)
    return Size(words + images * IMAGE_TOKENS, max_tokens, words + images * IMAGE_CONTEXT + max_tokens)


def text_lengths(request: JobRequest, entry: Entry, vocabulary: Vocabulary) -> list[int]:
    """The tokens of each text to embed, or of each document with the query; raises RequestError `context_length_exceeded`
    with the counts, or for a model that does not rank."""
    if request.task == "rank":
        if not vocabulary.ranks:
            raise RequestError(f"{entry.id} does not rank documents: name a reranker.", param="model")
        query, *documents = request.inputs
        lengths = [len(vocabulary.pair_ids(query, document)) for document in documents]
    else:
        lengths = [len(vocabulary.text_ids(text)) for text in request.inputs]
        if len(lengths) * vocabulary.dimensions > MOST_NUMBERS:
            most = MOST_NUMBERS // vocabulary.dimensions
            raise RequestError(f"{entry.id} embeds up to {most} texts in one job.", param="input")
    most = min(vocabulary.longest_text, entry.context)
    for place, length in enumerate(lengths):
        if length > most:
            raise _too_long(request, place, length, most)
    return lengths


def _too_long(request: JobRequest, place: int, length: int, most: int) -> RequestError:
    param = f"documents[{place}]" if request.task == "rank" else f"input[{place}]"
    what = f"{param} has {length} with the query" if request.task == "rank" else f"{param} has {length}"
    return RequestError(
        f"This model reads up to {most} tokens of a text, and {what}; cut it into pieces.",
        code="context_length_exceeded",
        param=param,
        details={"tokens": length, "most": most},
    )


def _check_seen(request: JobRequest) -> None:
    """Refuses beside images what those who see them are not trusted with; raises RequestError `unsupported_parameter`."""
    for param in ("tools", "response_format", "logprobs", "logit_bias"):
        if getattr(request, param) not in (None, {}):
            raise RequestError(
                f"{param} is not supported beside images: other programs than Hive's own engine see them.",
                code="unsupported_parameter",
                param=param,
            )
