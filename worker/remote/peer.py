"""A look at an upstream: who it is, whether it has the model, and what it can do with it."""

from collections.abc import Awaitable
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from shared.protocol.messages import Task
from worker.remote import asks, kinds, vectors
from worker.remote.asks import Kind
from worker.remote.http import Patience, Request, fetch
from worker.remote.kinds import Listed, Props, Running, Seen, Shown, Studio, Version, read
from worker.remote.upstream import Upstream, UpstreamFailed

OK: Final = 200
BATCH: Final = 16
"""Texts in one call for embeddings: their numbers as JSON are long, and the daemon is small."""

T = TypeVar("T")


class Peer:
    """One model of one upstream, by the upstream's name for it."""

    def __init__(self, upstream: Upstream, name: str, patience: Patience) -> None:
        self._upstream, self._name, self._patience = upstream, name, patience
        self._sees = name in {upstream.models[here] for here in upstream.vision}
        self._origin = upstream.origin

    async def look(self) -> Seen:
        """What is there now; raises UpstreamFailed where the model is not."""
        status, server, body = await self._fetch(Request(f"{self._origin.prefix}/models"))
        if status != OK:
            raise failed(status)
        model = kinds.found(kinds.listed(body), self._name)
        ollama = await self._told("/api/version", Version)
        seen = await self._seen(kinds.kind_of(model, server, ollama), model, ollama)
        return msgspec.structs.replace(seen, vision=seen.vision or self._sees)

    async def tasks(self, seen: Seen) -> tuple[Task, ...]:
        """What it can be asked: told by asking it to embed and to score one word, and only servers that refuse at once."""
        if seen.kind not in ("llama-server", "vllm"):
            return seen.tasks
        ranks = await _is_done(self.rank(seen.name, "a", ["a"]))
        embeds = await _is_done(self.embed(seen.name, ["a"]))
        return kinds.tried_tasks(seen.kind, embeds=embeds, ranks=ranks)

    async def embed(self, name: str, texts: list[str]) -> list[bytes]:
        """A normalised vector for each text; raises UpstreamFailed."""
        found: list[bytes] = []
        for start in range(0, len(texts), BATCH):
            part = texts[start : start + BATCH]
            status, _, body = await self._fetch(asks.embeddings(self._origin, name, part))
            if status != OK:
                raise failed(status)
            found += vectors.vectors(body, len(part))
        if len({len(vector) for vector in found}) > 1:
            raise UpstreamFailed("the upstream's vectors are not all of one size", code="engine_error")
        return found

    async def rank(self, name: str, query: str, documents: list[str]) -> list[float]:
        """A score for each document; raises UpstreamFailed."""
        status, _, body = await self._fetch(asks.rerank(self._origin, name, query, documents))
        if status != OK:
            raise failed(status)
        return vectors.scores(body, len(documents))

    async def _seen(self, kind: Kind, model: Listed, ollama: Version | None) -> Seen:
        """What the server says of itself and of the model, in its own way."""
        match kind:
            case "ollama":
                return await self._seen_of_ollama(model.id, ollama.version if ollama else "")
            case "llama-server":
                props = await self._told("/props", Props) or Props()
                build, context = kinds.build(kind, props.build_info), kinds.listed_context(model, props)
                return Seen(kind, model.id, build, context, vision=props.modalities.vision)
            case "vllm":
                version = await self._told("/version", Version) or Version()
                return Seen(kind, model.id, kinds.build(kind, version.version), kinds.listed_context(model, None))
            case "lm-studio":
                studio = await self._told(f"/api/v0/models/{quote(model.id)}", Studio)
                task: Task = "embed" if studio and studio.type == "embeddings" else "generate"
                sees = studio is not None and studio.type == "vlm"
                return Seen(kind, model.id, kinds.build(kind, ""), kinds.studio_context(studio), (task,), sees)
            case _:
                return Seen(kind, model.id, kinds.build(kind, ""), kinds.listed_context(model, None))

    async def _seen_of_ollama(self, name: str, version: str) -> Seen:
        shown = await self._told("/api/show", Shown, msgspec.json.encode({"model": name}))
        if shown is not None and shown.remote_host and not self._upstream.anywhere:
            raise UpstreamFailed(
                "this model of Ollama runs at another place, and prompts may only be answered here", code="unsupported"
            )
        context = kinds.ollama_context(shown, await self._told("/api/ps", Running), name)
        sees = shown is not None and "vision" in (shown.capabilities or ())
        return Seen("ollama", name, kinds.build("ollama", version), context, kinds.ollama_tasks(shown), sees)

    async def _told(self, path: str, shape: type[T], body: bytes | None = None) -> T | None:
        """The answer to one of the server's own calls; None where it knows no such call."""
        try:
            status, _, answer = await self._fetch(Request(f"{self._origin.root}{path}", body))
            return read(answer, shape) if status == OK else None
        except UpstreamFailed:
            return None

    async def _fetch(self, request: Request) -> tuple[int, str, bytes]:
        return await fetch(self._origin, self._upstream.key, request, self._patience)


async def _is_done(call: Awaitable[object]) -> bool:
    try:
        await call
    except UpstreamFailed:
        return False
    return True


def failed(status: int) -> UpstreamFailed:
    """What a status other than 200 means for a request; its body stays unread, it may quote the prompt."""
    words = {
        400: ("engine_error", "the upstream refused the request"),
        401: ("engine_error", "the upstream refused its key"),
        403: ("engine_error", "the upstream refused its key"),
        404: ("model_not_loaded", "the upstream has no such model or no such call"),
        413: ("engine_error", "the upstream says that the request is too long"),
        429: ("overloaded", "the upstream is busy"),
        501: ("unsupported", "the upstream does not do this with its model"),
        503: ("overloaded", "the upstream is busy or still loads its model"),
    }
    code, message = words.get(status, ("engine_error", "the upstream failed"))
    return UpstreamFailed(f"{message} (status {status})", code=code)
