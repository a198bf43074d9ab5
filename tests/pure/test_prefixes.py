"""The tree of prefixes against a plain list of who holds what."""

from hypothesis import given, strategies as st

from worker.engine.prefixes import BLOCK, Prefixes, common_length

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12)
LONG = st.builds(lambda head, times, tail: head * times + tail, TOKENS, st.integers(1, 30), TOKENS)
SCOPES = st.sampled_from(["a", "b"])


def common(left: list[int], right: list[int]) -> int:
    same = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        same += 1
    return same


class Plain:
    """What the tree promises, by looking at everything."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[str, list[int]]] = {}

    @property
    def cells(self) -> int:
        return len(
            {(scope, tuple(tokens[: i + 1])) for scope, tokens in self.held.values() for i in range(len(tokens))}
        )

    def longest(self, scope: str, tokens: list[int]) -> int:
        return max((common(held, tokens) for where, held in self.held.values() if where == scope), default=0)

    def covered(self, sequence: int) -> set[int]:
        scope, tokens = self.held[sequence]
        return {
            other
            for other, (where, held) in self.held.items()
            if other != sequence and where == scope and held == tokens[: len(held)]
        }


@given(st.lists(st.integers(0, 3), max_size=300), st.integers(0, 300), st.lists(st.integers(0, 3), max_size=3))
def test_common_length_is_where_they_first_differ(head: list[int], cut: int, tail: list[int]) -> None:
    assert common_length(head, head[:cut] + tail) == common(head, head[:cut] + tail)
    assert common_length(head, head) == len(head)
    assert common_length(head * 3, head * 3 + [9]) == 3 * len(head)
    assert common_length([1] * BLOCK, [1] * BLOCK + [2]) == BLOCK


@given(
    st.lists(
        st.one_of(st.tuples(st.integers(0, 6), SCOPES, TOKENS | LONG), st.tuples(st.integers(0, 6))),
        max_size=40,
    ),
    st.lists(st.tuples(SCOPES, TOKENS | LONG), min_size=1, max_size=6),
)
def test_it_says_what_looking_at_everything_says(
    steps: list[tuple[int] | tuple[int, str, list[int]]], asked: list[tuple[str, list[int]]]
) -> None:
    tree, plain = Prefixes(), Plain()
    for step in steps:
        if len(step) == 3:
            sequence, scope, tokens = step
            tree.hold(sequence, scope, tokens)
            plain.held[sequence] = (scope, tokens)
        elif step[0] in plain.held:
            before = plain.cells
            del plain.held[step[0]]
            assert tree.release(step[0]) == before - plain.cells
        assert tree.cells == plain.cells
        for sequence, (_, tokens) in plain.held.items():
            assert sequence in tree
            assert tree.length(sequence) == len(tokens)
            assert tree.covered(sequence) == plain.covered(sequence)
        for scope, tokens in asked:
            length, holder = tree.longest(scope, tokens)
            assert length == plain.longest(scope, tokens)
            assert (holder is None) == (length == 0)
            assert holder is None or plain.held[holder] == (scope, plain.held[holder][1])
            assert holder is None or common(plain.held[holder][1], tokens) == length
    for sequence in list(plain.held):
        tree.release(sequence)
    assert (tree.cells, tree.longest("a", [0]), tree.longest("b", [1])) == (0, (0, None), (0, None))
