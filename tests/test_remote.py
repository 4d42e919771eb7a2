"""A tutor that is being served answers other processes of the same user, and nobody else."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import SMALL, Scripted, Shelf

from tutor.errors import ModelError, UsageError
from tutor.glossary import read_glossary
from tutor.remote import NAME, announce, find
from tutor.settings import Settings
from tutor.tutor import Tutor
from tutor.types import Turn


@pytest.fixture
def model() -> Scripted:
    return Scripted()


@pytest.fixture
def settings(tmp_path: Path, model: Scripted) -> Settings:
    """The settings of a tutor that is being served."""
    made = Settings(home=tmp_path, glossary=SMALL)
    tutor = Tutor(Shelf(read_glossary(SMALL).entries), model)  # type: ignore[arg-type]
    announce(tutor, made)
    return made


def edited(settings: Settings, **changes: Any) -> None:
    path = settings.home / NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_events_are_the_tutors_own(settings: Settings, model: Scripted) -> None:
    remote = find(settings)
    assert remote
    model.enqueue("Dropout slår av nevroner.")
    events = list(remote.stream("Hva er dropout?", [Turn("user", "Hei"), Turn("assistant", "Hei!")]))
    answer = events[-1]
    assert "".join(e.text for e in events[:-1]) == answer.text
    assert answer.citations and answer.timings.prompt_tokens == 7  # type: ignore[union-attr]
    model.enqueue("Dropout slår av nevroner.")
    assert remote.ask("Hva er dropout?").text == answer.text


def test_what_the_tutor_refuses_is_refused_here(settings: Settings) -> None:
    remote = find(settings)
    assert remote
    with pytest.raises(UsageError, match="tomt"):
        remote.ask(" ")


def test_only_its_user_can_read_the_secret_and_nothing_works_without_it(settings: Settings) -> None:
    path = settings.home / NAME
    assert path.stat().st_mode & 0o777 == 0o600
    asked = {"token": "gjettet", "question": "Hva er dropout?", "history": []}
    with socket.create_connection(("127.0.0.1", json.loads(path.read_text())["port"]), timeout=5) as line:
        line.sendall(json.dumps(asked).encode() + b"\n")
        assert line.recv(100) == b""
    path.chmod(0o644)
    assert find(settings) is None


def test_other_settings_or_a_changed_glossary_are_not_served(settings: Settings, tmp_path: Path) -> None:
    assert find(Settings(home=settings.home, glossary=SMALL, max_tokens=7)) is None
    (tmp_path / "g.md").write_text("---\nterm: a\n---\nEn a er en a.\n")
    assert find(Settings(home=settings.home, glossary=tmp_path / "g.md")) is None


@pytest.mark.parametrize("changes", [{"pid": 2**22 + 1}, {"port": 9}, {"token": None, "pid": "x"}, {"serves": ""}])
def test_a_note_from_a_server_that_is_gone_is_passed_over(settings: Settings, changes: dict[str, Any]) -> None:
    edited(settings, **changes)
    assert find(settings) is None
    (settings.home / NAME).write_text("{")
    assert find(settings) is None


def test_one_that_stops_midway_is_told(settings: Settings, model: Scripted) -> None:
    remote = find(settings)
    assert remote
    with pytest.raises(ModelError, match="stoppet"):
        remote.ask("Hva er dropout?")  # the script is empty: the model fails as no model should


def test_asking_by_way_of_it_imports_nothing_heavy(settings: Settings, model: Scripted) -> None:
    code = (
        "import sys; from pathlib import Path; from tutor.remote import find; from tutor.settings import Settings\n"
        f"served = find(Settings(home=Path({str(settings.home)!r}), glossary=Path({str(SMALL)!r})))\n"
        "print(served.ask('Hva er dropout?').refused)\n"
        "print([m for m in ('numpy', 'langchain_core', 'llama_cpp', 'chromadb', 'tutor.tutor') if m in sys.modules])"
    )
    model.enqueue("Dropout slår av nevroner.")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["False", "[]"], done.stderr
