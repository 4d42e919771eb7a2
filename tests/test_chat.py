"""The conversation in the terminal: history, commands, completion, Ctrl-C and Ctrl-D."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT, Scripted, Shelf

from tutor.chat import COMMANDS, MOST_TURNS, Chat, completions
from tutor.tutor import Tutor
from tutor.types import Answer

OPENING = "Dropout slår av tilfeldige noder i hvert steg av treningen."
SECOND = "Andelen noder som slås av, kalles $p$."
TESTING = "Under testing er alle nodene med."
NAMES = ("weight decay", "dropout", "utelatelse", "Weight tying", "Ærlighet")


@pytest.fixture
def talk(tutor: Tutor) -> SimpleNamespace:
    said: list[str] = []
    shown: list[Answer] = []
    return SimpleNamespace(chat=Chat(tutor, said.append, shown.append), said=said, shown=shown)


def test_a_conversation_remembers_what_was_said(talk: SimpleNamespace, scripted: Scripted, shelf: Shelf) -> None:
    scripted.enqueue(TESTING, "")
    talk.chat.take("  Hva er dropout? ")
    assert "".join(talk.said) == f"{OPENING} [1] {SECOND} [2] {TESTING} [3]\n"
    talk.chat.take("hvorfor dropout?")
    assert [t.role for t in shelf.histories[-1]] == ["user", "assistant"]
    assert shelf.histories[-1][0].content == "Hva er dropout?"
    talk.chat.take("/NY")
    scripted.enqueue("")
    talk.chat.take("Hva er dropout?")
    assert list(shelf.histories[-1]) == []


def test_the_sources_of_the_last_answer(talk: SimpleNamespace, scripted: Scripted) -> None:
    talk.chat.take("/kilder")
    assert "ikke spurt" in talk.said[-1]
    scripted.enqueue(TESTING)
    talk.chat.take("Hva er dropout?")
    talk.chat.take("/kilder")
    assert [c.quote for c in talk.shown[0].citations] == [OPENING, SECOND, TESTING]
    talk.chat.take("Hva er fotosyntese?")
    talk.chat.take("/kilder")
    assert "ingen kilder" in talk.said[-1] and len(talk.shown) == 1


def test_commands_and_what_cannot_be_asked(talk: SimpleNamespace) -> None:
    talk.chat.take("/hjelp")
    assert all(command in talk.said[-1] for command in COMMANDS)
    talk.chat.take("/tull")
    assert talk.said[-1] == "Jeg kjenner ikke /tull. Skriv /hjelp.\n"
    talk.chat.take("?!")
    assert "verken bokstaver eller tall" in talk.said[-1]
    talk.chat.take("   ")
    assert len(talk.said) == 3 and talk.chat.history == []


def test_an_answer_that_is_stopped_stays_as_far_as_it_came(tutor: Tutor, scripted: Scripted) -> None:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith(OPENING):
            raise KeyboardInterrupt

    chat = Chat(tutor, say, lambda _: None)
    scripted.enqueue(TESTING * 50)
    chat.take("Hva er dropout?")
    assert said == [f"{OPENING} [1]", "\n(Stoppet.)\n"]
    assert [t.content for t in chat.history] == ["Hva er dropout?", f"{OPENING} [1]"]


def test_a_long_conversation_forgets_its_beginning(talk: SimpleNamespace, scripted: Scripted) -> None:
    for _ in range(MOST_TURNS):
        scripted.enqueue("")
        talk.chat.take("Hva er dropout?")
    assert len(talk.chat.history) == MOST_TURNS


@pytest.mark.parametrize(
    ("line", "filled"),
    [
        ("hva er drop", ["hva er dropout"]),
        ("forskjellen på dropout og weight d", ["forskjellen på dropout og weight decay"]),
        ("WEI", ["Weight tying", "weight decay"]),
        ("hva er ær", ["hva er Ærlighet"]),
        ("/k", ["/kilder"]),
        ("/", list(COMMANDS)),
        ("", []),
        ("hva er ", []),
        ("hva er fotosynt", []),
    ],
)
def test_completion(line: str, filled: list[str]) -> None:
    assert completions(line, NAMES) == filled


PROGRAM = """
import sys, time
sys.path[:0] = ["tests"]
from conftest import SMALL, Scripted, Shelf
from types import SimpleNamespace
from tutor import cli
from tutor.glossary import read_glossary
from tutor.tutor import Tutor

class Slow(Scripted):
    def _stream(self, *a, **k):
        self.enqueue("Under testing er alle nodene med. " + "Tøv om fisk. " * 200)
        for chunk in super()._stream(*a, **k):
            time.sleep(0.02)
            yield chunk

shelf = Shelf(read_glossary(SMALL).entries)
shelf.index = SimpleNamespace(entries=tuple(shelf.entries.values()))
import tutor.open
tutor.open.open_tutor = lambda **_: Tutor(shelf, Slow())
sys.exit(cli.main(["chat"]))
"""


@contextmanager
def terminal() -> Iterator[SimpleNamespace]:
    """``tutor chat`` in a terminal of its own, with a slow scripted model."""
    pid, handle = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-c", PROGRAM], {**os.environ, "TERM": "dumb"})
    seen = ""

    def until(wanted: str, seconds: float = 30, press: str = "") -> str:
        """Everything since the last call, up to ``wanted``; ``press`` is pressed every two seconds until it comes."""
        nonlocal seen
        end, pressed = time.monotonic() + seconds, 0.0
        while wanted not in seen:
            if press and time.monotonic() > pressed + 2:
                pressed = time.monotonic()
                os.write(handle, press.encode())
            assert time.monotonic() < end, f"{wanted!r} did not come: {seen!r}"
            if select.select([handle], [], [], 0.1)[0]:
                with suppress(OSError):
                    seen += os.read(handle, 4096).decode(errors="replace")
        before, _, seen = seen.partition(wanted)
        return before

    yield SimpleNamespace(pid=pid, until=until, write=lambda text: os.write(handle, text.encode()))
    with suppress(ProcessLookupError):
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    os.close(handle)


@pytest.mark.skipif(not hasattr(pty, "fork"), reason="no pseudo terminals here")
def test_in_a_terminal() -> None:
    with terminal() as screen:
        screen.until("Du: ")
        screen.write("hva er drop\t?\n")
        screen.until("hva er dropout?")
        screen.until(f"{OPENING} [1]")
        screen.write("\x03")
        screen.until("(Stoppet.)")
        screen.until("Du: ")
        screen.write("halvskrevet")
        screen.until("halvskrevet")
        screen.until("Du: ", press="\x03")  # Python may see it at the next key only, when it comes just before it waits
        screen.write("/ny\n")
        screen.until("Ny samtale.")
        screen.until("Du: ")
        screen.write("\x04")
        assert os.waitstatus_to_exitcode(os.waitpid(screen.pid, 0)[1]) == 0


def test_from_a_pipe_it_answers_each_line(
    tutor: Tutor, scripted: Scripted, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    from tutor import cli

    scripted.enqueue(TESTING)
    shelf.index = SimpleNamespace(entries=tuple(shelf.entries.values()))  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "stdin", io.StringIO("Hva er dropout?\n/kilder\n"))
    assert cli.main(["chat"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{OPENING} [1] {SECOND} [2] {TESTING} [3]\n")
    assert re.search(r"Kilder\n\[1\] dropout: «Dropout slår av", shown)


def test_nothing_is_written_to_disk(talk: SimpleNamespace, scripted: Scripted, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    scripted.enqueue(TESTING)
    talk.chat.take("Hva er dropout?")
    assert list(tmp_path.iterdir()) == []
