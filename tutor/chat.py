"""``tutor chat``: a conversation in the terminal. Nothing of it is kept when it ends."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from tutor.errors import TutorError
from tutor.types import Answer, Delta, Turn

if TYPE_CHECKING:
    from tutor.tutor import Tutor

PROMPT = "\nDu: "
WELCOME = "Spør om noe i ordlisten. Tabulator fyller ut begreper, /hjelp viser mer, og Ctrl-D avslutter."
HELP = """/ny      begynn på nytt
/kilder  vis kildene til det siste svaret
/hjelp   vis dette
Tabulator fyller ut begreper, og pil opp henter det du skrev sist.
Ctrl-C stopper et svar. Ctrl-D avslutter."""
COMMANDS = ("/ny", "/kilder", "/hjelp")
MOST_TURNS = 20
"""Messages that the tutor is told of; it looks no further back than a turn or two."""


class Chat:
    """One conversation. ``say`` gets one line or piece of text at a time, ``sources`` prints an answer's sources."""

    def __init__(self, tutor: Tutor, say: Callable[[str], None], sources: Callable[[Answer], None]) -> None:
        self._tutor, self._say, self._sources = tutor, say, sources
        self.history: list[Turn] = []
        self._last: Answer | None = None

    def take(self, line: str) -> None:
        """Do what the line says: a command, or a question."""
        line = line.strip()
        if not line:
            return
        if line.startswith("/"):
            self._command(line.lower())
            return
        try:
            self._answer(line)
        except TutorError as error:
            self._say(f"{error}\n")

    def _command(self, name: str) -> None:
        if name == "/ny":
            self.history, self._last = [], None
            self._say("Ny samtale.\n")
        elif name == "/kilder":
            if self._last and self._last.citations:
                self._sources(self._last)
            else:
                self._say("Det siste svaret har ingen kilder.\n" if self._last else "Du har ikke spurt om noe ennå.\n")
        elif name == "/hjelp":
            self._say(f"{HELP}\n")
        else:
            self._say(f"Jeg kjenner ikke {name}. Skriv /hjelp.\n")

    def _answer(self, question: str) -> None:
        """Say the answer as it comes; Ctrl-C ends it, and what was said stays in the conversation."""
        said = ""
        events = self._tutor.stream(question, tuple(self.history))
        try:
            for event in events:
                if isinstance(event, Delta):
                    said += event.text
                    self._say(event.text)
                else:
                    self._last = event
            self._say("\n")
        except KeyboardInterrupt:
            self._last = None
            self._say("\n(Stoppet.)\n")
        finally:
            events.close()  # type: ignore[attr-defined]  # a generator: the model stops here
        if said:
            self.history += [Turn("user", question), Turn("assistant", said)]
            del self.history[:-MOST_TURNS]


def run(tutor: Tutor, sources: Callable[[Answer], None]) -> None:
    """Talk until the end of standard input."""

    def say(text: str) -> None:
        print(text, end="", flush=True)

    chat = Chat(tutor, say, sources)
    asked_by_a_person = sys.stdin.isatty()
    with completion([n for e in tutor.entries for n in e.names]) if asked_by_a_person else nullcontext():
        if asked_by_a_person:
            print(WELCOME)
        while True:
            try:
                line = input(PROMPT if asked_by_a_person else "")
            except EOFError:
                if asked_by_a_person:
                    print()
                return
            except KeyboardInterrupt:  # while nothing is being answered: the line is dropped, as in a shell
                print()
                continue
            chat.take(line)


def completions(line: str, names: Sequence[str]) -> list[str]:
    """What the end of ``line`` can be filled out to: a command, or a name that begins as its last words do.

    The longest end of the line that begins a name counts, so that names of several words are found.
    Each proposal is the whole line.
    """
    if line.startswith("/"):
        return [c for c in COMMANDS if c.startswith(line)]
    words = line.split(" ")
    for start in range(len(words)):
        head, end = " ".join(words[:start]), _folded(" ".join(words[start:]))
        if found := sorted({n for n in names if end.strip() and _folded(n).startswith(end)}):
            return [f"{head} {name}" if start else name for name in found]
    return []


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


@contextmanager
def completion(names: Sequence[str]) -> Iterator[None]:
    """Tab fills out ``names`` while the block lasts, where Python has readline."""
    try:
        import readline
    except ImportError:  # Windows: editing and history are the console's own
        yield
        return
    before = readline.get_completer(), readline.get_completer_delims()

    def complete(text: str, number: int) -> str | None:
        found = completions(text, names)
        return found[number] if number < len(found) else None

    readline.set_completer_delims("")  # the whole line, since names have spaces
    readline.set_completer(complete)
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    try:
        yield
    finally:
        readline.set_completer(before[0])
        readline.set_completer_delims(before[1])
