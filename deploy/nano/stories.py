"""Stories and poems: a hero sets out, meets some trouble on the way, and comes home."""

import functools
import operator
from dataclasses import replace
from random import Random

from deploy.nano.samples import Sample, Split, exchange, pick, written

NAMES = [
    "Anna",
    "Tom",
    "Mia",
    "Leo",
    "Nora",
    "Ben",
    "Clara",
    "Felix",
    "Ida",
    "Oscar",
    "Lina",
    "Max",
    "Rosa",
    "Hugo",
    "Emma",
    "Paul",
    "Vera",
    "Jonas",
    "Ella",
    "Finn",
]
HEROES: dict[str, tuple[str, str]] = {
    "dragon": ("a small green dragon", "cave"),
    "robot": ("a little robot", "workshop"),
    "cat": ("a clever cat", "house"),
    "dog": ("a brave dog", "farm"),
    "princess": ("a curious princess", "castle"),
    "sailor": ("an old sailor", "harbor"),
    "bee": ("a tiny bee", "hive"),
    "fox": ("a young fox", "forest"),
    "girl": ("a quiet girl", "village"),
    "boy": ("a cheerful boy", "village"),
    "bear": ("a big brown bear", "cave"),
    "rabbit": ("a fast rabbit", "meadow"),
    "farmer": ("a patient farmer", "farm"),
    "king": ("a lonely king", "castle"),
    "mouse": ("a gray mouse", "mill"),
    "knight": ("a gentle knight", "castle"),
    "owl": ("a wise owl", "tower"),
    "pirate": ("a friendly pirate", "ship"),
    "wizard": ("a forgetful wizard", "tower"),
    "horse": ("a white horse", "farm"),
}
GOALS = (
    ("a golden key", "open the old gate"),
    ("a blue stone", "bring back the rain"),
    ("a silver bell", "wake the sleeping town"),
    ("a lost map", "find the way to the sea"),
    ("a magic seed", "make the garden grow again"),
    ("a warm lamp", "light the long winter"),
    ("a red book", "learn the old songs"),
    ("a glass star", "guide the ships home"),
)
Chapter = list[tuple[str, ...]]
HELPERS = ("an owl", "a turtle", "a crow", "an old woman", "a squirrel", "a shepherd", "a goose", "a little frog")

STORY_ASKED = (
    "Tell me a story.",
    "Tell me a story about a {x}.",
    "Write a story about a {x}.",
    "Can you tell me a story?",
    "I want to hear a story.",
    "Please tell me a story about a {x}.",
    "Write a story.",
    "Tell a story about a {x}.",
    "Tell me a bedtime story.",
    "Could you tell me a story about a {x}?",
)
LONG_ASKED = (
    "Tell me a long story.",
    "Write a long story about a {x}.",
    "Please tell me a long story.",
    "Tell me a long story about a {x}.",
    "I would like to hear a long story.",
    "Can you tell me a long story about a {x}?",
    "Write a long story.",
    "Tell me a very long story about a {x}.",
    "Tell me a very long story.",
    "Can you write a long story about a {x}?",
)
SHORT_ASKED = (
    "Tell me a short story.",
    "Write a short story about a {x}.",
    "Please tell me a short story.",
    "Tell me a short story about a {x}.",
    "Can you write a short story about a {x}?",
    "Can you tell me a short story?",
    "Write a short story.",
    "Tell me a very short story.",
)
POEM_ASKED = (
    "Write a poem about {x}.",
    "Write a short poem about {x}.",
    "Tell me a poem about {x}.",
    "Can you write a poem about {x}?",
    "Please write a poem about {x}.",
    "Compose a poem about {x}.",
    "Make a poem about {x}.",
    "I would like a poem about {x}.",
    "Write me a poem about {x}.",
    "Give me a poem about {x}.",
)
_POEM_TOPICS = [
    "AI",
    "the sea",
    "the moon",
    "love",
    "spring",
    "winter",
    "rain",
    "the stars",
    "a cat",
    "a bee",
    "Hive",
    "the sun",
    "computers",
    "trees",
    "time",
    "home",
    "the ocean",
    "autumn",
    "music",
    "a river",
    "friendship",
    "snow",
    "the night",
    "a robot",
    "flowers",
    "the city",
    "summer",
    "the wind",
    "my dog",
    "hope",
]


def _chapters() -> dict[str, list[Chapter]]:
    """From the text: the chapters under each heading, a line for a sentence and ` / ` between its variants."""
    found: dict[str, list[Chapter]] = {}
    for block in written("story").strip().split("\n\n"):
        heading, *sentences = block.splitlines()
        found.setdefault(heading.strip("[]"), []).append([tuple(s.split(" / ")) for s in sentences])
    return found


_CHAPTERS = _chapters()


def _plot(rng: Random, length: str) -> Chapter:
    (opening,), (ending,) = _CHAPTERS["opening"], _CHAPTERS["ending"]
    if length == "short":
        return [opening[0], *_CHAPTERS["short"][0]]
    troubles = rng.sample(_CHAPTERS["trouble"], 3 if length == "long" else 2)
    return [
        *opening,
        *_CHAPTERS["leaving"][0],
        *functools.reduce(operator.iadd, troubles, []),
        *_CHAPTERS["finding"][0],
        *ending,
    ]


def _told(rng: Random, parts: Chapter, hero: str) -> str:
    who, home = HEROES[hero]
    thing, aim = rng.choice(GOALS)
    slots = {
        "hero": who,
        "home": home,
        "name": rng.choice(NAMES),
        "thing": thing,
        "aim": aim,
        "helper": rng.choice(HELPERS),
    }
    sentences = [rng.choice(part).format(**slots) for part in parts]
    return " ".join(s[0].upper() + s[1:] for s in sentences)


def story(rng: Random, split: Split) -> Sample:
    """A story of some 300 tokens, a longer one or one of a few sentences, as it was asked for."""
    length = rng.choices(("short", "usual", "long"), (2, 3, 2))[0]
    asked = {"short": SHORT_ASKED, "usual": STORY_ASKED, "long": LONG_ASKED}[length]
    hero = rng.choice(list(HEROES))
    question = pick(rng, asked, split).format(x=hero).replace("a owl", "an owl")
    told = exchange("short stories", question, _told(rng, _plot(rng, length), hero), "The end.")
    return told if length == "short" else replace(told, category="stories", judge="story")


def poem(rng: Random, split: Split) -> Sample:
    """Two verses of four rhyming lines."""
    topic = rng.choice(_POEM_TOPICS)
    first, second = rng.randrange(2), rng.randrange(2)
    lines = [
        ("Oh {x}, how quietly you shine,", "I think of {x} at the break of day,")[first].format(x=topic),
        ("A little light, a steady sign.", "When night and shadow go away.")[first],
        ("The world is wide, the sky is blue,", "The wind is soft, the morning new,")[second],
        ("And every road leads back to you.", "And all my thoughts return to you.")[second],
        "",
        "So let the days and seasons turn,",
        "There still is much for us to learn.",
        "And when the quiet evening nears,",
        f"I keep {topic} through all the years.",
    ]
    return exchange("poems", pick(rng, POEM_ASKED, split).format(x=topic), "\n".join(lines), topic, "years.")
