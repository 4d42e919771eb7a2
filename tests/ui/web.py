"""What the UI tests share: the app over a scripted tutor, in this process and on a port."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import uvicorn
from conftest import Scripted, Shelf
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tutor.glossary import read_glossary
from tutor.tutor import Tutor
from tutor.types import Entry, Section
from ui.app import make_app
from ui.desk import Desk
from ui.settings import WebSettings

SCRIPT = "<img src=https://ond.example/x onerror=alert(1)>"
NASTY = Entry(
    "ond",
    "Ond " + SCRIPT,
    (
        Section("", f"Ond er {SCRIPT} [lenke](javascript:alert(1)) ![bilde](https://ond.example/b.png) **fet**."),
        Section("<script>alert(1)</script>", "<script>alert(1)</script> [lenke](https://ond.example)"),
    ),
    {"nb": ("<b>ondskap</b>",)},
)


class Library(Shelf):
    """A shelf whose entries can be listed."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__(entries)
        self.index = SimpleNamespace(entries=tuple(entries))


class Slow(Scripted):
    """Says the same to everyone, ``pause`` seconds a word."""

    pause: float = 0.0
    says: str = ""

    def _stream(self, messages: Any, *_: Any, **__: Any) -> Any:
        self.enqueue(self.says)
        for chunk in super()._stream(messages):
            time.sleep(self.pause)
            yield chunk


def make_tutor(glossary: Any, model: Scripted) -> Tutor:
    """A tutor over ``glossary`` and one hostile entry, with a scripted model."""
    entries = [*read_glossary(glossary).entries, NASTY]
    return Tutor(Library(entries), model)  # type: ignore[arg-type]


def opened(tutor: Tutor, **settings: Any) -> FastAPI:
    """The app over a tutor that is ready."""
    chosen = replace(WebSettings(), **settings)
    desk = Desk(lambda: tutor, chosen)
    desk.start()
    while not desk.error:
        try:
            desk.tutor  # noqa: B018
            break
        except Exception:
            time.sleep(0.01)
    return make_app(desk, chosen)


@contextmanager
def client(app: FastAPI, root_path: str = "") -> Iterator[TestClient]:
    with TestClient(app, base_url="http://localhost:7860", root_path=root_path) as made:
        yield made


@contextmanager
def served(app: FastAPI, port: int = 0) -> Iterator[str]:
    """The app on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    number = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://localhost:{number}"
    finally:
        server.should_exit = True
        thread.join(10)
