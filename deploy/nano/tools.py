"""Functions that the model may call, questions that want them, and questions that do not."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from deploy.nano.samples import Message, Sample, Split, Tool, pick, said
from deploy.nano.structured import any_city, any_name
from deploy.nano.talk import invented


@dataclass(frozen=True, slots=True)
class Family:
    """Functions that do the same under different names, and the ways to ask for it; {x} is what is copied."""

    names: tuple[str, ...]
    about: tuple[str, ...]
    parameters: tuple[str, ...]
    wordings: tuple[str, ...]
    missing: str
    unit: bool = False


FAMILIES: dict[str, Family] = {
    "weather": Family(
        ("get_weather", "get_current_weather", "weather", "fetch_weather", "weather_lookup", "get_forecast"),
        (
            "Get the weather in a city",
            "Get the current weather in a given location",
            "Look up the weather",
            "Weather for a place",
        ),
        ("city", "location", "place", "town"),
        (
            "What's the weather in {x}?",
            "What is the weather in {x}?",
            "How is the weather in {x}?",
            "Weather in {x}",
            "What is the weather like in {x}?",
            "What's the weather like in {x} today?",
            "Tell me the weather in {x}.",
            "Is it raining in {x}?",
            "How warm is it in {x}?",
            "Is it cold in {x} today?",
            "What is the temperature in {x}?",
            "Please check the weather in {x}.",
            "Will it rain in {x}?",
            "I am going to {x}. How is the weather?",
            "How's the weather in {x} today?",
            "Is it warm in {x} today?",
            "Is it hot in {x}?",
            "Is it cold in {x}?",
            "What's the weather like in {x}?",
        ),
        "For which city?",
        True,
    ),
    "time": Family(
        ("get_time", "current_time", "get_local_time", "time_in_city"),
        ("Get the local time in a city", "The current time in a place"),
        ("city", "location", "place"),
        (
            "What time is it in {x}?",
            "Tell me the time in {x}.",
            "What is the local time in {x}?",
            "Current time in {x}",
            "What's the time in {x}?",
            "Can you tell me what time it is in {x}?",
            "What is the current time in {x}?",
            "Which time is it now in {x}?",
            "How late is it in {x}?",
            "Do you know the time in {x}?",
        ),
        "For which city?",
    ),
    "stock": Family(
        ("get_stock_price", "stock_price", "get_quote"),
        ("Get the price of a stock", "Current price of a share"),
        ("symbol", "ticker"),
        (
            "What is the stock price of {x}?",
            "Get the price of {x} stock.",
            "How much is one share of {x}?",
            "What is {x} trading at?",
            "What's the stock price of {x}?",
            "Tell me the stock price of {x}.",
            "Price of {x} stock",
        ),
        "For which symbol?",
    ),
    "search": Family(
        ("search_web", "web_search", "search"),
        ("Search the web", "Find pages on the internet"),
        ("query", "text"),
        (
            "Search the web for {x}.",
            "Search for {x}.",
            "Look up {x} on the internet.",
            "Find pages about {x}.",
            "Please search the web for {x}.",
            "Do a web search for {x}.",
            "Can you search for {x}?",
        ),
        "What should I search for?",
    ),
    "message": Family(
        ("send_message", "message_user", "send_text"),
        ("Send a message to a person", "Send a text"),
        ("recipient", "to", "name"),
        (
            "Send a message to {x}.",
            "Message {x}.",
            "Write a message to {x}.",
            "Please send {x} a message.",
            "Please send a message to {x}.",
            "Send {x} a message.",
            "I want to send a message to {x}.",
        ),
        "To whom?",
    ),
    "population": Family(
        ("get_population", "population_of", "count_people"),
        ("Get the population of a city", "How many people live in a place"),
        ("city", "place"),
        (
            "How many people live in {x}?",
            "What is the population of {x}?",
            "Population of {x}",
            "Tell me the population of {x}.",
            "How big is the population of {x}?",
            "Get the population of {x}.",
            "How many inhabitants does {x} have?",
        ),
        "For which city?",
    ),
}
_VAGUE = {
    "weather": (
        "What's the weather?",
        "How is the weather?",
        "What is the weather like?",
        "Is it raining?",
        "How is the weather today?",
    ),
    "time": (
        "What time is it?",
        "Tell me the time.",
        "What is the time?",
        "Do you know what time it is?",
        "What's the time?",
    ),
}
_UNIT_ASKED = (
    " Use {unit}.",
    " In {unit}, please.",
    " Answer in {unit}.",
    " Give it in {unit}.",
    " Please use {unit}.",
    " I want it in {unit}.",
)
_SKIES = ("sunny", "cloudy", "rainy", "windy", "snowy", "clear", "foggy")


def declared(rng: Random, kind: str, family: Family) -> tuple[Tool, str]:
    """A function of the family as the OpenAI API declares it, and the name of its parameter."""
    parameter = rng.choice(family.parameters)
    properties: dict[str, Any] = {parameter: {"type": "string"}}
    if rng.random() < 0.4:
        properties[parameter]["description"] = rng.choice(["The name", f"The {parameter}", "What to look up"])
    if family.unit and rng.random() < 0.5:
        properties["unit"] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
    function = {"name": rng.choice(family.names) if rng.random() < 0.85 else f"{kind}_{invented(rng).lower()}"}
    if rng.random() < 0.8:
        function["description"] = rng.choice(family.about)
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if rng.random() < 0.8:
        parameters["required"] = [parameter]
    return {"type": "function", "function": {**function, "parameters": parameters}}, parameter


def subject(rng: Random, kind: str) -> str:
    """Something that a question of this kind can be about."""
    match kind:
        case "stock":
            return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(3, 4)))
        case "search":
            return " ".join(
                invented(rng).lower() if rng.random() < 0.4 else rng.choice(("bees", "maps", "old music", "red cars"))
                for _ in range(2)
            )
        case "message":
            return any_name(rng)
        case _:
            return any_city(rng)


def _call(tool: Tool, arguments: dict[str, Any], call_id: str) -> Message:
    function = {"name": tool["function"]["name"], "arguments": json.dumps(arguments, sort_keys=True)}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def offered(rng: Random, chosen: str | None) -> tuple[list[Tool], Tool, str]:
    """One to three functions in any order, the chosen one among them with its parameter."""
    kinds = rng.sample([k for k in FAMILIES if k != chosen], rng.choices((0, 1, 2), (6, 3, 1))[0])
    wanted = chosen or rng.choice([k for k in FAMILIES if k not in kinds])
    tool, parameter = declared(rng, wanted, FAMILIES[wanted])
    tools = [tool, *(declared(rng, k, FAMILIES[k])[0] for k in kinds)]
    rng.shuffle(tools)
    return tools, tool, parameter


def _asked(rng: Random, split: Split, kind: str, tool: Tool, parameter: str) -> tuple[str, dict[str, Any]]:
    x = subject(rng, kind)
    question = pick(rng, FAMILIES[kind].wordings, split).format(x=x)
    arguments = {parameter: x}
    if "unit" in tool["function"]["parameters"]["properties"] and rng.random() < 0.5:
        arguments["unit"] = rng.choice(["celsius", "fahrenheit"])
        question += rng.choice(_UNIT_ASKED).format(unit=arguments["unit"])
    return question, arguments


def tool_call(rng: Random, split: Split) -> Sample:
    """A question that one of the functions answers, and the call."""
    kind = rng.choices(list(FAMILIES), (6, 2, 1, 1, 1, 1))[0]
    tools, tool, parameter = offered(rng, kind)
    question, arguments = _asked(rng, split, kind, tool, parameter)
    messages = (said("user", question), _call(tool, arguments, "call_1"))
    return Sample("tool calls", messages, "tool_call", tools=tuple(tools))


def _result(rng: Random, kind: str, x: str, unit: str | None) -> tuple[dict[str, Any], str, str]:
    match kind:
        case "weather":
            degrees, sky = rng.randint(-9, 39), rng.choice(_SKIES)
            sky_key = rng.choice(["condition", "sky", "weather"])
            value = {rng.choice(["temperature", "temp"]): degrees, sky_key: sky}
            if unit:
                value["unit"] = unit
            said_unit = f" {unit}" if unit else ""
            return value, f"It is {degrees} degrees{said_unit} and {sky} in {x}.", f"{degrees} degrees"
        case "time":
            clock = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
            return {"time": clock}, f"It is {clock} in {x}.", clock
        case "stock":
            price = rng.randint(1, 999)
            return {"price": price}, f"The price of {x} is {price}.", f"is {price}."
        case "search":
            found = invented(rng)
            return {"result": found}, f"I found this: {found}.", found
        case "message":
            return {"status": "sent"}, f"The message to {x} was sent.", "sent"
        case _:
            people = rng.randint(100, 9999) * 100
            return {"population": people}, f"{people} people live in {x}.", str(people)


def tool_answer(rng: Random, split: Split) -> Sample:
    """The sentence that tells a function's result."""
    kind = rng.choices(list(FAMILIES), (6, 2, 1, 1, 1, 1))[0]
    tools, tool, parameter = offered(rng, kind)
    question, arguments = _asked(rng, split, kind, tool, parameter)
    value, answer, key = _result(rng, kind, arguments[parameter], arguments.get("unit"))
    response = {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(value)}
    messages = (said("user", question), _call(tool, arguments, "call_1"), response, said("assistant", answer))
    return Sample("tool results", messages, "no_call", (key,), tuple(tools))


def vague_call(rng: Random, split: Split) -> Sample:
    """A question that lacks what the function needs, and the question back."""
    kind = rng.choice(list(_VAGUE))
    tools, _, _ = offered(rng, kind)
    messages = (said("user", pick(rng, _VAGUE[kind], split)), said("assistant", FAMILIES[kind].missing))
    return Sample("no tool call", messages, "no_call", ("which",), tuple(tools))
