"""Writes PROTOCOL.md from the structs, the phase table, the limits and a session with fixed keys."""

import sys
from collections.abc import Iterable
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from shared.protocol import messages as m
from shared.protocol.closing import MAX_REASON
from shared.protocol.codes import CLOSE_NUMBERS
from shared.protocol.frames import MAX_FRAME
from shared.protocol.handshake import MAX_HELLO, MAX_SKEW_MS, STEP_MS
from shared.protocol.parts import MAX_MESSAGE, PART_BYTES
from shared.protocol.phases import NEXT, SENDER, Kind, Side, name
from shared.protocol.vectors import vectors

PATH: Final = Path(__file__).with_name("PROTOCOL.md")
TEXT: Final = Path(__file__).with_name("protocol_text.md")
PARTS: Final[tuple[Kind, ...]] = (
    m.Capabilities, m.ModelOffer, m.Hardware, m.Gpu, m.Held, m.Verdict, m.Unsigned, m.OfferBody, m.Sampling, m.Message,
    m.Image, m.Logprob,
)  # fmt: skip


def document() -> str:
    """The whole of PROTOCOL.md: the written text with its tables filled in."""
    places = {
        "LIMITS": _limits(),
        "PHASES": _phases(),
        "TO_WORKER": _structs(kind for kind, side in SENDER.items() if side is Side.COORDINATOR),
        "TO_COORDINATOR": _structs(kind for kind, side in SENDER.items() if side is Side.WORKER),
        "PARTS": _structs(PARTS),
        "CLOSE": _close_codes(),
        "VECTORS": _vectors(),
        "VERSION": str(m.VERSION),
        "SUBPROTOCOL": m.SUBPROTOCOL,
    }
    text = TEXT.read_text(encoding="utf-8")
    for place, filling in places.items():
        text = text.replace("{{" + place + "}}", filling)
    return text


def _limits() -> str:
    rows = [
        ("a hello", f"{MAX_HELLO} bytes", m.CloseCode.TOO_LARGE),
        ("a frame, header included", f"{MAX_FRAME} bytes", m.CloseCode.TOO_LARGE),
        ("a message that goes in one piece; the slice of a part", f"{PART_BYTES} bytes", m.CloseCode.PROTOCOL),
        ("a message in parts, in all", f"{MAX_MESSAGE} bytes", m.CloseCode.TOO_LARGE),
        ("clock skew", f"{MAX_SKEW_MS} ms", m.CloseCode.UNAUTHENTICATED),
        ("each step of the handshake", f"{STEP_MS} ms", m.CloseCode.SILENT),
        ("a close reason", f"{MAX_REASON} bytes of UTF-8", None),
    ]
    return _table(
        ("what", "at most", "else"), [(what, most, f"`{code}`" if code else "cut") for what, most, code in rows]
    )


def _phases() -> str:
    rows = [(phase, SENDER[kind], f"`{name(kind)}`", following) for (phase, kind), following in NEXT.items()]
    return _table(("phase", "who may say", "what", "then"), rows)


def _close_codes() -> str:
    return _table(("code", "number"), [(f"`{code}`", str(number)) for code, number in CLOSE_NUMBERS.items()])


def _structs(kinds: Iterable[Kind]) -> str:
    return "\n\n".join(_struct(kind) for kind in kinds)


def _struct(kind: Kind) -> str:
    tag = kind.__struct_config__.tag
    title = f"### `{tag}`" if tag else f"### {kind.__name__}"
    about = "\n".join(line.strip() for line in (kind.__doc__ or "").strip().splitlines())
    hints = get_type_hints(kind, include_extras=True)
    rows = [
        (f"`{field.name}`", _type(hints[field.name]), "required" if field.required else _default(field))
        for field in msgspec.structs.fields(kind)
    ]
    return f"{title}\n\n{about}\n\n{_table(('field', 'type', 'default'), rows)}"


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default_factory() if callable(field.default_factory) else field.default
    return f"`{msgspec.json.encode(value).decode()}`"


def _type(hint: Any) -> str:
    """A type in the words of JSON."""
    if metadata := getattr(hint, "__metadata__", None):
        return _type(hint.__origin__) + "".join(_constraint(meta) for meta in metadata)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " or ".join(f'`"{value}"`' for value in args)
    if origin in (UnionType, Union):
        return " or ".join(_type(arg) for arg in args)
    if origin is list or args[1:] == (...,):
        return f"array of {_type(args[0])}"
    if origin is tuple:
        return "[" + ", ".join(_type(arg) for arg in args) + "]"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if hint is m.CloseCode:
        return "[close code](#close-codes)"
    words = {str: "string", int: "integer", bool: "boolean", type(None): "null", dict: "object", Any: "anything"}
    return words[origin or hint]


def _constraint(meta: msgspec.Meta) -> str:
    if meta.pattern is not None:
        return f" `{meta.pattern.replace(chr(92) + 'Z', '$')}`"
    if meta.max_length is not None:
        return f", at most {meta.max_length} characters"
    upper = f"< {meta.lt}" if meta.lt is not None else f"<= {meta.le}"
    return f" >= {meta.ge} and {upper}"


def _vectors() -> str:
    found = vectors()
    blocks = [f"{what}:\n\n```json\n{text}\n```" for what, text in found.hellos.items()]
    tables = [
        _table(("what", "hex"), [(k, f"`{v}`") for k, v in part.items()]) for part in (found.inputs, found.computed)
    ]
    return "\n\n".join([tables[0], *blocks, tables[1]])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
    sys.stdout.write(f"{PATH.name} is written\n")
