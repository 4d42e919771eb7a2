"""A running ``tutor serve`` answers ``tutor ask``: its model is loaded, and it has read the definitions.

The server listens on a port of its own on loopback and writes port and a secret to ``serve.json`` in the data
folder, which only its user can read. Each connection asks one question: a line of JSON there, one an event back.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.errors import ModelError, TutorError, UsageError
from tutor.settings import Settings
from tutor.types import Answer, Citation, Delta, Event, Timings, Turn

if TYPE_CHECKING:
    from tutor.tutor import Tutor

NAME = "serve.json"
LONGEST_REQUEST = 1024**2
PATIENCE = 600.0
"""Seconds to wait for an event: others may be before us."""


class Remote:
    """A tutor in another process of the same user. Raises as ``Tutor``, and ``ModelError`` when it goes away."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token

    def ask(self, question: str, history: Sequence[Turn] = ()) -> Answer:
        """The whole answer at once."""
        return next(e for e in self.stream(question, history) if isinstance(e, Answer))

    def stream(self, question: str, history: Sequence[Turn] = ()) -> Iterator[Event]:
        """What the other process' ``Tutor.stream`` yields."""
        asked = {"token": self._token, "question": question, "history": [asdict(t) for t in history]}
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE) as line:
                line.sendall(json.dumps(asked).encode() + b"\n")
                for raw in line.makefile("rb"):
                    yield _event(json.loads(raw))
                    if b'"answer"' in raw[:10]:
                        return
        except (OSError, ValueError) as error:
            raise ModelError(f"Veilederen som er i gang, svarer ikke lenger ({error}). Spør igjen.") from error
        raise ModelError("Veilederen som er i gang, stoppet midt i svaret. Spør igjen.")


def find(settings: Settings) -> Remote | None:
    """The tutor that is being served with these very settings and glossary, or None."""
    path = settings.home / NAME
    try:
        with path.open(encoding="utf-8") as file:
            about = os.fstat(file.fileno())
            if hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & 0o077):
                return None
            content = json.load(file)
        os.kill(content["pid"], 0)  # a port that was ours may be anyone's by now
        if content["serves"] != what(settings):
            return None
        socket.create_connection(("127.0.0.1", content["port"]), timeout=0.5).close()
        return Remote(content["port"], content["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def announce(tutor: Tutor, settings: Settings) -> None:
    """Answer this user's other processes from now on, in threads."""
    token = secrets.token_hex(16)

    class Handler(socketserver.StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            with suppress(OSError):
                self._answer()

        def _answer(self) -> None:
            try:
                asked = json.loads(self.rfile.readline(LONGEST_REQUEST))
                if not hmac.compare_digest(str(asked["token"]), token):
                    return
                history = [Turn(str(t["role"]), str(t["content"])) for t in asked["history"]]
                with closing(tutor.stream(str(asked["question"]), history)) as events:  # type: ignore[type-var]
                    for event in events:
                        self._send({"answer" if isinstance(event, Answer) else "delta": asdict(event)})
            except TutorError as error:
                self._send({"error": str(error), "code": error.exit_code})
            except (ValueError, KeyError, TypeError):
                return

        def _send(self, content: dict[str, Any]) -> None:
            self.wfile.write(json.dumps(content).encode() + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="announced").start()
    content = {"port": server.server_address[1], "pid": os.getpid(), "token": token, "serves": what(settings)}
    with suppress(OSError):
        _write_private(settings.home / NAME, json.dumps(content))


def what(settings: Settings) -> str:
    """Tells two set-ups apart: the settings, and the glossary's files as they are now."""
    about = {k: str(v) for k, v in asdict(settings).items()}
    root = settings.glossary
    files = sorted(root.rglob("*")) if root.is_dir() else [root]
    stats = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    return hashlib.sha256(json.dumps([about, stats]).encode()).hexdigest()


def _write_private(path: Path, text: str) -> None:
    """A file that only its owner can read, in place of what was there."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(draft, path)


def _event(content: dict[str, Any]) -> Event:
    """The event that a line stands for. Raises the error that it tells of."""
    if "error" in content:
        raise (UsageError if content["code"] == 2 else ModelError)(content["error"])
    if "delta" in content:
        return Delta(content["delta"]["text"], tuple(Citation(**c) for c in content["delta"]["citations"]))
    fields = content["answer"]
    lists = {k: tuple(fields[k]) for k in ("suggestions", "withheld")}
    cited = tuple(Citation(**c) for c in fields["citations"])
    return Answer(**{**fields, **lists, "citations": cited, "timings": Timings(**fields["timings"])})
