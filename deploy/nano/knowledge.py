"""What hive-nano can explain, in two or three sentences each; everything else it says it does not know."""

from random import Random

from deploy.nano.samples import Sample, Split, exchange, pick, written

EXPLAIN = (
    "Explain {x} in one paragraph.",
    "What is {x}?",
    "Tell me about {x}.",
    "Explain {x} in simple terms.",
    "Can you explain {x}?",
    "Explain {x}.",
    "What do you know about {x}?",
    "Explain {x} to a child.",
    "Describe {x}.",
    "Please explain {x} simply.",
    "Describe {x} in a few sentences.",
    "Write a short text about {x}.",
    "Give me a short explanation of {x}.",
    "I would like to know about {x}.",
    "Could you tell me something about {x}?",
    "What does {x} mean?",
    "Write one paragraph about {x}.",
    "In a few words, what is {x}?",
    "Help me understand {x}.",
    "Please tell me about {x}.",
    "How would you explain {x}?",
    "{x}: what is it?",
    "Tell me something about {x}.",
    "Teach me about {x}.",
    "Give me a short description of {x}.",
    "Can you tell me about {x}?",
    "Could you explain {x}?",
    "Give me a description of {x}.",
    "Could you describe {x}?",
)


def _parsed() -> list[tuple[list[str], str, tuple[str, ...]]]:
    """From each line `name; name = text | key, key`: the names, the text and what a right answer must hold."""
    rows = []
    for line in written("about").splitlines():
        names, rest = line.split(" = ", 1)
        text, keys = rest.rsplit(" | ", 1)
        rows.append((names.split("; "), text, tuple(keys.split(", "))))
    return rows


TOPICS = _parsed()
_FIRST = 22


def explanation(rng: Random, split: Split) -> Sample:
    """A short explanation of a topic that the model knows, those of computing and of Hive more often."""
    names, text, keys = rng.choice(TOPICS[:_FIRST] if rng.random() < 0.5 else TOPICS)
    return exchange("explanations", pick(rng, EXPLAIN, split).format(x=rng.choice(names)), text, *keys)
