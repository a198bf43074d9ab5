"""How much of a step is Python: the loop's time outside of llama.cpp, over the whole."""

import sys
from pathlib import Path
from time import perf_counter

import msgspec

from shared.protocol.messages import Sampling
from tests.bench.ground import Helper

STEPS = 24


async def python_share(file: Path, *, streams: int, threads: int) -> float:
    """The share, 0 to 1, of steps in which every stream makes a token; measured in a process of its own."""
    helper = await Helper.start("tests.bench.decode_share", {"file": str(file), "streams": streams, "threads": threads})
    return float((await helper.finish())[0])


def main() -> None:
    """Runs the loop with a model that times itself; the sampling is that of `tests.bench.peer`."""
    from shared.tokens import Vocabulary  # noqa: PLC0415 - llama.cpp, for this process alone
    from worker.engine.llama import Model  # noqa: PLC0415
    from worker.engine.loop import Loop, Step  # noqa: PLC0415
    from worker.engine.sequence import Prompt  # noqa: PLC0415
    from worker.engine.wire import FromEngine, Generate, packed  # noqa: PLC0415

    told = msgspec.json.decode(sys.stdin.readline())
    file, streams = Path(told["file"]), told["streams"]
    spent = 0.0

    class Timed(Model):
        def decode(self, step: Step) -> None:
            nonlocal spent
            began = perf_counter()
            super().decode(step)
            spent += perf_counter() - began

    def say(message: FromEngine) -> None:
        packed([message])

    model, vocabulary = Timed(file, slots=streams, context=512, threads=told["threads"]), Vocabulary(file)
    loop = Loop(model, vocabulary, say, slots=streams)
    biases = {str(token): -100_000_000 for token in vocabulary.end_ids}
    sampling = Sampling(temperature=800_000, top_k=40, top_p=950_000)
    for number in range(streams):
        ids = vocabulary.tokenise(f"{number} the small house", special=False)
        loop.take(Prompt(Generate(number, 10 * STEPS, sampling, number, prompt="", logit_bias=biases), ids))
    while any(slot.run.reading for slot in loop.running.values()):
        loop.step()
    spent, began = 0.0, perf_counter()
    for _ in range(STEPS):
        loop.step()
    print(msgspec.json.encode([1 - spent / (perf_counter() - began)]).decode(), flush=True)


if __name__ == "__main__":
    main()
