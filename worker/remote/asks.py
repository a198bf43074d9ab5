"""How a request is said to each kind of server, and what is refused because none of them could do it honestly. Pure."""

from typing import Any, Final, Literal

import msgspec

from shared.protocol.messages import Message, Sampling
from worker.engine.wire import Generate
from worker.remote.http import Request
from worker.remote.stream import Framing
from worker.remote.upstream import Origin

Kind = Literal["ollama", "llama-server", "lm-studio", "vllm", "server"]
"""Who answers; a plain `server` speaks OpenAI's interface and is known for nothing more."""

MILLION: Final = 1_000_000
SEED_BITS: Final = 31
_SPARE: Final = 64
"""An upstream counts its own tokens, of which ours may be fewer: it is asked for more, and cut at our count."""


class Ask(msgspec.Struct, frozen=True):
    """A call to make, and how its answer is framed."""

    request: Request
    framing: Framing


def refusal(request: Generate, kind: Kind, *, vision: bool = False) -> str | None:
    """Why this request cannot be answered by such an upstream, as a sentence; None if it can. `vision`: the model sees
    images."""
    if request.resume:
        return "an upstream server cannot go on from tokens that another worker made"
    if request.tools or request.logit_bias or request.logprobs is not None:
        return "an upstream server is not asked for tools, biases or logprobs: nobody could check them"
    if request.response_format is not None and _format_of(request.response_format) != "text":
        return "an upstream server is not trusted with a response format"
    if request.fresh and kind not in ("llama-server", "vllm"):
        return "this upstream server cannot be told not to read its cache"
    if kind == "server" and _is_particular(request.sampling):
        return "this upstream server is not known to take top_k, min_p or repetition_penalty"
    if kind == "ollama" and any(m.tool_calls or m.tool_call_id for m in request.messages or []):
        return "a conversation with tool calls in it is not sent to Ollama"
    if not vision and any(m.images for m in request.messages or []):
        return "this upstream server does not see images with this model"
    return None


def ask(request: Generate, kind: Kind, origin: Origin, name: str, *, context: int, tokens_in: int, salt: str) -> Ask:
    """The call for this request: `name` is the upstream's of the model, `context` in tokens, and `salt` names the cache
    that may be read where the server has names for them.

    Stop strings are ours to find: a server's own list would stand in place of the one that its model needs.
    """
    most = max(1, min(2 * request.max_tokens + _SPARE, context - tokens_in))
    if kind == "ollama":
        return _ollama(request, origin, name, context, most)
    body = {"model": name, "stream": True, "max_tokens": most, "stream_options": {"include_usage": True}}
    body |= _common(request.sampling, request.seed) | _own(request.sampling, kind, context, salt)
    if request.prompt is not None:
        return Ask(_post(f"{origin.prefix}/completions", body | {"prompt": request.prompt}), "sse")
    words = [_message(m) for m in request.messages or []]
    return Ask(_post(f"{origin.prefix}/chat/completions", body | {"messages": words}), "sse")


def embeddings(origin: Origin, name: str, texts: list[str]) -> Request:
    """The call that embeds these texts."""
    return _post(f"{origin.prefix}/embeddings", {"model": name, "input": texts, "encoding_format": "float"})


def rerank(origin: Origin, name: str, query: str, documents: list[str]) -> Request:
    """The call that scores these documents."""
    body = {"model": name, "query": query, "documents": documents, "top_n": len(documents)}
    return _post(f"{origin.prefix}/rerank", body)


def _ollama(request: Generate, origin: Origin, name: str, context: int, most: int) -> Ask:
    """Ollama's own interface: over its OpenAI one it drops half the sampling and cuts long prompts without a word."""
    s = request.sampling
    options = _common(s, request.seed) | {
        "top_k": s.top_k,
        "min_p": s.min_p / MILLION,
        "repeat_penalty": s.repetition_penalty / MILLION,
        "num_predict": most,
        "num_ctx": context,
    }
    body: dict[str, Any] = {"model": name, "stream": True, "truncate": False, "shift": False, "options": options}
    if request.prompt is not None:
        body |= {"prompt": request.prompt, "raw": True}
        return Ask(_post(f"{origin.root}/api/generate", body), "ndjson")
    words = [_ollama_message(m) for m in request.messages or []]
    return Ask(_post(f"{origin.root}/api/chat", body | {"messages": words}), "ndjson")


def _ollama_message(message: Message) -> dict[str, Any]:
    """Ollama wants images as bare base64 beside the words."""
    words: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    return words | ({"images": [image.url.partition(",")[2] for image in message.images]} if message.images else {})


def _common(sampling: Sampling, seed: int) -> dict[str, Any]:
    return {
        "temperature": sampling.temperature / MILLION,
        "top_p": sampling.top_p / MILLION,
        "presence_penalty": sampling.presence_penalty / MILLION,
        "frequency_penalty": sampling.frequency_penalty / MILLION,
        "seed": seed & ((1 << SEED_BITS) - 1),
    }


def _own(sampling: Sampling, kind: Kind, context: int, salt: str) -> dict[str, Any]:
    """What only this kind of server takes. Every sampling field is said: their defaults are not ours."""
    min_p, repetition = sampling.min_p / MILLION, sampling.repetition_penalty / MILLION
    match kind:
        case "llama-server":
            # Its cache is one for all accounts, so nothing is read from it: nobody may time another's prompt.
            return {
                "top_k": sampling.top_k, "min_p": min_p, "repeat_penalty": repetition, "repeat_last_n": context,
                "cache_prompt": False, "return_progress": True, "reasoning_format": "none",
            }  # fmt: skip
        case "vllm":
            top_k = sampling.top_k or -1
            return {"top_k": top_k, "min_p": min_p, "repetition_penalty": repetition, "cache_salt": salt}
        case "lm-studio":
            return {"top_k": sampling.top_k, "min_p": min_p, "repeat_penalty": repetition}
        case _:
            return {}


def _is_particular(sampling: Sampling) -> bool:
    return bool(sampling.top_k or sampling.min_p or sampling.repetition_penalty != MILLION)


def _message(message: Message) -> dict[str, Any]:
    fields = {name: getattr(message, name) for name in ("role", "content", "name", "tool_call_id", "tool_calls")}
    told = {name: value for name, value in fields.items() if value is not None}
    return told | ({"content": _parts(message)} if message.images else {})


def _parts(message: Message) -> list[dict[str, Any]]:
    """The content as OpenAI's parts, each image where it stood in the text."""
    content, parts, start = message.content or "", list[dict[str, Any]](), 0
    for image in message.images:
        parts += _text(content[start : image.at])
        parts.append({"type": "image_url", "image_url": {"url": image.url}})
        start = max(start, image.at)
    return parts + _text(content[start:])


def _text(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}] if text else []


def _format_of(response_format: str) -> str:
    try:
        told = msgspec.json.decode(response_format)
    except msgspec.DecodeError:
        return ""
    return str(told.get("type", "")) if isinstance(told, dict) else ""


def _post(path: str, body: dict[str, Any]) -> Request:
    return Request(path, msgspec.json.encode(body))
