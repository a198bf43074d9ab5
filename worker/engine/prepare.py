"""From a request to what the loop runs: the prompt's ids, and the grammar of its format."""

from shared.tokens import TemplateError, Vocabulary
from worker.engine.constraint import GrammarError
from worker.engine.grammar import grammar_for
from worker.engine.sequence import Prompt
from worker.engine.wire import Failed, Generate


def prepared(request: Generate, vocabulary: Vocabulary) -> Prompt | Failed:
    """The request ready for a slot, or why it can never be done here."""
    try:
        return Prompt(request, vocabulary.prompt_ids(request), grammar_for(request, vocabulary))
    except (TemplateError, GrammarError) as error:
        return Failed(request.number, "invalid_request", str(error), retryable=False)
