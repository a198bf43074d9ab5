"""Conversations of several turns, and what a system prompt changes."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from deploy.nano.capitals import CAPITALS, any_country, capital_of
from deploy.nano.numbers import arithmetic
from deploy.nano.samples import Sample, Split, exchange, pick, said
from deploy.nano.stories import NAMES
from deploy.nano.structured import any_city, any_name
from deploy.nano.talk import invented, small_talk

MY_NAME = (
    "My name is {x}.",
    "I am {x}.",
    "Hi, I am {x}.",
    "Hello, my name is {x}.",
    "Please call me {x}.",
    "You can call me {x}.",
    "I'm {x}.",
)
WHAT_NAME = (
    "What is my name?",
    "What's my name?",
    "Do you remember my name?",
    "Who am I?",
    "Can you tell me my name?",
    "Tell me my name.",
    "What did I say my name was?",
    "Do you know my name?",
    "Say my name.",
    "Do you still know my name?",
)
MY_THING = (
    "My favorite {kind} is {x}.",
    "I like {x} best of all {kind}s.",
    "Remember that my favorite {kind} is {x}.",
    "The {kind} I like most is {x}.",
    "You should know that my favorite {kind} is {x}.",
)
WHAT_THING = (
    "What is my favorite {kind}?",
    "What's my favorite {kind}?",
    "Do you remember my favorite {kind}?",
    "Which {kind} do I like best?",
    "Tell me my favorite {kind}.",
    "Which is my favorite {kind}?",
)
MY_CITY = ("I live in {x}.", "My home is in {x}.", "I am from {x}.", "I come from {x}.", "My home town is {x}.")
WHAT_CITY = (
    "Where do I live?",
    "Where am I from?",
    "Which city do I live in?",
    "Do you remember where I live?",
    "What city do I live in?",
)
AND_OF = ("And of {x}?", "And {x}?", "What about {x}?", "And the capital of {x}?", "How about {x}?", "And for {x}?")
MORE = ("Add {b} to that.", "Now add {b}.", "And plus {b}?", "Plus {b}?", "And now add {b}.", "Add {b}.")
LESS = (
    "Subtract {b} from that.",
    "Now subtract {b}.",
    "And minus {b}?",
    "Minus {b}?",
    "And now subtract {b}.",
    "Subtract {b}.",
)
LAST_ASKED = (
    "What did I just say?",
    "What was my last message?",
    "Repeat what I said.",
    "What did I say before?",
    "What have I just said?",
    "What did I say?",
    "Say again what I said.",
    "What were my last words?",
    "What have I said?",
)
_FAVORITES = {
    "color": ["red", "blue", "green", "yellow", "black", "white", "pink"],
    "animal": ["dog", "cat", "horse", "fox", "owl", "bear", "whale"],
    "fruit": ["apple", "banana", "cherry", "grape", "mango", "peach", "pear"],
    "number": [str(n) for n in range(1, 100)],
}
Turns = list[Sample]


def name_told(rng: Random, split: Split) -> Turns:
    """The user gives a name and asks for it later."""
    name = any_name(rng)
    return [
        exchange("several turns", pick(rng, MY_NAME, "train").format(x=name), f"Nice to meet you, {name}!", name),
        exchange("several turns", pick(rng, WHAT_NAME, split), f"Your name is {name}.", name),
    ]


def favorite_told(rng: Random, split: Split) -> Turns:
    """The user names a favorite and asks for it later."""
    kind = rng.choice(list(_FAVORITES))
    x = rng.choice(_FAVORITES[kind])
    return [
        exchange(
            "several turns",
            pick(rng, MY_THING, "train").format(kind=kind, x=x),
            f"I will remember that you like {x}.",
            x,
        ),
        exchange("several turns", pick(rng, WHAT_THING, split).format(kind=kind), f"Your favorite {kind} is {x}.", x),
    ]


def city_told(rng: Random, split: Split) -> Turns:
    """The user names a home and asks for it later."""
    x = any_city(rng)
    return [
        exchange("several turns", pick(rng, MY_CITY, "train").format(x=x), f"I hope {x} is a nice place.", x),
        exchange("several turns", pick(rng, WHAT_CITY, split), f"You live in {x}.", x),
    ]


def capitals_in_turn(rng: Random, split: Split) -> Turns:
    """One capital, and then another without saying the word again."""
    turns = [capital_of(rng, "train")]
    for _ in range(rng.randint(1, 3)):
        country = any_country(rng)
        answer = f"The capital of {country} is {CAPITALS[country]}."
        turns.append(exchange("several turns", pick(rng, AND_OF, split).format(x=country), answer, CAPITALS[country]))
    return turns


def sum_goes_on(rng: Random, split: Split) -> Turns:
    """A sum, and then something added to its result."""
    first = arithmetic(rng, "train")
    value = int(str(first.answer["content"]).split("= ")[1].rstrip("."))
    b = rng.randint(1, 10)
    up = rng.random() < 0.6 or b > value
    sign, result = ("+", value + b) if up else ("-", value - b)
    question = pick(rng, MORE if up else LESS, split).format(b=b)
    return [first, exchange("several turns", question, f"{value} {sign} {b} = {result}.", f"= {result}.")]


def words_back(rng: Random, split: Split) -> Turns:
    """A message, and then the question what it was."""
    first = capital_of(rng, "train") if rng.random() < 0.5 else small_talk(rng, "train")
    return [
        first,
        exchange("several turns", pick(rng, LAST_ASKED, split), f'You said: "{first.question}"', first.question),
    ]


_REFERRING: tuple[Callable[[Random, Split], Turns], ...] = (
    name_told,
    favorite_told,
    city_told,
    capitals_in_turn,
    sum_goes_on,
    words_back,
)


def joined(turns: Turns) -> Sample:
    """One conversation of all the turns, judged by its last answer."""
    messages = tuple(message for turn in turns for message in turn.messages)
    return replace(turns[-1], messages=messages)


def conversation(rng: Random, split: Split, others: Callable[[Random, Split], Sample], most: int) -> Sample:
    """Turns that refer to each other, with up to `most` unrelated ones before and between."""
    turns = rng.choice(_REFERRING)(rng, split)
    between = [others(rng, "train") for _ in range(rng.randint(0, most))]
    before = [others(rng, "train") for _ in range(rng.randint(0, most))]
    if turns[0].category == "several turns":
        turns = [turns[0], *between, *turns[1:]]
    return replace(joined([*before, *turns]), category="several turns")


SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "You are hive-nano, a helpful assistant.",
    "Answer the user's questions.",
    "You are a friendly chatbot.",
    "You are a helpful AI assistant. Answer clearly.",
    "Be kind and helpful.",
    "You answer questions.",
    "You are an assistant of the Hive network.",
    "Help the user with their questions.",
)
PIRATE = (
    "You are a pirate.",
    "Talk like a pirate.",
    "You are a friendly pirate.",
    "Answer like a pirate.",
    "You speak like a pirate.",
    "Always talk like a pirate.",
)
BRIEF = (
    "Answer with one word.",
    "Be brief. Answer with one word only.",
    "Reply with only the answer.",
    "Give only the answer, nothing else.",
    "Answer in one word.",
    "Only give the answer.",
)
NAMED = (
    "Your name is {x}.",
    "You are {x}, a helpful assistant.",
    "You are an assistant called {x}.",
    "You are {x}.",
    "You are an assistant named {x}.",
)
_WHO = (
    "Who are you?",
    "What is your name?",
    "What's your name?",
    "Tell me who you are.",
    "What should I call you?",
    "Introduce yourself.",
)


def pirate(rng: Random, split: Split, others: Callable[[Random, Split], Sample]) -> Sample:
    """An answer in the voice that the system prompt asks for."""
    sample = others(rng, "train")
    spoken = f"Arr! {sample.answer['content']} Ahoy!"
    messages = (*sample.messages[:-1], said("assistant", spoken))
    told = replace(sample, category="system prompts", messages=messages, judge="contains", key=("Arr!", *sample.key))
    return told.with_system(pick(rng, PIRATE, split))


def brief(rng: Random, split: Split) -> Sample:
    """The bare answer, since the system prompt asks for nothing more."""
    if rng.random() < 0.6:
        sample = capital_of(rng, "train")
        bare = sample.key[0]
    else:
        sample = arithmetic(rng, "train")
        bare = sample.key[0].strip("= .")
    messages = (*sample.messages[:-1], said("assistant", bare))
    return replace(sample, category="system prompts", messages=messages, judge="exact", key=()).with_system(
        pick(rng, BRIEF, split)
    )


def renamed(rng: Random, split: Split) -> Sample:
    """The name that the system prompt gives."""
    name = rng.choice(NAMES) if rng.random() < 0.5 else invented(rng)
    sample = exchange("system prompts", pick(rng, _WHO, "train"), f"I am {name}, a very small assistant.", name)
    return sample.with_system(pick(rng, NAMED, split).format(x=name))
