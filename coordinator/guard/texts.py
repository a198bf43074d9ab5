"""What of a request guards look at: all that is text in it."""

from collections.abc import Iterable

from coordinator.guard.guard import INPUT, Text
from coordinator.submit.request import JobRequest


def texts_of(requests: Iterable[JobRequest]) -> list[Text]:
    """The texts of these requests in their order: of prompts, of texts to embed or rank, of messages, and of
    the arguments of earlier calls."""
    found: list[Text] = []
    for request in requests:
        if request.prompt:
            found.append(Text("prompt", "", request.prompt))
        found += [Text(f"input[{i}]", INPUT, text) for i, text in enumerate(request.inputs) if text]
        for i, message in enumerate(request.messages or []):
            if message.content:
                found.append(Text(f"messages[{i}]", message.role, message.content))
            for call in message.tool_calls or []:
                found.append(Text(f"messages[{i}].tool_calls", message.role, call["function"]["arguments"]))
    return found
