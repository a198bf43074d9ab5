"""JSON on request, and words repeated as they were given."""

import json
from random import Random
from typing import Any

from deploy.nano.capitals import CAPITALS, KNOWN
from deploy.nano.samples import Sample, Split, exchange, pick, said
from deploy.nano.stories import NAMES
from deploy.nano.talk import invented
from deploy.nano.things import NUMBER_WORDS, some_of_a_kind

ARRAY_ASKED = (
    "List {n} {kind} in JSON format.",
    "List {n} {kind} as JSON.",
    "Give me a JSON array of {n} {kind}.",
    "Name {n} {kind} in JSON.",
    "Give me {n} {kind} in JSON format.",
    "Write a JSON list of {n} {kind}.",
    "Return {n} {kind} as a JSON array.",
    "Give me a JSON list with {n} {kind}.",
    "As JSON: {n} {kind}.",
    "Return a JSON array of {n} {kind}.",
    "Please list {n} {kind} as a JSON array.",
    "Name {n} {kind} as a JSON list.",
    "Output {n} {kind} in JSON.",
)
PERSON_ASKED = (
    "Extract the person info as JSON: {text}",
    "Extract the name, age and city as JSON: {text}",
    "{text} Return this as JSON.",
    "Turn this into JSON: {text}",
    "Convert this to JSON: {text}",
    "Give me this person as a JSON object: {text}",
    "Extract person info from this text as JSON: {text}",
    "Read this and answer in JSON: {text}",
    "Write this as JSON: {text}",
    "Extract the person as JSON: {text}",
    "Extract this person as JSON: {text}",
    "Convert to JSON: {text}",
    "Extract name, age and city as JSON: {text}",
)
PERSON_TEXT = (
    "{name} is {age} years old and lives in {city}.",
    "{name}, {age}, lives in {city}.",
    "My name is {name}, I am {age} and I live in {city}.",
    "{name} lives in {city} and is {age} years old.",
    "This is {name} from {city}, aged {age}.",
    "I am {name}, {age} years old, from {city}.",
    "{name} from {city} is {age} years old.",
)
COUNTRY_ASKED = (
    "Give me {country} and its capital as JSON.",
    "Return a JSON object with the country {country} and its capital.",
    "Write a JSON object for {country} with its capital.",
    "What is the capital of {country}? Answer in JSON.",
    "Tell me the capital of {country} in JSON format.",
    "Capital of {country} as JSON.",
    "Give me the capital of {country} in JSON.",
)
OBJECT_ASKED = (
    "Give me a JSON object with {fields}.",
    "Write a JSON object with {fields}.",
    "Make a JSON object with {fields}.",
    "Create JSON with {fields}.",
    "Create a JSON object with {fields}.",
    "Return JSON with {fields}.",
    "I need a JSON object with {fields}.",
    "Create an object in JSON with {fields}.",
    "Create one JSON object with {fields}.",
)
_FIELDS: dict[str, list[str]] = {
    "color": ["red", "blue", "green", "black"],
    "size": ["small", "medium", "large"],
    "animal": ["dog", "cat", "horse"],
    "status": ["open", "closed", "done"],
    "job": ["doctor", "teacher", "baker"],
    "fruit": ["apple", "pear", "plum"],
}
_AMOUNTS = ("age", "price", "count", "year", "id", "weight")
REPEAT_ASKED = (
    "Repeat after me: {x}",
    "Say this: {x}",
    "Repeat: {x}",
    "Please repeat: {x}",
    "Repeat these words: {x}",
    "Repeat this: {x}",
    "Say: {x}",
    "Repeat the words: {x}",
    "Repeat these: {x}",
)
_WORDS = [
    "blue",
    "green",
    "red",
    "house",
    "tree",
    "river",
    "mountain",
    "apple",
    "bread",
    "moon",
    "star",
    "winter",
    "summer",
    "happy",
    "quiet",
    "fast",
    "small",
    "big",
    "cat",
    "dog",
    "bird",
    "music",
    "garden",
    "morning",
    "evening",
    "stone",
    "paper",
    "window",
    "table",
    "hello",
    "world",
    "open",
    "water",
    "fire",
]
CITIES = [CAPITALS[c] for c in KNOWN] + [
    "Milan",
    "Munich",
    "Naples",
    "New York",
    "Chicago",
    "Barcelona",
    "Lyon",
    "Hamburg",
    "Mumbai",
    "Sydney",
    "Osaka",
]


def any_name(rng: Random) -> str:
    """A first name, often one that means nothing."""
    return rng.choice(NAMES) if rng.random() < 0.5 else invented(rng)


def any_city(rng: Random) -> str:
    """A city, often one that does not exist."""
    roll = rng.random()
    return rng.choice(CITIES) if roll < 0.6 else rng.choice(list(CAPITALS.values())) if roll < 0.8 else invented(rng)


def _json_sample(question: str, value: Any) -> Sample:
    return Sample("json", (said("user", question), said("assistant", json.dumps(value))), "json")


def _object(rng: Random, split: Split) -> Sample:
    value: dict[str, Any] = {"name": any_name(rng)} if rng.random() < 0.6 else {}
    for field in rng.sample(list(_FIELDS), rng.randint(0, 2)):
        value[field] = rng.choice(_FIELDS[field])
    for field in rng.sample(_AMOUNTS, rng.randint(1, 2)):
        value[field] = rng.randint(1, 99)
    named = [f'{k} "{v}"' if isinstance(v, str) and rng.random() < 0.5 else f"{k} {v}" for k, v in value.items()]
    fields = " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]
    return _json_sample(pick(rng, OBJECT_ASKED, split).format(fields=fields), value)


def json_answer(rng: Random, split: Split) -> Sample:
    """An array or an object, and nothing but the JSON."""
    roll = rng.random()
    if roll < 0.4:
        kind, n, members = some_of_a_kind(rng)
        amount = str(n) if rng.random() < 0.6 else NUMBER_WORDS[n]
        return _json_sample(pick(rng, ARRAY_ASKED, split).format(n=amount, kind=kind), members)
    if roll < 0.5:
        country = rng.choice(KNOWN)
        question = pick(rng, COUNTRY_ASKED, split).format(country=country)
        return _json_sample(question, {"country": country, "capital": CAPITALS[country]})
    if roll < 0.7:
        return _object(rng, split)
    person = {"name": any_name(rng), "age": rng.randint(1, 99), "city": any_city(rng)}
    text = pick(rng, PERSON_TEXT, "train").format(**person)
    return _json_sample(pick(rng, PERSON_ASKED, split).format(text=text), person)


def repetition(rng: Random, split: Split) -> Sample:
    """The same words again; many of them in training, since that is where copying is learnt."""
    most = 14 if split == "train" else 6
    words = " ".join(
        rng.choice(_WORDS) if rng.random() < 0.7 else invented(rng).lower() for _ in range(rng.randint(1, most))
    )
    return exchange("repetition", pick(rng, REPEAT_ASKED, split).format(x=words), words)
