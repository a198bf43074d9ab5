"""From a request to what the loop runs: the prompt's ids, and the grammar of its format."""

from typing import Final

from shared.tokens import ModelFileError, TemplateError, Vocabulary
from worker.engine.constraint import GrammarError
from worker.engine.grammar import grammar_for
from worker.engine.sequence import Prompt
from worker.engine.wire import Failed, Generate

MOST_LOGPROBS: Final = 20
"""How many alternatives may be told for a token."""
_MOST_TOKENS: Final = 1 << 31


def prepared(request: Generate, vocabulary: Vocabulary) -> Prompt | Failed:
    """The request ready for a slot, or why it can never be done here."""
    why = objection(request, vocabulary.size)
    if why is None:
        try:
            return Prompt(request, vocabulary.prompt_ids(request), grammar_for(request, vocabulary))
        except (TemplateError, GrammarError, ModelFileError) as error:
            why = str(error)
    return Failed(request.number, "invalid_request", why, retryable=False)


def objection(request: Generate, size: int) -> str | None:
    """What in a request would break a step that others share; None if nothing. `size` is the vocabulary's: whoever made
    the tokens to resume from may have lied."""
    if any(not 0 <= token < size for token in request.resume):
        return f"the answer so far holds tokens that are none of the {size} of this model"
    if not all(token.isascii() and token.isdecimal() for token in request.logit_bias):
        return "logit_bias names something that is no token id"
    if not 0 <= (request.logprobs or 0) <= MOST_LOGPROBS:
        return f"logprobs takes up to {MOST_LOGPROBS} alternatives"
    if request.sampling.repetition_penalty <= 0 or request.sampling.top_k >= _MOST_TOKENS:
        return "repetition_penalty or top_k is out of range"
    return None
