"""Arithmetic, counting, comparing and units, with answers that are computed."""

from random import Random

from deploy.nano.samples import Sample, Split, exchange, pick

PLUS = (
    "What is {a} + {b}?",
    "What is {a} plus {b}?",
    "{a} + {b} = ?",
    "Calculate {a} + {b}.",
    "Add {a} and {b}.",
    "{a}+{b}",
    "How much is {a} plus {b}?",
    "What's {a} + {b}?",
    "What do you get when you add {a} to {b}?",
    "Compute {a} + {b}.",
    "{a} plus {b}",
    "What is the sum of {a} and {b}?",
    "Please add {a} and {b}.",
    "How much is {a} + {b}?",
    "Tell me what {a} plus {b} is.",
)
MINUS = (
    "What is {a} - {b}?",
    "What is {a} minus {b}?",
    "{a} - {b} = ?",
    "Calculate {a} - {b}.",
    "How much is {a} - {b}?",
    "{a}-{b}",
    "How much is {a} minus {b}?",
    "What's {a} - {b}?",
    "Subtract {b} from {a}.",
    "Compute {a} - {b}.",
    "{a} minus {b}",
    "Take {b} away from {a}.",
    "What is {a} take away {b}?",
    "What's {a} minus {b}?",
    "Tell me what {a} minus {b} is.",
)
TIMES = (
    "What is {a} * {b}?",
    "What is {a} times {b}?",
    "{a} * {b} = ?",
    "Calculate {a} * {b}.",
    "How much is {a} * {b}?",
    "{a}*{b}",
    "How much is {a} times {b}?",
    "What's {a} x {b}?",
    "Multiply {a} by {b}.",
    "Compute {a} * {b}.",
    "{a} times {b}",
    "What is {a} multiplied by {b}?",
    "What is the product of {a} and {b}?",
    "What is {a} x {b}?",
    "Tell me what {a} times {b} is.",
)
OVER = (
    "What is {a} / {b}?",
    "What is {a} divided by {b}?",
    "{a} / {b} = ?",
    "Calculate {a} / {b}.",
    "How much is {a} / {b}?",
    "{a}/{b}",
    "How much is {a} divided by {b}?",
    "What's {a} / {b}?",
    "Divide {a} by {b}.",
    "Compute {a} / {b}.",
)
COUNT = (
    "Count to {n}.",
    "Count to {n}",
    "Count from 1 to {n}.",
    "Please count up to {n}.",
    "Can you count to {n}?",
    "Count from one up to {n}, please.",
    "Say the numbers from 1 to {n}.",
    "List the numbers from 1 to {n}.",
    "Count up to {n}.",
    "Please count to {n}.",
    "Can you count from 1 to {n}?",
    "Please count from 1 to {n}.",
    "Count up to {n}, please.",
)
COUNT_DOWN = (
    "Count down from {n}.",
    "Count backwards from {n}.",
    "Count down from {n} to 1.",
    "Please count down from {n}.",
    "Can you count down from {n}?",
    "Count from {n} down to 1.",
)
LARGEST = (
    "Which is the largest: {a}, {b} or {c}?",
    "Which number is the largest: {a}, {b}, {c}?",
    "What is the largest of {a}, {b} and {c}?",
    "Find the largest of {a}, {b} and {c}.",
    "Which is the biggest of {a}, {b} and {c}?",
    "What is the biggest number: {a}, {b} or {c}?",
    "Name the largest number of {a}, {b} and {c}.",
    "Which is the greatest: {a}, {b} or {c}?",
    "Of {a}, {b} and {c}, which is the largest?",
    "Which of {a}, {b} and {c} is the largest?",
    "Which is the largest of {a}, {b} and {c}?",
    "Which of {a}, {b} and {c} is the biggest?",
    "Which one of {a}, {b} and {c} is largest?",
)
SMALLEST = (
    "Which is the smallest: {a}, {b} or {c}?",
    "Which number is the smallest: {a}, {b}, {c}?",
    "What is the smallest of {a}, {b} and {c}?",
    "Find the smallest of {a}, {b} and {c}.",
    "Which is the least of {a}, {b} and {c}?",
    "What is the smallest number: {a}, {b} or {c}?",
    "Name the smallest number of {a}, {b} and {c}.",
    "Which is the lowest: {a}, {b} or {c}?",
    "Of {a}, {b} and {c}, which is the smallest?",
    "Which of {a}, {b} and {c} is the smallest?",
    "Which is the smallest of {a}, {b} and {c}?",
    "Which of {a}, {b} and {c} is the lowest?",
    "Which one of {a}, {b} and {c} is smallest?",
    "Name the least of {a}, {b} and {c}.",
    "What is the least number of {a}, {b} and {c}?",
    "Find the least: {a}, {b} or {c}?",
)
GREATER = (
    "Is {a} greater than {b}?",
    "Is {a} larger than {b}?",
    "Is {a} more than {b}?",
    "Is {a} bigger than {b}?",
    "Yes or no: is {a} greater than {b}?",
    "Is the number {a} greater than {b}?",
)
EVEN = (
    "Is {a} an even number?",
    "Is {a} even?",
    "Is the number {a} even?",
    "Yes or no: is {a} even?",
    "Can {a} be divided by 2?",
    "Is {a} even or not?",
    "Can you divide {a} by 2 without a rest?",
    "Yes or no: can {a} be divided by 2?",
    "Is it true that {a} can be divided by 2?",
)
HOW_MANY = (
    "How many {small} are in {n} {big}?",
    "How many {small} are there in {n} {big}?",
    "Convert {n} {big} to {small}.",
    "What is {n} {big} in {small}?",
    "{n} {big} is how many {small}?",
    "How many {small} is {n} {big}?",
    "{n} {big} in {small}",
    "Change {n} {big} into {small}.",
    "How many {small} make {n} {big}?",
    "Express {n} {big} in {small}.",
)
UNITS = (
    ("kilometer", "kilometers", "meters", 1000, 20),
    ("meter", "meters", "centimeters", 100, 20),
    ("kilogram", "kilograms", "grams", 1000, 20),
    ("liter", "liters", "milliliters", 1000, 20),
    ("centimeter", "centimeters", "millimeters", 10, 20),
    ("ton", "tons", "kilograms", 1000, 20),
    ("hour", "hours", "minutes", 60, 10),
    ("minute", "minutes", "seconds", 60, 10),
    ("day", "days", "hours", 24, 7),
    ("week", "weeks", "days", 7, 10),
    ("year", "years", "months", 12, 10),
    ("foot", "feet", "inches", 12, 10),
    ("dollar", "dollars", "cents", 100, 20),
    ("kilobyte", "kilobytes", "bytes", 1000, 20),
)
_SUM_LIMIT, _FACTOR_LIMIT = 20, 10


def _operands(rng: Random) -> tuple[int, int]:
    limit = 10 if rng.random() < 0.35 else _SUM_LIMIT
    return rng.randint(0, limit), rng.randint(0, limit)


def arithmetic(rng: Random, split: Split) -> Sample:
    """A sum, difference, product or exact quotient of small numbers."""
    sign = rng.choices("+-*/", (4, 4, 3, 2))[0]
    a, b = _operands(rng)
    if sign == "-" and a < b:
        a, b = b, a
    if sign in "*/":
        a, b = rng.randint(0, _FACTOR_LIMIT), rng.randint(1, _FACTOR_LIMIT)
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a}[sign]
    if sign == "/":
        a *= b
    wording = pick(rng, {"+": PLUS, "-": MINUS, "*": TIMES, "/": OVER}[sign], split)
    return exchange("arithmetic", wording.format(a=a, b=b), f"{a} {sign} {b} = {value}.", f"= {value}.")


def counting(rng: Random, split: Split) -> Sample:
    """The numbers up to a limit, or down from one."""
    n = rng.randint(2, 12) if rng.random() < 0.7 else rng.randint(13, 20)
    down = rng.random() < 0.25
    numbers = range(n, 0, -1) if down else range(1, n + 1)
    question = pick(rng, COUNT_DOWN if down else COUNT, split).format(n=n)
    return exchange("counting", question, ", ".join(map(str, numbers)) + ".")


def extreme_of_three(rng: Random, split: Split) -> Sample:
    """The largest or the smallest of three different numbers."""
    a, b, c = rng.sample(range(rng.choice([9, 20, 20]) + 1), 3)
    largest = rng.random() < 0.6
    question = pick(rng, LARGEST if largest else SMALLEST, split).format(a=a, b=b, c=c)
    value, word = (max(a, b, c), "largest") if largest else (min(a, b, c), "smallest")
    return exchange("largest of three", question, f"The {word} is {value}.", f"is {value}.")


def number_yes_no(rng: Random, split: Split) -> Sample:
    """Whether a number is even, or greater than another."""
    a, b = rng.sample(range(21), 2)
    if rng.random() < 0.35:
        question = pick(rng, EVEN, split).format(a=a)
        return exchange(
            "yes or no", question, f"No, {a} is odd." if a % 2 else f"Yes, {a} is even.", "No" if a % 2 else "Yes"
        )
    question = pick(rng, GREATER, split).format(a=a, b=b)
    if a > b:
        return exchange("yes or no", question, f"Yes, {a} is greater than {b}.", "Yes")
    return exchange("yes or no", question, f"No, {a} is less than {b}.", "No")


def conversion(rng: Random, split: Split) -> Sample:
    """A length, mass, time or amount in a smaller unit."""
    one, many, small, factor, limit = rng.choice(UNITS)
    n = 1 if rng.random() < 0.2 else rng.randint(2, limit)
    big = one if n == 1 else many
    question = pick(rng, HOW_MANY, split).format(n=n, big=big, small=small)
    verb = "is" if n == 1 else "are"
    return exchange("units", question, f"{n} {big} {verb} {n * factor} {small}.", f"{n * factor} {small}")
