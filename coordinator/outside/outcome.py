"""What can be wrong with the other side, and how much of it is taken."""


class UnreachedError(Exception):
    """The other side was not called or did not answer as it should; the text says why, in words that follow its name."""


class Room:
    """How many bytes may still come; several answers may share one."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._taken = 0

    def take(self, count: int) -> None:
        """These bytes came; raises UnreachedError where they are too many."""
        self._taken += count
        if self._taken > self._most:
            raise UnreachedError(f"sends more than the {self._most} bytes that are taken")
