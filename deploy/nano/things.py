"""Colors, animals, days, opposites and what belongs to which kind."""

from random import Random

from deploy.nano.samples import Sample, Split, exchange, pick

COLOR_OF: dict[str, str] = {
    thing: color
    for color, things in {
        "blue": "the sky, the sea, a blueberry, a sapphire",
        "green": "grass, a cucumber, a frog, a lime, broccoli, a leaf, a pea, spinach, an emerald",
        "white": "snow, milk, a polar bear, salt, cotton, rice, a swan, chalk",
        "red": "blood, a tomato, a strawberry, a cherry, a fire truck, a ladybug, a ruby",
        "yellow": "a banana, a lemon, the sun, a chick, a sunflower",
        "orange": "a carrot, a pumpkin, an orange",
        "brown": "chocolate, soil, a brown bear, coffee",
        "black": "coal, a crow, a raven, the night sky",
        "gray": "an elephant, a mouse, ash",
        "pink": "a flamingo, a pig",
        "purple": "an eggplant, lavender",
    }.items()
    for thing in things.split(", ")
}
MIXES = {
    ("red", "blue"): "purple",
    ("red", "yellow"): "orange",
    ("blue", "yellow"): "green",
    ("red", "white"): "pink",
    ("black", "white"): "gray",
    ("red", "green"): "brown",
}
COLOR_ASKED = (
    "What color is {x}?",
    "Which color does {x} have?",
    "Tell me the color of {x}.",
    "What is the color of {x}?",
    "What color does {x} have?",
    "What's the color of {x}?",
    "Name the color of {x}.",
    "Which color is {x}?",
    "{x} has what color?",
    "Do you know what color {x} is?",
)
MIX_ASKED = (
    "What color do you get when you mix {a} and {b}?",
    "Mix {a} and {b}. Which color is it?",
    "What is {a} mixed with {b}?",
    "What do {a} and {b} make?",
    "Which color do {a} and {b} make?",
    "What color is made by mixing {a} and {b}?",
    "If I mix {a} and {b}, what do I get?",
    "What color is {a} plus {b}?",
    "What happens when I mix {a} paint and {b} paint?",
    "Which color do I get when I mix {a} with {b}?",
)
KINDS: dict[str, list[str]] = {
    kind: members.split(", ")
    for kind, members in {
        "animals": "dog, cat, horse, cow, lion, tiger, bear, rabbit, fox, wolf",
        "fruits": "apple, banana, cherry, grape, lemon, mango, orange, peach, pear, plum",
        "colors": "red, blue, green, yellow, orange, purple, pink, brown, black, white",
        "vegetables": "carrot, potato, onion, cabbage, spinach, pea, bean, broccoli",
        "planets": "Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune",
        "days of the week": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
        "months": "January, February, March, April, May, June, July, August, September, October, November, December",
        "countries": "France, Germany, Italy, Spain, Japan, Brazil, Canada, India",
        "cities": "Paris, Berlin, Rome, Madrid, Tokyo, London, Vienna, Lisbon",
        "shapes": "circle, square, triangle, rectangle, hexagon, oval",
        "seasons": "spring, summer, autumn, winter",
        "metals": "iron, gold, silver, copper, tin, lead",
        "birds": "eagle, owl, sparrow, crow, duck, swan, parrot, penguin",
        "programming languages": "Python, Java, Rust, Go, Ruby, Swift",
        "continents": "Africa, Asia, Europe, North America, South America, Australia, Antarctica",
    }.items()
}
SINGULAR = {
    "animals": "an animal",
    "fruits": "a fruit",
    "colors": "a color",
    "vegetables": "a vegetable",
    "planets": "a planet",
    "countries": "a country",
    "shapes": "a shape",
    "metals": "a metal",
    "birds": "a bird",
}
LIST_ASKED = (
    "Name {n} {kind}.",
    "List {n} {kind}.",
    "Give me {n} {kind}.",
    "Tell me {n} {kind}.",
    "Can you name {n} {kind}?",
    "I need {n} {kind}.",
    "Write down {n} {kind}.",
    "What are {n} {kind}?",
    "Please list {n} {kind}.",
    "Please name {n} {kind}.",
    "Can you list {n} {kind}?",
    "Can you give me {n} {kind}?",
    "Could you name {n} {kind}?",
    "Please tell me {n} {kind}.",
)
IS_A = (
    "Is {x} {kind}?",
    "Yes or no: is {x} {kind}?",
    "Would you say that {x} is {kind}?",
    "Is it true that {x} is {kind}?",
    "{x} is {kind}, right?",
    "{x} is {kind}, is it not?",
    "Tell me if {x} is {kind}.",
    "Is it right that {x} is {kind}?",
    "Is {x} really {kind}?",
)
ABILITIES: dict[str, tuple[str, str]] = {
    "fly": ("birds, bees, eagles, butterflies, owls, bats", "dogs, cats, elephants, fish, snakes, cows, horses, pigs"),
    "swim": ("fish, ducks, whales, dolphins, sharks, frogs", "stones, chairs, trees, butterflies"),
    "bark": ("dogs", "cats, fish, cows, birds, trees"),
    "talk": ("people", "stones, tables, trees, chairs"),
    "run": ("dogs, horses, cats, lions, people", "trees, stones, fish, tables, snakes"),
    "lay eggs": ("birds, hens, ducks, snakes", "dogs, cows, cats, horses"),
}
CAN = (
    "Can {x} {verb}?",
    "Are {x} able to {verb}?",
    "Yes or no: can {x} {verb}?",
    "Do you think {x} can {verb}?",
    "Tell me, can {x} {verb}?",
)
OPPOSITES = dict(
    pair.split("/")
    for pair in [
        "hot/cold",
        "big/small",
        "fast/slow",
        "up/down",
        "day/night",
        "old/new",
        "happy/sad",
        "light/dark",
        "open/closed",
        "high/low",
        "hard/soft",
        "long/short",
        "rich/poor",
        "strong/weak",
        "wet/dry",
        "full/empty",
        "early/late",
        "loud/quiet",
        "near/far",
        "good/bad",
        "left/right",
    ]
)
OPPOSITE_ASKED = (
    "What is the opposite of {x}?",
    "Tell me the opposite of {x}.",
    "Give me the opposite of {x}.",
    "What's the opposite of {x}?",
    "Which word is the opposite of {x}?",
    "Name the opposite of {x}.",
    "{x} is the opposite of what?",
    "The opposite of {x} is?",
    "What word is the opposite of {x}?",
)
NEXT_ASKED = (
    "What comes after {x}?",
    "Which {kind} comes after {x}?",
    "Which {kind} follows {x}?",
    "What {kind} comes after {x}?",
    "What {kind} follows {x}?",
    "Tell me the {kind} after {x}.",
    "What is the next {kind} after {x}?",
)
HAS = {
    "legs": {"a dog": 4, "a cat": 4, "a spider": 8, "an ant": 6, "a bird": 2, "a horse": 4, "a bee": 6, "a snake": 0},
    "sides": {"a triangle": 3, "a square": 4, "a hexagon": 6, "a pentagon": 5, "a rectangle": 4, "an octagon": 8},
    "days": {"a week": 7, "a year": 365, "a leap year": 366},
}
HOW_MANY = (
    "How many {part} does {x} have?",
    "How many {part} has {x}?",
    "What number of {part} does {x} have?",
    "Tell me how many {part} {x} has.",
    "Do you know how many {part} {x} has?",
)


def color(rng: Random, split: Split) -> Sample:
    """The color of a thing, or of two colors mixed."""
    if rng.random() < 0.3:
        a, b = pair = rng.choice(list(MIXES))
        if rng.random() < 0.5:
            a, b = b, a
        question = pick(rng, MIX_ASKED, split).format(a=a, b=b)
        return exchange("colors", question, f"{a.capitalize()} and {b} make {MIXES[pair]}.", f"make {MIXES[pair]}")
    thing = rng.choice(list(COLOR_OF))
    question = pick(rng, COLOR_ASKED, split).format(x=thing)
    return exchange(
        "colors", question[0].upper() + question[1:], f"{thing.capitalize()} is {COLOR_OF[thing]}.", COLOR_OF[thing]
    )


NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven")


def some_of_a_kind(rng: Random) -> tuple[str, int, list[str]]:
    """A kind, how many are asked for, and the first so many of its members."""
    kind = rng.choice(list(KINDS))
    n = rng.randint(2, min(7, len(KINDS[kind])))
    return kind, n, KINDS[kind][:n]


def plain_list(rng: Random, split: Split) -> Sample:
    """So many members of a kind, with commas."""
    kind, n, members = some_of_a_kind(rng)
    amount = str(n) if rng.random() < 0.5 else NUMBER_WORDS[n]
    return exchange("lists", pick(rng, LIST_ASKED, split).format(n=amount, kind=kind), ", ".join(members) + ".")


def is_a(rng: Random, split: Split) -> Sample:
    """Whether a thing belongs to a kind."""
    kind = rng.choice(list(SINGULAR))
    true = rng.random() < 0.5
    others = [k for k in SINGULAR if k != kind and not {k, kind} <= {"animals", "birds"}]
    thing = rng.choice(KINDS[kind if true else rng.choice(others)])
    if thing == "orange" and not true:
        thing = "plum" if kind != "fruits" else "iron"
    named = (
        thing
        if thing[0].isupper() or kind in ("colors", "metals")
        else ("an " if thing[0] in "aeiou" else "a ") + thing
    )
    question = pick(rng, IS_A, split).format(x=named, kind=SINGULAR[kind])
    start, verb = ("Yes", "is") if true else ("No", "is not")
    return exchange(
        "yes or no", question[0].upper() + question[1:], f"{start}, {named} {verb} {SINGULAR[kind]}.", start
    )


def ability(rng: Random, split: Split) -> Sample:
    """Whether animals or things can do something."""
    verb = rng.choice(list(ABILITIES))
    true = rng.random() < 0.5
    who = rng.choice(ABILITIES[verb][0 if true else 1].split(", "))
    start, can = ("Yes", "can") if true else ("No", "cannot")
    return exchange("yes or no", pick(rng, CAN, split).format(x=who, verb=verb), f"{start}, {who} {can} {verb}.", start)


def small_fact(rng: Random, split: Split) -> Sample:
    """An opposite, the next day or month, or how many legs and sides."""
    roll = rng.random()
    if roll < 0.4:
        pair = rng.choice(list(OPPOSITES.items()))
        x, y = pair if rng.random() < 0.5 else (pair[1], pair[0])
        return exchange(
            "small facts", pick(rng, OPPOSITE_ASKED, split).format(x=x), f"The opposite of {x} is {y}.", f"is {y}."
        )
    if roll < 0.7:
        kind, plural = rng.choice([("day", "days of the week"), ("month", "months")])
        at = rng.randrange(len(KINDS[plural]))
        x, y = KINDS[plural][at], KINDS[plural][(at + 1) % len(KINDS[plural])]
        return exchange("small facts", pick(rng, NEXT_ASKED, split).format(kind=kind, x=x), f"{y} comes after {x}.", y)
    part = rng.choice(list(HAS))
    x = rng.choice(list(HAS[part]))
    answer = f"{x.capitalize()} has {HAS[part][x]} {part}."
    return exchange("small facts", pick(rng, HOW_MANY, split).format(part=part, x=x), answer, f"has {HAS[part][x]} ")
