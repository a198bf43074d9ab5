"""Which sequences hold which prefixes: a radix tree of token ids for each account's scope. Pure."""

from collections.abc import Sequence

BLOCK = 64


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens two lists have in common from the start."""
    most, at = min(len(left), len(right)), 0
    while at < most and left[at : at + BLOCK] == right[at : at + BLOCK]:
        at += BLOCK
    at = min(at, most)
    while at < most and left[at] == right[at]:
        at += 1
    return at


class _Node:
    """A run of tokens that every one of `holders` has after its parents' runs."""

    __slots__ = ("children", "holders", "parent", "tokens")

    def __init__(self, tokens: list[int], parent: "_Node | None") -> None:
        self.tokens, self.parent = tokens, parent
        self.children: dict[int, _Node] = {}
        self.holders: set[int] = set()


class Prefixes:
    """The paths of sequences, by their number; `cells` is how many tokens are held, a shared one counted once."""

    def __init__(self) -> None:
        self._roots: dict[str, _Node] = {}
        self._leaves: dict[int, tuple[str, _Node]] = {}
        self.cells = 0

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._leaves

    def length(self, sequence: int) -> int:
        """How many tokens a sequence holds."""
        return sum(len(node.tokens) for node in self._path(sequence))

    def longest(self, scope: str, tokens: Sequence[int]) -> tuple[int, int | None]:
        """The length of the longest held prefix of `tokens` in this scope, and one sequence that holds it."""
        node = self._roots.get(scope)
        length, holder = 0, None
        while node is not None:
            child = node.children.get(tokens[length]) if length < len(tokens) else None
            if child is None:
                break
            same = common_length(child.tokens, tokens[length : length + len(child.tokens)])
            length, holder = length + same, next(iter(child.holders))
            node = child if same == len(child.tokens) else None
        return length, holder

    def hold(self, sequence: int, scope: str, tokens: Sequence[int]) -> None:
        """Makes `tokens` the whole path of a sequence."""
        if sequence in self._leaves:
            self.release(sequence)
        node, at = self._roots.setdefault(scope, _Node([], None)), 0
        while at < len(tokens):
            child = node.children.get(tokens[at])
            if child is None:
                child = node.children[tokens[at]] = _Node(list(tokens[at:]), node)
                self.cells += len(child.tokens)
            else:
                same = common_length(child.tokens, tokens[at : at + len(child.tokens)])
                if same < len(child.tokens):
                    child = self._split(child, same)
            child.holders.add(sequence)
            node, at = child, at + len(child.tokens)
        self._leaves[sequence] = (scope, node)

    def release(self, sequence: int) -> int:
        """Forgets a sequence; how many cells nobody else holds."""
        scope, node = self._leaves.pop(sequence)
        freed = 0
        while node.parent is not None:
            node.holders.discard(sequence)
            if not node.holders:
                freed += len(node.tokens)
                del node.parent.children[node.tokens[0]]
            node = node.parent
        if not node.children:
            self._roots.pop(scope, None)
        self.cells -= freed
        return freed

    def covered(self, sequence: int) -> set[int]:
        """The other sequences whose whole path this one holds too."""
        nodes = {id(node) for node in self._path(sequence)}
        near: set[int] = set()
        for node in self._path(sequence):
            near |= node.holders
        return {other for other in near if other != sequence and id(self._leaves[other][1]) in nodes}

    def _path(self, sequence: int) -> list[_Node]:
        node: _Node | None = self._leaves[sequence][1]
        path = []
        while node is not None and node.parent is not None:
            path.append(node)
            node = node.parent
        return path[::-1]

    def _split(self, node: _Node, at: int) -> _Node:
        """Cuts a run in two; the upper part, which a new path goes through."""
        assert node.parent is not None
        upper = _Node(node.tokens[:at], node.parent)
        upper.holders = set(node.holders)
        node.parent.children[node.tokens[0]] = upper
        node.tokens, node.parent = node.tokens[at:], upper
        upper.children[node.tokens[0]] = node
        return upper
