"""Where answers may be computed, and how many of the workers that are online now are there. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from client.chat.wishes import ANYWHERE, Wishes
from client.shapes.swarm import Worker
from shared.geo.jurisdiction import GROUPS, InvalidJurisdiction, allowed, parse_jurisdiction
from shared.words import counted

ANY: Final = "any"
OFFERED: Final = (ANY, *GROUPS)


def sentence(wishes: Wishes, workers: Sequence[Worker]) -> str:
    """The place in words, with who is there."""
    online = [worker for worker in workers if worker.online]
    said = f"Answers are computed {wishes.where if wishes.where == ANYWHERE else f'in {wishes.where}'}"
    if not wishes.jurisdiction:
        return f"{said}; online now: {_countries(online)}."
    try:
        countries = parse_jurisdiction(wishes.jurisdiction)
    except InvalidJurisdiction:
        return f"{said}. That is none of Hive's own places; the operator of this one may have added it."
    inside = [worker for worker in online if allowed(frozenset(worker.countries), countries)]
    return (
        f"{said}; {len(inside)} of {counted(len(online), 'worker')} online {'is' if len(inside) == 1 else 'are'} there."
    )


def _countries(workers: Sequence[Worker]) -> str:
    counts = Counter("/".join(worker.countries) or "at sea" for worker in workers)
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "nobody"
