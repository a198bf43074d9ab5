"""Numbers as people read them: sizes, amounts, counts."""

from shared.ids import STROOPS_PER_GNS


def size(count: int) -> str:
    """A number of bytes for people: "6.0 GB"."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def gns(stroops: int) -> str:
    """An amount of stroops in GNS, without the zeros that say nothing: "12.5", "0"."""
    whole, part = divmod(stroops, STROOPS_PER_GNS)
    return f"{whole}.{part:07d}".rstrip("0").rstrip(".")


def counted(number: int, word: str) -> str:
    """So many of a thing: 1 job, 2 jobs."""
    return f"{number:,} {word if number == 1 else word + 's'}"
