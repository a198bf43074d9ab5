"""What a chat asks for besides its messages: a model, a place, how to sample; and the request that it all makes."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

ANYWHERE: Final = "anywhere"


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """Empty text and None mean whatever the Hive takes then. Tokens are counted by the model."""

    model: str
    jurisdiction: str = ""
    cell: str = ""
    tier: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None

    def request(self, messages: Sequence[Any]) -> dict[str, Any]:
        """The arguments of a streamed chat completion; where it may be computed goes into the body, which holds any text."""
        sampling = {"max_tokens": self.max_tokens, "temperature": self.temperature, "seed": self.seed}
        placed = {"jurisdiction": self.jurisdiction, "h3_cell": self.cell, "min_trust_tier": self.tier}
        return {
            "model": self.model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "extra_body": {name: text for name, text in placed.items() if text},
            **{name: value for name, value in sampling.items() if value is not None},
        }

    @property
    def where(self) -> str:
        """The place in words: "EU, cell 841e805ffffffff, tier navigator or higher", or that it is anywhere."""
        parts = [self.jurisdiction, f"cell {self.cell}" if self.cell else ""]
        placed = ", ".join(part for part in parts if part) or ANYWHERE
        return f"{placed}, tier {self.tier} or higher" if self.tier else placed
