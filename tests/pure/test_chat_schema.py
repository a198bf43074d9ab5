"""Schemas as grammars, judged without a model: grammars of numbers and strings as regular expressions."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from shared.chat.free import free_rules
from shared.chat.gbnf import Alt, Many, Part, Ref, Seq, joined, literal, one_of, plain
from shared.chat.pattern import NoPattern, pattern_part
from shared.chat.ranges import integers, numbers
from shared.chat.schema import MAX_WIDTH, Converter, SchemaError
from shared.chat.strings import RULES, none_of


def regex(part: Part) -> str:
    """The part as a regular expression."""
    match part:
        case Ref(name):
            return regex(RULES[name])
        case Seq(parts):
            return "".join(map(regex, parts))
        case Alt(parts):
            return f"(?:{'|'.join(map(regex, parts))})"
        case Many(inner, least, most):
            return f"(?:{regex(inner)}){{{least},{'' if most is None else most}}}"
        case _ if part.startswith('"'):
            return re.escape(re.sub(r"\\(x..|u....|U.{8}|.)", _unescaped, part[1:-1]))
        case _:
            return part


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1][1:], 16)) if len(found[1]) > 1 else found[1]


@settings(max_examples=200)
@given(st.integers(-1300, 1300), st.integers(0, 1300), st.booleans(), st.booleans())
def test_whole_numbers_fit_exactly_within_their_bounds(low: int, span: int, below: bool, above: bool) -> None:
    part = integers(Decimal(low) if below else None, Decimal(low + span) if above else None)
    assert part is not None
    fits = re.compile(regex(part))
    for number in {
        low - 1,
        low,
        low + 1,
        low + span // 2,
        low + span - 1,
        low + span,
        low + span + 1,
        0,
        -1,
        999,
        -1000,
    }:
        inside = (not below or number >= low) and (not above or number <= low + span)
        assert bool(fits.fullmatch(str(number))) == inside, number
    for bad in ("", "-", "00", "01", "-0", "1.0", "+1", "1e3"):
        assert not fits.fullmatch(bad)


BOUND = st.decimals(-1300, 1300, places=3)
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,5})?", fullmatch=True)


@settings(max_examples=100)
@given(BOUND, st.one_of(st.just(Decimal(0)), st.decimals(0, 40, places=3)), st.lists(NUMBERS, min_size=1), st.data())
def test_numbers_that_fit_are_within_their_bounds(
    low: Decimal, span: Decimal, tried: list[str], data: st.DataObject
) -> None:
    high = low + span
    part = numbers(low, high)
    assert part is not None
    fits = re.compile(regex(part))
    made = data.draw(st.from_regex(fits, fullmatch=True))
    assert low <= Decimal(made) <= high
    assert isinstance(json.loads(made), int | float)
    for text in tried:
        assert not fits.fullmatch(text) or low <= Decimal(text) <= high
    for edge in (low, high):
        assert fits.fullmatch(f"{edge:f}") or fits.fullmatch(f"{edge.normalize():f}"), edge


@pytest.mark.parametrize(("low", "high"), [("1e300", None), (None, "-1e300"), ("2", "1"), ("1e999999", "1e999999")])
def test_no_number_of_a_length_that_is_written_fits(low: str | None, high: str | None) -> None:
    bounds = Decimal(low) if low else None, Decimal(high) if high else None
    assert integers(*bounds) is None
    assert numbers(*bounds) is None


NAMES = st.lists(st.text('abé"\\\n', max_size=4), max_size=5)


@given(NAMES, NAMES)
def test_a_string_that_is_none_of_some_names(names: list[str], tried: list[str]) -> None:
    part = none_of(names)
    assert part is not None
    for text in [*names, *tried]:
        written = json.dumps(text, ensure_ascii=False)
        assert bool(re.fullmatch(regex(part), written)) == (text not in names and "\\" not in written)


@given(st.lists(st.text("abc", max_size=5), min_size=1))
def test_one_of_some_texts(texts: list[str]) -> None:
    fits = re.compile(regex(one_of(texts)))
    assert all(fits.fullmatch(text) for text in texts)
    assert all(text in texts for text in ("", "a", "ab", "abc", "c", "cab") if fits.fullmatch(text))


@given(st.text())
def test_literals_and_classes_survive_their_escapes(text: str) -> None:
    assert re.fullmatch(regex(literal(text)), text, re.DOTALL)
    assert all(
        bool(re.fullmatch(plain(), char)) == (json.dumps(char, ensure_ascii=False) == f'"{char}"') for char in text
    )


NO_PATTERNS = [
    *("a", "^a", "a$", "^a|b$", r"^\bx$", r"^(?=a)b$", r"^(a)\1$", "^(a*)*$", "^a{3,1}$", "^[]$", "^(a$", "^a)$"),
    *(r"^a\$", "^[^a-]b]]$", "^a**$", "^\\u0041$", f"^{'(' * 30}{')' * 30}$", f"^{'a' * 3000}$", "^a{999999}$"),
]


@pytest.mark.parametrize("pattern", NO_PATTERNS)
def test_patterns_that_a_grammar_cannot_say(pattern: str) -> None:
    with pytest.raises(NoPattern):
        pattern_part(pattern)


def converted(schema: Any, *, strict: bool = True) -> str:
    rules = free_rules()
    part = Converter(schema, rules, strict=strict).convert()
    return joined({"root": part, **rules})


REFUSED: list[tuple[Any, str]] = [
    ({"$ref": "https://example.org/x.json"}, "can only point into the schema itself"),
    ({"$ref": "#/$defs/none"}, "points to nothing"),
    ({"$ref": "#"}, "leads back to itself"),
    ({"allOf": [{"$ref": "#"}]}, "leads back to itself"),
    ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "leads back to itself"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "without end"),
    ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "without end"),
    (False, "no value is valid"),
    ({"enum": []}, "no value is valid"),
    ({"type": "string", "enum": [1]}, "no value is valid"),
    ({"type": "string", "minLength": 3, "maxLength": 2}, "no value is valid"),
    ({"type": "string", "minLength": 10**15}, "no value is valid"),
    ({"properties": {}, "required": ["a"], "additionalProperties": False}, "no value is valid"),
    ({"type": "integer", "minimum": 1.2, "maximum": 1.8}, "no value is valid"),
    ({"type": "thing"}, "is no type of JSON"),
    ({"type": {}}, "no JSON schema"),
    ({"properties": [1], "required": 7}, "no JSON schema"),
    ({"anyOf": 5}, "no JSON schema"),
    ({"type": "integer", "minimum": "x"}, "no JSON schema"),
    ([], "an object or a boolean"),
    ({"enum": [*range(3000)]}, "too many values"),
    ({"type": "object", "properties": {f"p{i}": {} for i in range(MAX_WIDTH + 1)}}, "leaves too much open"),
    ({"anyOf": [{"type": "object", "properties": {f"p{i}": {}}} for i in range(5000)]}, "too large"),
]


@pytest.mark.parametrize(("schema", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_schemas_that_make_no_grammar(schema: Any, reason: str) -> None:
    for strict in (True, False):
        with pytest.raises(SchemaError, match=re.escape(reason)):
            converted(schema, strict=strict)


LOOSE: list[tuple[Any, str]] = [
    ({"type": "string", "pattern": "a"}, "pattern"),
    ({"type": "string", "pattern": "^a$", "maxLength": 3}, "pattern"),
    ({"type": "integer", "multipleOf": 5}, "multipleOf"),
    ({"type": "array", "uniqueItems": True}, "uniqueItems"),
    ({"type": "object", "minProperties": 1}, "minProperties"),
    ({"type": "object", "patternProperties": {"^a": {}}}, "patternProperties"),
    ({"not": {"type": "string"}}, "not"),
    ({"if": {}, "then": {}}, "if"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "allOf"),
    ({"enum": [{"a": 1}], "properties": {"a": {"type": "string"}}}, "properties"),
]


@pytest.mark.parametrize(("schema", "word"), LOOSE, ids=[word for _, word in LOOSE])
def test_keywords_that_cannot_be_kept_to_are_errors_only_if_strict(schema: Any, word: str) -> None:
    with pytest.raises(SchemaError, match=word):
        converted(schema)
    assert converted(schema, strict=False)


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{"type": "integer"}, {"type": ["string", "null"]}]},
        {"oneOf": [{"const": 1}, {"const": "1"}]},
        {"oneOf": [{"properties": {"k": {"const": k}}, "required": ["k"]} for k in "abc"]},
        {"type": "array", "uniqueItems": False, "minItems": 0},
        {"description": "x", "default": 1, "x-mine": {"not": 1}, "title": "t"},
        {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "string"}}},
        {"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "string"}}},
    ],
)
def test_schemas_that_can_be_kept_to(schema: Any) -> None:
    assert converted(schema)


def test_the_grammar_grows_with_the_schema_only() -> None:
    optional = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(200)}}
    assert len(converted(optional)) < 60_000
    long = {"type": "array", "maxItems": 50_000, "items": {"type": "string", "minLength": 10_000, "maxLength": 90_000}}
    assert len(converted(long)) < 5_000
