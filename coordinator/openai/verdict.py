"""What a guard model says of a text (`safe`, or `unsafe` and the categories), in OpenAI's words. Pure."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from coordinator.answer.said import Likely
from shared.errors import JobFailed

CATEGORIES: Final = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
"""OpenAI's own names."""

LLAMA_GUARD_3: Final[Mapping[str, str]] = {
    "S1": "Violent Crimes", "S2": "Non-Violent Crimes", "S3": "Sex-Related Crimes", "S4": "Child Sexual Exploitation",
    "S5": "Defamation", "S6": "Specialized Advice", "S7": "Privacy", "S8": "Intellectual Property",
    "S9": "Indiscriminate Weapons", "S10": "Hate", "S11": "Suicide & Self-Harm", "S12": "Sexual Content",
    "S13": "Elections", "S14": "Code Interpreter Abuse",
}  # fmt: skip
"""What the codes mean where a guard's template does not say: MLCommons' hazards as Llama Guard 3 numbers them."""

_MEANS: Final = (
    ("non-violent crime", ("illicit",)),
    ("violence and hate", ("violence", "hate")),
    ("violent crime", ("violence", "illicit/violent")),
    ("child", ("sexual", "sexual/minors")),
    ("sex-related crime", ("sexual", "illicit")),
    ("sex crime", ("sexual", "illicit")),
    ("sexual", ("sexual",)),
    ("weapon", ("illicit", "illicit/violent")),
    ("hate", ("hate",)),
    ("suicide", ("self-harm",)),
    ("self-harm", ("self-harm",)),
    ("defamation", ("harassment",)),
    ("substances", ("illicit",)),
    ("criminal", ("illicit",)),
)
"""How the name of a guard's category is found in OpenAI's: the first that is in it counts; the others have none there."""

_NAMED: Final = re.compile(r"(?:\b|(?<=\\n))([SO]\d{1,2}):\s*([A-Z][^.:\\\n]{2,60})")
"""A line may begin with a line feed as templates write it, of two characters."""

_CODE: Final = re.compile(r"\b[SO]\d{1,2}\b")
_VERDICT: Final = re.compile(r"\s*(safe|unsafe)\b", re.IGNORECASE)
_MILLION: Final = 1_000_000


class Verdict(msgspec.Struct, frozen=True):
    """Whether a text is unsafe, the likelihood that it is, and the codes of the categories that were named."""

    unsafe: bool
    likelihood: float
    codes: tuple[str, ...]


def verdict_of(text: str, likely: Sequence[Likely] | None) -> Verdict:
    """What a guard said; raises JobFailed where that is neither safe nor unsafe."""
    found = _VERDICT.match(text)
    if found is None:
        raise JobFailed("The guard model said neither safe nor unsafe.", dispatched=True)
    unsafe = found[1].lower() == "unsafe"
    codes = tuple(dict.fromkeys(_CODE.findall(text[found.end() :]))) if unsafe else ()
    said = next((one for one in likely or () if one.raw.strip()), None)
    sure = 1.0 if said is None else math.exp(said.micros / _MILLION)
    return Verdict(unsafe, sure if unsafe else 1.0 - sure, codes)


def codes_of(template: str) -> Mapping[str, str]:
    """The categories that a guard's chat template lists, by their codes; those of Llama Guard 3 where it lists none."""
    return {code: name.strip() for code, name in _NAMED.findall(template)} or LLAMA_GUARD_3


def result_of(verdict: Verdict, codes: Mapping[str, str]) -> dict[str, object]:
    """One of OpenAI's moderation results. Of an unsafe text the named categories have the likelihood as their score; of a
    safe one all categories that the guard knows, for none of them is likelier than that."""
    named = [code for code in verdict.codes if code in codes]
    true = {category for code in named for category in _meant(codes[code])}
    scored = true if verdict.unsafe else {category for name in codes.values() for category in _meant(name)}
    return {
        "flagged": verdict.unsafe,
        "categories": {category: category in true for category in CATEGORIES},
        "category_scores": {category: verdict.likelihood if category in scored else 0.0 for category in CATEGORIES},
        "category_applied_input_types": {category: ["text"] for category in CATEGORIES},
        "guard_categories": [f"{code}: {codes[code]}" if code in codes else code for code in verdict.codes],
    }


def _meant(name: str) -> tuple[str, ...]:
    low = name.lower()
    return next((categories for words, categories in _MEANS if words in low), ())
