"""Records a working worker as its page's picture: `python -m deploy.worker_picture docs/worker.svg`."""

import asyncio
import sys
import tempfile
import time
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Final

from openai import AsyncOpenAI
from rich.console import Console

from deploy.layout import Layout, Ready, default_cells
from deploy.local import cancel_on_signal
from deploy.picture import without_fonts
from deploy.swarm import Plan, running
from worker.control import ControlError, ask
from worker.dash.picture import View, picture
from worker.dash.rates import Rates
from worker.dash.screen import KEYS
from worker.report import Report

SIZE: Final = (100, 27)
SECONDS: Final = 60
CLIENTS: Final = 3
QUESTIONS: Final = ("What is a hexagon?", "Tell me of the sea.", "Why is the sky blue?", "Write of a fox in the snow.")


def record(file: Path) -> None:
    """Runs a swarm, lets clients chat with it for a minute, and writes what the worker's terminal would show."""
    rates, report = asyncio.run(_worked())
    console = Console(record=True, width=SIZE[0], height=SIZE[1], file=StringIO(), force_terminal=True)
    console.print(picture(report, rates, View(*SIZE, datetime.now().astimezone(), KEYS)), height=SIZE[1])
    file.write_text(without_fonts(console.export_svg(title="hive worker join")))


async def _worked() -> tuple[Rates, Report]:
    cancel_on_signal()
    with tempfile.TemporaryDirectory(prefix="hive-picture-") as folder:
        layout = Layout(Path(folder))
        plan = Plan(port=0, cells=default_cells(1), tiers=["navigator"], model="hive-nano", max_tps=90)
        async with running(layout, plan, lambda *_: None) as swarm, asyncio.TaskGroup() as group:
            clients = [group.create_task(_chats(swarm.ready(), number)) for number in range(CLIENTS)]
            rates, report = await _watched(layout.worker(1))
            for client in clients:
                client.cancel()
    return rates, report


async def _chats(ready: Ready, number: int) -> None:
    """One client after another answer, with pauses that differ, so that the chart is no wall."""
    async with AsyncOpenAI(base_url=f"{ready.base_url}/v1", api_key=ready.api_key) as client:
        while True:
            for place, question in enumerate(QUESTIONS):
                await asyncio.sleep((place * 3 + number * 5) % 7)
                await client.chat.completions.create(
                    model="hive-nano", messages=[{"role": "user", "content": question}], max_tokens=60 + 60 * number
                )


async def _watched(home: Path) -> tuple[Rates, Report]:
    """A minute of the worker, ending at a moment when it works; raises ControlError."""
    rates = Rates()
    for second in range(2 * SECONDS):
        report = await asyncio.to_thread(ask, home, "status")
        if report is None:
            break
        rates.sample(time.monotonic(), report.tokens_made)
        if second >= SECONDS and report.free < report.slots and rates.now:
            return rates, report
        await asyncio.sleep(1)
    raise ControlError(f"the worker in {home} does not answer or does not work")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
