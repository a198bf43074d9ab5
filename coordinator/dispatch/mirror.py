"""The log of a job whose worker is at another coordinator, told on to the readers here: pure. Nothing of it has to come, and
what comes may come twice, late, or from a coordinator that has lost the job since."""

from coordinator.dispatch.between import Said
from coordinator.dispatch.channel import Channel, Status, Token
from coordinator.queue.lifecycle import State


class Mirror:
    """What of another's log was heard; it `lacks` what came before the last that was said. Readers here have a log of their
    own that goes on when the job moves: what they were told already is skipped by its place in the answer, whoever says it.
    """

    def __init__(self, channel: Channel) -> None:
        self.log = ""
        self.heard = 0
        self.lacks = False
        self._channel = channel
        self._at = (0, 0)
        self._seen = {(event.attempt, event.state) for event in channel.events if isinstance(event, Status)}
        self._agrees = True

    def hear(self, said: Said) -> None:
        """Takes what is new of it, unless something that came before is missing."""
        if said.attempt < self._channel.attempt or self._channel.ended:
            return
        same = said.log == self.log
        self.lacks = said.first > (self.heard if same else 0) + 1
        if self.lacks:
            return
        if not same:
            self.log, self.heard, self._at = said.log, 0, (0, 0)
        for event in said.events[self.heard + 1 - said.first :]:
            if isinstance(event, Status):
                self._status(event, said.held)
            else:
                self._tokens(event)
            self.heard = event.id

    def _status(self, event: Status, held: int) -> None:
        if event.attempt < self._channel.attempt or (event.attempt, event.state) in self._seen:
            return
        self._seen.add((event.attempt, event.state))
        if event.state is State.ASSIGNED and event.worker is not None:
            self._channel.assigned(event.attempt, event.worker, held, self._at)
        else:
            self._channel.status(event.state, event.worker)

    def _tokens(self, event: Token) -> None:
        """Another worker may have made other tokens than those that went out here: then nothing more is told, and the end
        says whether the answer is whole."""
        tokens, chars = self._at
        self._at = (tokens + event.count, chars + len(event.text))
        known = self._channel.ids[tokens : tokens + event.count]
        self._agrees = self._agrees and known == event.ids[: len(known)]
        fresh = event.text[max(0, self._channel.chars - chars) :]
        if self._agrees and (len(known) < event.count or fresh):
            self._channel.append(event.ids[len(known) :], fresh, event.logprobs[len(known) :])
