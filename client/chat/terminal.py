"""A conversation in a terminal: questions and commands in, answers out, until Ctrl-D."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from client.chat.answering import Answering, footer
from client.chat.asking import Asker
from client.chat.attach import attachment
from client.chat.conversation import Attachment, Conversation, Question
from client.chat.hints import told
from client.chat.places import ANY, sentence
from client.chat.slash import Command, read, unquoted
from client.chat.tables import commands, models_table
from client.chat.wishes import Wishes
from client.printed import printable
from client.shapes.swarm import Model, Worker
from client.view import View
from shared.errors import HiveError, RequestError
from shared.files import write_private
from shared.words import counted


class Chat:
    """One conversation; `runner` runs what is awaited, so that Ctrl-C ends that alone."""

    def __init__(
        self, asker: Asker, wishes: Wishes, console: Console, runner: asyncio.Runner, view: Callable[[], View]
    ) -> None:
        self.wishes = wishes
        self.conversation = Conversation()
        self.models: list[Model] = []
        self.attached: tuple[Attachment, ...] = ()
        self._asker, self._console, self._runner, self._view = asker, console, runner, view

    def run(self, ask: Callable[[], str]) -> None:
        """Until the person leaves; `ask` raises EOFError for Ctrl-D and KeyboardInterrupt for Ctrl-C."""
        while True:
            try:
                if not self.take(ask()):
                    return
                self._console.print()
            except EOFError:
                return
            except KeyboardInterrupt:
                self._say("Ctrl-D leaves; Ctrl-C stops an answer.\n")

    def take(self, line: str) -> bool:
        """Does what a line says; False if that is to leave. What goes wrong is told, and the chat goes on."""
        try:
            match read(line):
                case "":
                    pass
                case Command("quit"):
                    return False
                case Command(name, argument):
                    self._command(name, argument)
                case question:
                    self._ask(Question(str(question), self.attached))
        except HiveError as error:
            self._complain(told(error))
        except OSError as error:
            self._complain(printable(f"{error.filename}: {error.strerror}." if error.filename else f"{error}."))
        return True

    def toolbar(self) -> str:
        """What stands below the line that is written."""
        files = f" · with {', '.join(file.name for file in self.attached)}" if self.attached else ""
        return printable(f"{self.wishes.model} · {self.wishes.where}{files} · Alt-Enter: new line · /help")

    def _command(self, name: str, argument: str) -> None:
        match name:
            case "model":
                self._choose_model(argument)
            case "place":
                self._choose_place(argument)
            case "system":
                self._set_system(argument)
            case "file":
                self._attach(_path(argument))
            case "new":
                self.conversation = Conversation(system=self.conversation.system)
                self.attached = ()
                self._say("A new conversation.")
            case "undo":
                self._undo()
            case "retry":
                self._retry()
            case "save":
                self._save(_path(argument))
            case _:
                self._console.print(commands())

    def _ask(self, question: Question) -> None:
        self.conversation, self.attached = self.conversation.asked(question), ()
        self._answer()

    def _answer(self) -> None:
        answering = Answering(self._asker, self.wishes, time.monotonic)
        self._console.print()
        try:
            with suppress(KeyboardInterrupt):  # the answer stays as far as it came, and the line below it says so
                self._runner.run(answering.show(self.conversation.messages(), self._view()))
        finally:
            self.conversation = self.conversation.answered(answering.text)
        job, countries = self._runner.run(answering.facts())
        self._say(footer(job, countries, answering.ended))

    def _choose_model(self, name: str) -> None:
        self.models = self._runner.run(self._asker.models())
        if not name:
            self._console.print(models_table(self.models, self.wishes.model))
            return
        named = [model.id for model in self.models if model.id == name or model.id.startswith(name)]
        found = name if name in named else named[0] if len(named) == 1 else None
        if found is None:
            raise RequestError(
                f"No worker serves {name} now; there is {', '.join(m.id for m in self.models) or 'none'}."
            )
        self.wishes = msgspec.structs.replace(self.wishes, model=found)
        self._say(f"From now on {found} answers.")

    def _choose_place(self, place: str) -> None:
        if place.lower() == ANY:
            self.wishes = msgspec.structs.replace(self.wishes, jurisdiction="", cell="")
        elif place:
            self.wishes = msgspec.structs.replace(self.wishes, jurisdiction=place.upper())
        self._say(sentence(self.wishes, self._runner.run(self._workers())))

    async def _workers(self) -> list[Worker]:
        return (await self._asker.hive.workers()).data

    def _set_system(self, text: str) -> None:
        if text:
            system = "" if text.lower() == "none" else text
            self.conversation = msgspec.structs.replace(self.conversation, system=system)
        self._say(f"System prompt: {self.conversation.system or 'none'}")

    def _attach(self, file: Path) -> None:
        model = next((model for model in self.models if model.id == self.wishes.model), None)
        self.attached = (*self.attached, attachment(file, model))
        self._say(f"{file.name} goes with your next question.")

    def _undo(self) -> None:
        before = self.conversation
        self.conversation = before.undone()
        taken = before.open or (before.turns[-1].question if before.turns else None)
        self._say(f"Taken back: {taken.text}" if taken else "There is nothing to take back.")

    def _retry(self) -> None:
        self.conversation = self.conversation.again()
        if self.conversation.open is None:
            raise RequestError("There is no question to ask again.")
        self._answer()

    def _save(self, file: Path) -> None:
        if not self.conversation.turns:
            raise RequestError("There is nothing to save yet.")
        if file.exists():
            raise RequestError(f"{file} is there already; give it another name.")
        as_json = file.suffix.lower() == ".json"
        messages = json.dumps(self.conversation.messages(), ensure_ascii=False, indent=2)
        write_private(file, (messages if as_json else self.conversation.markdown()).encode())
        self._say(f"{counted(len(self.conversation.turns), 'question')} with the answers written to {file}.")

    def _say(self, text: str) -> None:
        self._console.print(Text(printable(text), "dim"))

    def _complain(self, text: str) -> None:
        self._console.print(Text.assemble(("✗ ", "red"), text))


def _path(written: str) -> Path:
    try:
        return Path(unquoted(printable(written))).expanduser()
    except RuntimeError as e:
        raise RequestError(f"{written}: nobody here is called so.") from e
