"""JSON Schema as a grammar: whatever fits the grammar is JSON that the schema holds valid."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from shared.chat.distinct import distinct
from shared.chat.gbnf import Part, Ref, alt, endless, leads_back, literal, one_of, width
from shared.chat.merge import ANNOTATIONS, NotMerged, merged
from shared.chat.pattern import NoPattern, pattern_part
from shared.chat.shapes import (
    KEYWORDS,
    Impossible,
    array_part,
    fits,
    json_text,
    number_part,
    object_part,
    string_part,
)

MAX_SCHEMAS: Final = 2000
MAX_VALUES: Final = 2000
MAX_DEPTH: Final = 48
MAX_WIDTH: Final = 400
"""Alternatives that are open at once: each is a step of work for every token of the vocabulary."""
_UNDONE: Final[dict[str, frozenset[str]]] = {
    "object": frozenset(
        (
            *("patternProperties", "propertyNames", "minProperties", "maxProperties", "dependentRequired"),
            *("dependentSchemas", "dependencies", "unevaluatedProperties"),
        )
    ),
    "array": frozenset(("uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems")),
    "integer": frozenset(("multipleOf",)),
    "number": frozenset(("multipleOf",)),
}
_BESIDE_NO_LIST: Final = KEYWORDS["object"].union({"items", "prefixItems", "pattern"}, *_UNDONE.values())
_NEVER_DONE: Final = frozenset(("not", "if", "then", "else", "$dynamicRef", "$recursiveRef"))


class SchemaError(ValueError):
    """This schema makes no grammar; the message is a sentence."""


class Converter:
    """One schema's way into a grammar; `rules` are what its parts name."""

    def __init__(self, root: Any, rules: dict[str, Part], *, strict: bool) -> None:
        """`strict`: a keyword that cannot be kept to is an error; else it is left out, and the grammar allows more."""
        self._root = root
        self._strict = strict
        self._refs: dict[str, Ref | None] = {}
        self._left = MAX_SCHEMAS
        self._values = MAX_VALUES
        self._rules = rules

    def convert(self) -> Part:
        """The part that fits the root; raises SchemaError."""
        try:
            part = self._part(self._root, 0)
        except Impossible as error:
            raise SchemaError("no value is valid by this schema") from error
        except NotMerged as error:
            raise SchemaError("the parts of an allOf contradict each other or cannot be made one schema") from error
        except (TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
            if isinstance(error, SchemaError):
                raise
            raise SchemaError("this is no JSON schema") from error
        if leads_back(self._rules):
            raise SchemaError("a $ref of this schema leads back to itself with nothing in between")
        rules = {**self._rules, "": part}
        if "" in endless(rules):
            raise SchemaError("by this schema every value contains another one without end")
        if width(rules) > MAX_WIDTH:
            raise SchemaError(
                f"the schema leaves too much open: at most {MAX_WIDTH} alternatives or optional properties"
            )
        return part

    def _name(self, part: Part) -> Ref:
        name = f"r{len(self._rules)}"
        self._rules[name] = part
        return Ref(name)

    def _part(self, schema: Any, depth: int) -> Part:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise SchemaError(f"the schema is too large: at most {MAX_SCHEMAS} schemas, {MAX_DEPTH} deep")
        if schema is False:
            raise Impossible
        if schema is True:
            return Ref("value")
        if not isinstance(schema, dict):
            raise SchemaError("a schema must be an object or a boolean")
        if self._strict:
            self._refuse(schema, _NEVER_DONE)
        if "$ref" in schema or "allOf" in schema:
            return self._whole(schema, depth)
        if "anyOf" in schema or "oneOf" in schema:
            return self._one_of(schema, depth)
        if "const" in schema or "enum" in schema:
            return self._given(schema)
        return self._typed(schema, depth)

    def _refuse(self, schema: Mapping[str, Any], words: frozenset[str]) -> None:
        for word in sorted(words & schema.keys()):
            if schema[word] is not False and not (schema[word] == 0 and word.startswith("min")):
                raise SchemaError(f"{word} cannot be kept to: leave it out, or leave out strict")

    def _whole(self, schema: Mapping[str, Any], depth: int) -> Part:
        """What `$ref` and `allOf` say together with the rest."""
        if not schema.keys() - ANNOTATIONS - {"$ref"}:
            return self._ref(schema["$ref"], depth)
        return self._part(self._resolved(schema, depth), depth + 1)

    def _resolved(self, schema: Any, depth: int = 0) -> Any:
        """The schema without references or `allOf` at its top."""
        if depth > MAX_DEPTH:
            raise SchemaError("a $ref of this schema leads back to itself with nothing in between")
        if not isinstance(schema, dict) or not ("$ref" in schema or "allOf" in schema):
            return schema
        self._left -= 1
        whole: Any = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        others = [*schema.get("allOf", ()), *([self._target(schema["$ref"])] if "$ref" in schema else [])]
        for other in others:
            try:
                whole = merged(whole, self._resolved(other, depth + 1))
            except NotMerged:
                if self._strict:
                    raise
        return whole

    def _ref(self, ref: Any, depth: int) -> Part:
        if ref not in self._refs:
            target = self._target(ref)
            name = self._refs[ref] = self._name(Ref("value"))
            try:
                self._rules[name.name] = self._part(target, depth + 1)
            except Impossible:
                self._refs[ref] = None
        found = self._refs[ref]
        if found is None:
            raise Impossible
        return found

    def _target(self, ref: Any) -> Any:
        if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
            raise SchemaError(f"$ref can only point into the schema itself, like #/$defs/name, not {str(ref)[:80]!r}")
        found = self._root
        for step in ref.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and len(name) < 6 and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, dict) and name in found:
                found = found[name]
            else:
                raise SchemaError(f"$ref {ref[:80]!r} points to nothing")
        return found

    def _one_of(self, schema: Mapping[str, Any], depth: int) -> Part:
        word = "anyOf" if "anyOf" in schema else "oneOf"
        rest = {key: value for key, value in schema.items() if key != word}
        options = [self._resolved(each) for each in schema[word]]
        if self._strict and word == "oneOf" and not distinct(options):
            raise SchemaError("the schemas of a oneOf may fit one value: write anyOf, or give each another type")
        parts = []
        for each, whole in zip(schema[word], options, strict=True):
            try:
                parts.append(self._part(self._both(rest, each, whole), depth + 1))
            except Impossible:
                continue
        if not parts:
            raise Impossible
        return alt(parts)

    def _both(self, rest: Mapping[str, Any], each: Any, whole: Any) -> Any:
        if not rest.keys() - ANNOTATIONS:
            return each
        try:
            return merged(whole, rest)
        except NotMerged:
            if self._strict:
                raise
            return each

    def _given(self, schema: Mapping[str, Any]) -> Part:
        """One of the values that the schema lists."""
        values = schema.get("enum", [schema.get("const")])
        if "const" in schema:
            values = [schema["const"]] if json.dumps(schema["const"]) in map(json.dumps, values) else []
        if self._strict:
            self._refuse(schema, _BESIDE_NO_LIST)
        self._values -= len(values)
        if self._values < 0:
            raise SchemaError(f"the schema lists too many values: at most {MAX_VALUES}")
        texts = [json_text(value) for value in values if fits(value, schema)]
        if not texts:
            raise Impossible
        return one_of(texts)

    def _typed(self, schema: Mapping[str, Any], depth: int) -> Part:
        kind = schema["type"] if "type" in schema else _implied(schema)
        if isinstance(kind, list):
            return self._one_of({"anyOf": [{**schema, "type": each} for each in kind]}, depth)
        if kind is None:
            return Ref("value")
        if kind not in KEYWORDS:
            raise SchemaError(f"type {str(kind)[:40]!r} is no type of JSON")
        if self._strict:
            self._refuse(schema, _UNDONE.get(kind, frozenset()))
        return self._of_type(kind, schema, depth)

    def _of_type(self, kind: str, schema: Mapping[str, Any], depth: int) -> Part:
        def visit(inner: Any) -> Part:
            return self._part(inner, depth + 1)

        match kind:
            case "object":
                return object_part(schema, visit, self._name)
            case "array":
                return array_part(schema, visit, self._name)
            case "string":
                return self._string(schema)
            case "number" | "integer":
                return number_part(schema, kind == "integer")
            case "boolean":
                return one_of(["true", "false"])
            case _:
                return literal("null")

    def _string(self, schema: Mapping[str, Any]) -> Part:
        if "pattern" not in schema:
            return string_part(schema, self._rules)
        try:
            if self._strict and schema.keys() & {"minLength", "maxLength"}:
                raise NoPattern
            return pattern_part(schema["pattern"])
        except NoPattern as error:
            if self._strict:
                message = (
                    "a pattern can be kept to only from ^ to $, without lookaround, references or lengths beside it"
                )
                raise SchemaError(message) from error
        return string_part(schema, self._rules)


def _implied(schema: Mapping[str, Any]) -> str | None:
    """The type that the keywords speak of, where none is named."""
    words = schema.keys()
    return next((kind for kind, own in KEYWORDS.items() if words & (own | _UNDONE.get(kind, frozenset()))), None)
