"""The servers of the owner's whose models this worker offers: is each there, and has it the model?"""

import asyncio
from pathlib import Path

from worker.doctor.finding import Finding
from worker.models import local_models
from worker.remote.http import Patience
from worker.remote.peer import Peer
from worker.remote.upstream import Upstream, UpstreamFailed
from worker.settings import Settings


def upstreams(home: Path, chosen: Settings) -> list[Finding]:
    """A finding for each model of each server."""
    here = local_models(home)
    return [
        _uncounted(name) if name not in here else asyncio.run(_looked(upstream, name))
        for upstream in chosen.openai
        for name in upstream.models
    ]


async def _looked(upstream: Upstream, name: str) -> Finding:
    theirs = upstream.models[name]
    try:
        seen = await Peer(upstream, theirs, Patience()).look()
    except UpstreamFailed as error:
        why = f"{upstream.url} does not serve {theirs}: {error.message}; start it, or take it out of config.toml."
        return Finding(f"model {name}", "fail", why)
    context = f", {seen.context} tokens of context" if seen.context else ""
    return Finding(f"model {name}", "ok", f"{upstream.url} serves it as {theirs} ({seen.build}{context}).")


def _uncounted(name: str) -> Finding:
    why = f"Its tokens cannot be counted without its file; `hive worker models fetch {name}` fetches it."
    return Finding(f"model {name}", "fail", why)
