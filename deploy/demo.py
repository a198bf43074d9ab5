"""`hive demo`: the way of one job, shown step by step on a swarm of its own, then stopped."""

import asyncio
import re
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import msgspec
import typer
from openai import AsyncOpenAI, OpenAIError
from rich.console import Console
from rich.markup import escape

from coordinator.settle.split import split
from deploy.layout import CITIES, Layout, Ready, default_cells
from deploy.local import cancel_on_signal
from deploy.swarm import Plan, SwarmFailed, running
from shared.crypto import fingerprint
from shared.errors import HiveError
from shared.ids import to_gns, to_stroops
from shared.receipt import SignedReceipt, problems

demo = typer.Typer(help="Show one job from question to payment, on a swarm of its own.", pretty_exceptions_enable=False)
QUESTION: Final = "Explain H3 geospatial indexing in one paragraph."
SETTLE_S: Final = 30.0


class Steps:
    """Prints a line per step with the seconds that it took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = self.last = time.monotonic()

    def say(self, what: str, detail: str) -> None:
        """One finished step."""
        now = time.monotonic()
        took = f"[dim]{now - self.last:6.2f} s[/dim]"
        self.console.print(f"[green]✓[/green] {what:<22} {took}  {escape(detail)}", soft_wrap=True)
        self.last = now


class Answer:
    """Prints an answer as it comes, indented, breaking lines between words."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.column = 0

    def say(self, piece: str) -> None:
        """The next piece of text."""
        for word in re.findall(r"\s*\S+|\s+", piece):
            full = self.column + len(word) > self.console.width and word[0].isspace()
            text = "\n  " + word.lstrip() if full else word if self.column else "  " + word
            self.column = len(text) - 1 if full else self.column + len(text)
            self.console.print(text, end="", markup=False, style="cyan", soft_wrap=True)


@demo.command()
def show(
    question: Annotated[str, typer.Option(help="What to ask.")] = QUESTION,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the swarm's data here (default: a folder that is removed).")
    ] = None,
) -> None:
    """Start a swarm, ask it one question in the EU, wait until the worker is paid, verify the receipt, stop."""
    present(Console(highlight=False), question, data_dir)


def present(console: Console, question: str = QUESTION, data_dir: Path | None = None) -> None:
    """The whole demonstration on `console`; raises HiveError with a sentence if a step fails."""
    steps = Steps(console)
    if data_dir:
        asyncio.run(_demo(Layout(data_dir.absolute()), question, console, steps))
    else:
        with tempfile.TemporaryDirectory(prefix="hive-demo-") as folder:
            asyncio.run(_demo(Layout(Path(folder)), question, console, steps))
    steps.say("stopped", f"{time.monotonic() - steps.began:.1f} s in all")


async def _demo(layout: Layout, question: str, console: Console, steps: Steps) -> None:
    cancel_on_signal()
    cells = default_cells(3)
    plan = Plan(port=0, cells=cells, tiers=["sovereign"] * 3, model="hive-nano")
    async with running(layout, plan, steps.say) as swarm:
        ready = swarm.ready()
        try:
            job_id = await _chat(ready, question, console, steps)
        except OpenAIError as e:
            raise SwarmFailed(f"The chat was not answered ({e}); see {layout.logs} with --data-dir.") from e
        await _settled(ready, job_id, steps)
        await _verified(ready, job_id, fingerprint(swarm.server_pk), steps)


async def _chat(ready: Ready, question: str, console: Console, steps: Steps) -> str:
    async with AsyncOpenAI(base_url=f"{ready.base_url}/v1", api_key=ready.api_key) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="hive-nano",
            messages=[{"role": "user", "content": question}],
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"x-hive-jurisdiction": "EU", "x-hive-cache": "false"},
        )
        steps.say("first token", f"asked in the EU: {question}")
        tokens, answer = 0, Answer(console)
        async for chunk in raw.parse():
            for choice in chunk.choices:
                answer.say(choice.delta.content or "")
            tokens = chunk.usage.completion_tokens if chunk.usage else tokens
        console.print()
        place = f"{raw.headers['x-hive-jurisdiction']}, cell {raw.headers['x-hive-cell']}"
        steps.say(
            "answered", f"{tokens} tokens by worker {raw.headers['x-hive-worker'][:8]} in {_city(ready, raw)} ({place})"
        )
        return str(raw.headers["x-hive-job-id"])


def _city(ready: Ready, raw: Any) -> str:
    for worker, city in zip(ready.workers, CITIES, strict=True):
        if worker.pk == raw.headers["x-hive-worker"]:
            return city
    raise SwarmFailed("The answer came from a worker that is not of this swarm.")


async def _settled(ready: Ready, job_id: str, steps: Steps) -> None:
    headers = {"authorization": f"Bearer {ready.api_key}"}
    async with httpx.AsyncClient(base_url=ready.base_url, headers=headers, timeout=10) as client:
        for _ in range(int(SETTLE_S / 0.1)):
            job = (await client.get(f"/hive/jobs/{job_id}")).raise_for_status().json()
            if job["settled"]:
                reward = to_gns(split(to_stroops(job["gns_cost"])).worker)
                paid = f"{reward.normalize():f} of {job['gns_cost']} GNS"
                steps.say("worker paid", f"{paid} at {job['tokens_per_second']} tokens/s, tx {job['stellar_tx_hash']}")
                return
            await asyncio.sleep(0.1)
    raise SwarmFailed(f"Job {job_id} was not settled within {SETTLE_S:.0f} s.")


async def _verified(ready: Ready, job_id: str, pinned: str, steps: Steps) -> None:
    async with httpx.AsyncClient(base_url=ready.base_url, timeout=10) as client:
        body = (await client.get(f"/hive/receipts/{job_id}")).raise_for_status().content
    signed = msgspec.json.decode(body, type=SignedReceipt)
    found = problems(signed)
    if fingerprint(signed.signatures.coordinator_pk) != pinned:
        found.append("it is countersigned by another coordinator")
    if found:
        raise HiveError(f"The receipt does not hold: {'; '.join(found)}.")
    steps.say("receipt verified", f"offline: worker and coordinator {pinned} signed {signed.receipt.tokens_out} tokens")
