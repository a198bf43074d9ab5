"""What each term of the score brings: `python -m tests.bench.scoring`. A swarm and its callers are simulated, seed by seed; who
gets a job is decided by the real rules, score and assignment, which see all terms, or all but one.

In simulated time, so that it may run beside anything.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from coordinator.match.score import Bench, Fit
from tests.bench.figure import percentile
from tests.bench.scoring_run import Run, Without

Shown = tuple[Fit, Bench, Mapping[str, int]]


class Sums(msgspec.Struct, frozen=True):
    """Of all runs: seconds (mean, p50, p99) to the first token and to the whole answer of interactive jobs, the share of
    prompt tokens that came from a cache, and attempts lost per thousand jobs."""

    first: tuple[float, float, float]
    whole: tuple[float, float, float]
    cached: float
    lost: float


def everything(fit: Fit, bench: Bench, cached: Mapping[str, int]) -> Shown:
    """All terms."""
    return fit, bench, cached


def no_warmth(fit: Fit, bench: Bench, cached: Mapping[str, int]) -> Shown:
    """Each model looks as if it were in memory."""
    return msgspec.structs.replace(fit, loaded=True, loading=False), bench, cached


def no_prefix(fit: Fit, bench: Bench, _: Mapping[str, int]) -> Shown:
    """Nobody is known to have read anything."""
    return fit, bench, {}


def no_speed(fit: Fit, bench: Bench, cached: Mapping[str, int]) -> Shown:
    """All are equally fast."""
    return msgspec.structs.replace(fit, pace=14), bench, cached


def no_record(fit: Fit, bench: Bench, cached: Mapping[str, int]) -> Shown:
    """All are equally reliable."""
    return msgspec.structs.replace(fit, record=0), bench, cached


def no_load(fit: Fit, bench: Bench, cached: Mapping[str, int]) -> Shown:
    """A worker with a free slot looks idle."""
    return fit, Bench(bench.slots - bench.taken, 0, bench.last_ms), cached


def no_turn(fit: Fit, bench: Bench, cached: Mapping[str, int]) -> Shown:
    """All have waited equally long."""
    return fit, Bench(bench.slots, bench.taken, 0), cached


def nothing(fit: Fit, bench: Bench, _: Mapping[str, int]) -> Shown:
    """Only the rules, and who has waited longest."""
    fit, bench, _ = no_load(*no_record(*no_speed(*no_warmth(fit, bench, {}))))
    return fit, bench, {}


VARIANTS: Final[Mapping[str, tuple[Without, float]]] = {
    "all terms": (everything, 0),
    "without a warm model": (no_warmth, 0),
    "without what was read before": (no_prefix, 0),
    "without measured speed": (no_speed, 0),
    "without the record": (no_record, 0),
    "without load": (no_load, 0),
    "without who waited longest": (no_turn, 0),
    "the rules alone": (nothing, 0),
    "half a second's wait for who has read it": (everything, 0.5),
    "two seconds' wait for who has read it": (everything, 2),
}


def summed(runs: Sequence[Run]) -> Sums:
    """All runs of one variant as one."""
    seen = [one for run in runs for one in run.seen]
    asked = [one for one in seen if not one.lane]
    first, whole = (_spread([getattr(one, name) for one in asked]) for name in ("first", "whole"))
    cached = sum(one.cached for one in seen) / sum(one.tokens for one in seen)
    return Sums(first, whole, cached, 1000 * sum(run.lost for run in runs) / len(seen))


def _spread(values: list[float]) -> tuple[float, float, float]:
    return sum(values) / len(values), percentile(values, 50), percentile(values, 99)


def row(name: str, sums: Sums, best: Sums) -> str:
    """A line of the table: seconds, each with its ratio to that of all terms."""
    times = zip((*sums.first, *sums.whole), (*best.first, *best.whole), strict=True)
    cells = [f"{mine:.2f} ({mine / theirs:.2f})" for mine, theirs in times]
    return " | ".join(["", name, *cells, f"{sums.cached:.0%}", f"{sums.lost:.1f}", ""]).strip()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=60)
    parser.add_argument("--rate", type=float, default=4.0, help="jobs a second")
    parser.add_argument("--seconds", type=float, default=300.0)
    told = parser.parse_args()
    print("| | first token: mean, s | p50 | p99 | whole answer: mean, s | p50 | p99 | cached | lost of 1000 |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    best = None
    for name, (shown, patience) in VARIANTS.items():
        runs = [
            Run(seed, shown, workers=told.workers, rate=told.rate, seconds=told.seconds, patience=patience).run()
            for seed in range(told.seeds)
        ]
        sums = summed(runs)
        best = best or sums
        print(row(name, sums, best), flush=True)


if __name__ == "__main__":
    main()
