"""The trust ladder: one rank of five rungs under two vocabularies."""

from typing import Final

WORKER_NAMES: Final = ("seedling", "explorer", "navigator", "trailblazer", "sovereign")
AGENT_NAMES: Final = ("provisioned", "observed", "trusted", "certified", "sovereign")
EVIDENCE: Final = ("claimed", "ip", "rtt", "attested", "hardware")
_RANKS: Final = {name: rank for names in (WORKER_NAMES, AGENT_NAMES) for rank, name in enumerate(names)}


def tier_rank(name: str) -> int | None:
    """The rank 0 to 4 of a tier in either vocabulary, whatever its case; None if there is no such tier."""
    return _RANKS.get(name.strip().lower())


def tier_name(rank: int) -> str:
    """The worker's word for a rank; raises IndexError unless it is 0 to 4."""
    if rank < 0:
        raise IndexError(f"{rank} is not a rank")
    return WORKER_NAMES[rank]


def evidence_rank(name: str) -> int | None:
    """The rank 0 to 4 of evidence for a place; None if there is no such evidence."""
    lowered = name.strip().lower()
    return EVIDENCE.index(lowered) if lowered in EVIDENCE else None
