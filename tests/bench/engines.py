"""What a portable build costs: tokens/s of hive-nano with each of llama.cpp's CPU variants that run here."""

from pathlib import Path

import llama_cpp

from tests.bench.engine_speed import ROUNDS
from tests.bench.figure import Figure
from tests.bench.ground import Helper
from worker.engine.variants import AMX, PREFIX, backends

VARIANTS = ("x64", "sse42", "haswell", "icelake", "zen4")
BASELINE = "x64"
REPEATS = 2


async def measure(_folder: Path) -> list[Figure]:
    """Reading and writing speed by variant, the best of two processes each, and the chosen one over the baseline."""
    libraries = Path(llama_cpp.__file__).parent / "lib"
    built = {file.stem.removeprefix(PREFIX) for file in libraries.glob(f"{PREFIX}*.so")}
    if not built:
        return [Figure("engine, one portable build, reading", (await _speed(""))[0], "tokens/s")]
    chosen = next(
        file.stem.removeprefix(PREFIX) for file in backends(libraries, narrow=True) if file.stem.startswith(PREFIX)
    )
    names = [name for name in dict.fromkeys((*VARIANTS, chosen)) if name in built and name not in AMX]
    best: dict[str, tuple[float, float]] = {}
    for _ in range(REPEATS):
        for name in names:
            reading, writing = await _speed(name)
            before = best.get(name, (0.0, 0.0))
            best[name] = max(before[0], reading), max(before[1], writing)
    figures = []
    for name in (name for name in names if best[name][1]):
        mark = " (chosen)" if name == chosen else ""
        figures.append(Figure(f"engine, {name}{mark}, reads", best[name][0], "tokens/s"))
        figures.append(Figure(f"engine, {name}{mark}, writes", best[name][1], "tokens/s"))
    return [*figures, *_gains(best, chosen)]


def _gains(best: dict[str, tuple[float, float]], chosen: str) -> list[Figure]:
    """What choosing at run time is worth over the one build that runs everywhere."""
    return [
        Figure(f"engine, {chosen} over {BASELINE}, {what}", best[chosen][part] / best[BASELINE][part], "×")
        for part, what in enumerate(("reads", "writes"))
    ]


async def _speed(variant: str) -> tuple[float, float]:
    """Tokens/s of reading and of writing in a process of its own; zeros where the variant cannot run here."""
    helper = await Helper.start("tests.bench.engine_speed", {"variant": variant, "rounds": ROUNDS})
    reading, writing = await helper.finish()
    return float(reading), float(writing)
