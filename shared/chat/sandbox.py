"""Jinja for templates that strangers wrote: no attribute that is not data, no work without bound."""

import json
import threading
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final, NoReturn

from jinja2 import TemplateError as JinjaError, nodes, pass_context
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from shared.chat.budget import Budget, TooMuch

_FILTERS: Final = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "int", "items"),
    *("last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "safe", "select"),
    *("selectattr", "sort", "title", "trim", "unique", "upper", "wordcount"),
)
_GLOBALS: Final = ("range", "dict", "namespace", "cycler", "joiner")
_TEXT_METHODS: Final = frozenset(
    (
        *("split", "rsplit", "splitlines", "partition", "rpartition", "strip", "lstrip", "rstrip", "startswith"),
        *("endswith", "removeprefix", "removesuffix", "lower", "upper", "title", "capitalize", "casefold", "swapcase"),
        *("find", "rfind", "index", "rindex", "count", "replace", "join", "isalnum", "isalpha", "isascii", "isdigit"),
        *("isdecimal", "islower", "isnumeric", "isprintable", "isspace", "istitle", "isupper", "isidentifier"),
    )
)
_METHODS: Final[tuple[tuple[type | tuple[type, ...], frozenset[str]], ...]] = (
    (str, _TEXT_METHODS),
    (dict, frozenset({"items", "keys", "values", "get"})),
    ((list, tuple), frozenset({"index", "count"})),
    ((int, float, bytes, type(None), type), frozenset()),
)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of one template; renderings in several threads have a budget each."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # what is folded while compiling is not on any budget
            finalize=_finalise,
            extensions=["jinja2.ext.loopcontrols", Generation],
        )
        self._local = threading.local()
        self.concat = self._concat  # type: ignore[method-assign]
        known = self.filters
        own: dict[str, Callable[..., Any]] = {
            "tojson": _tojson,
            "join": self._join,
            "string": self._string,
            "replace": self._replace,
            "indent": _indent,
        }
        self.filters = {name: self._guarded(f) for name, f in ({n: known[n] for n in _FILTERS} | own).items()}
        self.globals = {name: self.globals[name] for name in _GLOBALS} | {"raise_exception": _raise_exception}

    def renew(self) -> Budget:
        """A new budget for this thread's next rendering."""
        self._local.budget = Budget()
        return self.budget

    @property
    def budget(self) -> Budget:
        """What is left for this thread's rendering."""
        return self._local.budget  # type: ignore[no-any-return]

    def tick(self, characters: int) -> None:
        """One more turn of a loop or a macro with so much text of its own; the call that leads here is counted."""
        self.budget.make(characters)

    def joined(self, *pieces: Any) -> str:
        """What `~` makes."""
        return self.budget.joined(pieces)

    def weighed(self, value: Any) -> Any:
        """A list, tuple or dict that the template wrote."""
        self.budget.weigh(value)
        return value

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 -- as Jinja has it
        """Every call of a template."""
        self = __self
        self.budget.step()
        owner: Any = getattr(__obj, "__self__", None)
        name = getattr(__obj, "__name__", "") if isinstance(owner, str) else ""
        if name == "replace" and len(args) >= 2:
            self.budget.replaced(owner, str(args[0]), str(args[1]))
        elif name == "join":
            args = (self._listed(args[0]),) if args else args
            self.budget.make(sum(len(str(piece)) + len(owner) for piece in args[0]) if args else 0)
        return self._made(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Every operation of two values."""
        self.budget.operated(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item or a slice."""
        if isinstance(argument, slice):
            return self._made(super().getitem(obj, argument))
        return obj[argument] if type(obj) is dict and argument in obj else super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether it is data, or a method that makes nothing large."""
        for kind, names in _METHODS:
            if isinstance(obj, kind):
                return attr in names
        return super().is_safe_attribute(obj, attr, value)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(_Bounded().visit(source), *args, **kwargs)

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.budget.step()
            return self._made(function(*args, **kwargs))

        return guarded

    def _made(self, value: Any) -> Any:
        if isinstance(value, str):
            self.budget.make(len(value))
        elif isinstance(value, list | tuple | dict | set):
            self.budget.weigh(value)
        return value

    def _concat(self, pieces: Iterable[str]) -> str:
        kept = []
        for piece in pieces:
            self.budget.make(len(piece))
            kept.append(piece)
        return "".join(kept)

    def _listed(self, values: Iterable[Any]) -> list[Any]:
        found = []
        for value in values:
            self.budget.step()
            found.append(self.budget.text(value))
        return found

    def _join(self, value: Any, d: str = "", attribute: str | int | None = None) -> str:
        found: Iterable[Any] = value
        if attribute is not None:
            found = (self.getitem(part, attribute) for part in value)
        pieces = [str(piece) for piece in self._listed(found)]
        self.budget.make(sum(len(piece) + len(str(d)) for piece in pieces))
        return str(d).join(pieces)

    def _string(self, value: Any) -> str:
        return str(self.budget.text(value))

    def _replace(self, value: Any, old: str, new: str, count: int = -1) -> str:
        text, new = str(self.budget.text(value)), str(self.budget.text(new))
        self.budget.replaced(text, str(old), new)
        return text.replace(str(old), new, -1 if count is None else count)


class Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks what a model is trained on; here it is only its inside."""

    tags = {"generation"}  # noqa: RUF012 -- as Jinja has it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """The inside."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Bounded(NodeTransformer):
    """Puts what Jinja would do by itself on the budget: turns of loops, `~`, and literals."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 -- as Jinja has it
        return self._counted(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802
        return self._counted(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802
        return self._counted(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _own("joined", node.nodes)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return node if _constant(node.items) else _own("weighed", [node])

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return node if node.ctx != "load" or _constant(node.items) else _own("weighed", [node])

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _own("weighed", [node])

    def _counted(self, node: "nodes.For | nodes.Macro | nodes.CallBlock") -> nodes.Node:
        characters = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_own("tick", [nodes.Const(characters)]), lineno=node.lineno))
        return node


def _constant(items: list[nodes.Expr]) -> bool:
    return all(isinstance(item, nodes.Const) for item in items)


def _own(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), arguments, [], None, None, lineno=1)


@pass_context
def _finalise(context: Context, value: Any) -> Any:
    environment = context.environment
    return environment.budget.text(value) if isinstance(environment, Sandbox) else value


def _raise_exception(message: str) -> NoReturn:
    raise JinjaError(message)


@pass_context
def _tojson(
    context: Context,
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As Transformers has it: nothing escaped for HTML, keys in their order."""
    _finalise(context, value)
    if isinstance(indent, int) and not 0 <= indent <= 16:
        raise TooMuch("it indents too far")
    between, after = separators or (", " if indent is None else ",", ": ")
    pair = (str(between), str(after))
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=pair, sort_keys=sort_keys)


@pass_context
def _indent(context: Context, s: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    filler = width if isinstance(width, str) else " " * min(max(width, 0), 65)
    text = str(_finalise(context, s))
    _finalise(context, filler)
    if len(filler) > 64 or (text.count("\n") + 1) * len(filler) > len(text) * 64 + 4096:
        raise TooMuch("it indents too far")
    lines = text.split("\n")
    rest = [filler + line if line or blank else line for line in lines[1:]]
    return "\n".join([filler + lines[0] if first else lines[0], *rest])
