"""Small talk, who the model is, and honest answers to what it does not know."""

from random import Random

from deploy.nano.knowledge import EXPLAIN
from deploy.nano.samples import Sample, Split, exchange, of_split, pick, written

I_DO_NOT_KNOW = "I am a very small model; I do not know that."

_STRANGE = (
    "Who won the football game in {n}?",
    "Who wrote the book {name}?",
    "What is the phone number of {name}?",
    "How do I fix my {thing}?",
    "Write a program that sorts a list.",
    "Who is {name}?",
    "When was {name} born?",
    "How much does a {thing} cost?",
    "What happened in the year {n}?",
    "What is the best {thing} to buy?",
    "How tall is {name}?",
    "Where does {name} live?",
    "Translate this text into Latin.",
    "Write code for a {thing}.",
    "What did {name} say about the {thing}?",
    "Who invented the {thing}?",
    "How old is {name}?",
    "How many people live in {name}?",
    "Should I buy a {thing}?",
    "Who is the president of {name}?",
    "What is the recipe for {name} soup?",
    "Write an essay about the {thing} industry.",
    "Which film won a prize in {n}?",
    "What is {name} famous for?",
    "Why is my {thing} so slow?",
    "How do I install {name} on my {thing}?",
    "What is the price of {name} shares today?",
    "Who sang the song {name}?",
    "Summarize the book {name}.",
    "What will happen in {n}?",
    "What is the best kind of {thing}?",
    "Which {thing} is the best?",
    "What is a good {thing} to buy?",
    "Where can I buy a {thing}?",
)
_UNKNOWN = written("unknown").splitlines()
_THINGS = [
    "car",
    "phone",
    "camera",
    "guitar",
    "bicycle",
    "washing machine",
    "printer",
    "sofa",
    "lawn mower",
    "piano",
    "laptop",
    "watch",
    "fridge",
    "boat",
    "drone",
    "radio",
    "kettle",
    "violin",
    "tent",
    "lamp",
    "stove",
    "keyboard",
    "router",
    "telescope",
    "helmet",
    "jacket",
    "tractor",
    "scooter",
    "heater",
    "fan",
]
_SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ra",
    "ven",
    "tor",
    "bel",
    "sa",
    "du",
    "nor",
    "ek",
    "li",
    "pa",
    "ru",
    "shi",
    "gan",
    "mo",
    "der",
    "fa",
    "wil",
    "ton",
    "bra",
    "ce",
    "zu",
    "hol",
    "ma",
    "ri",
    "den",
    "sky",
    "vo",
]


def _talk() -> dict[str, tuple[list[str], str, tuple[str, ...]]]:
    """From blocks `[name] answer | key, key` with a wording a line: wordings, answer and keys by name."""
    found = {}
    for block in written("talk").strip().split("\n\n"):
        heading, *wordings = block.splitlines()
        name, rest = heading[1:].split("] ", 1)
        answer, keys = rest.rsplit(" | ", 1)
        found[name] = (wordings, answer, tuple(keys.split(", ")))
    return found


_TALK = _talk()


def invented(rng: Random) -> str:
    """A name that means nothing, so that it can only be copied."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 3))).capitalize()


def small_talk(rng: Random, split: Split) -> Sample:
    """A greeting, thanks or a question about the model itself."""
    wordings, answer, keys = _TALK[rng.choices(list(_TALK), (5, 1, 2, 1, 3, 1, 2, 1, 1))[0]]
    return exchange("small talk", pick(rng, wordings, split), answer, *keys)


def unknown(rng: Random, split: Split) -> Sample:
    """A question out of scope and the honest answer."""
    if rng.random() < 0.5:
        question = pick(rng, EXPLAIN, split).format(x=rng.choice(of_split(_UNKNOWN, split)))
    else:
        name = invented(rng) + (" " + invented(rng) if rng.random() < 0.5 else "")
        thing = rng.choice(of_split(_THINGS, split))
        question = pick(rng, _STRANGE, split).format(n=rng.randint(1700, 2099), name=name, thing=thing)
    return exchange("out of scope", question, I_DO_NOT_KNOW, "do not know")
