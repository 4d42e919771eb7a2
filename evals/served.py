"""How ``tutor`` fares as a user starts it: ``tutor ask`` alone and beside ``tutor serve``, and many students at once.

Processes of their own, in a data folder of their own (``own_home``). Students come to ``/api/ask`` over loopback,
each from an address of its own (127.0.0.2 and on, where the whole net is loopback), as the server tells them apart.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from socket import socket

import psutil

from tutor import language
from tutor.open import UNDISTURBED
from tutor.settings import load_settings

TUTOR = (sys.executable, "-m", "tutor.cli")
LOAD = """
import os, time
began = time.perf_counter()
from tutor.llm import make_llm
from tutor.settings import load_settings
make_llm(load_settings()).load()
print(time.perf_counter() - began, flush=True)
os._exit(0)
"""
PATIENCE = 600.0
"""Seconds without a word after which a student gives up."""


def own_home(folder: Path) -> dict[str, str]:
    """The environment of a data folder with the user's models, index and settings, but its own states and server."""
    home = load_settings().home.resolve()
    for name in ("models", "index"):
        (folder / name).symlink_to(home / name)
    with suppress(FileNotFoundError):
        shutil.copy(home / "tutor.toml", folder)
    return {**os.environ, "TUTOR_HOME": str(folder)}


def timed(command: Sequence[str], env: dict[str, str]) -> tuple[float, str]:
    """Seconds of one whole process, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, done.stdout


@dataclass(frozen=True)
class Alone:
    """Seconds of fresh processes, one a run: until ``tutor ask`` shows a letter, and to load the model, no more."""

    word: tuple[float, ...]
    load: tuple[float, ...]

    @property
    def after(self) -> float:
        """How much later the word comes than the model is loaded, by the medians."""
        return statistics.median(self.word) - statistics.median(self.load)


def alone(question: str, env: dict[str, str], repeats: int) -> Alone:
    """Ask without a server, and load the model, in turn."""
    words, loads = [], []
    for _ in range(repeats):
        loads.append(float(timed([sys.executable, "-c", LOAD], env)[1]))
        words.append(_first_letter(question, env))
    return Alone(tuple(words), tuple(loads))


def _first_letter(question: str, env: dict[str, str]) -> float:
    began = time.perf_counter()
    asking = subprocess.Popen([*TUTOR, "ask", question], env=env, stdout=subprocess.PIPE, bufsize=0)
    with asking:
        assert asking.stdout
        letter = asking.stdout.read(1)
        taken = time.perf_counter() - began
        asking.kill()
    if not letter.strip():
        raise RuntimeError(f"tutor ask says nothing to «{question}»")
    return taken


def asks(questions: Sequence[str], env: dict[str, str]) -> list[float]:
    """Seconds of each ``tutor ask`` beside a server that are not the tutor's: its whole process less ``total_ms``."""
    own = []
    for question in questions:
        seconds, printed = timed([*TUTOR, "ask", "--json", question], env)
        own.append(seconds - json.loads(printed)["timings"]["total_ms"] / 1000)
    return own


@dataclass(frozen=True)
class Server:
    """A ``tutor serve``."""

    port: int
    pid: int

    def memory_mb(self) -> float:
        """The most memory it has held so far, resident, in MB; where there is no /proc, what it holds now."""
        status = Path(f"/proc/{self.pid}/status")
        if not status.is_file():
            return float(psutil.Process(self.pid).memory_info().rss) / 1024**2
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024


@contextmanager
def serving(env: dict[str, str]) -> Iterator[Server]:
    """A server that is ready and has nothing left to read ahead."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([*TUTOR, "serve", "--port", str(port)], env=env) as process:
        try:
            while not _ready(port):
                if process.poll() is not None:
                    raise RuntimeError("tutor serve ended before it was ready")
                time.sleep(0.2)
            time.sleep(UNDISTURBED)
            while psutil.Process(process.pid).cpu_percent(1.0) > 10:
                pass
            yield Server(port, process.pid)
        finally:
            process.terminate()


def _ready(port: int) -> bool:
    line = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        line.request("GET", "/readyz")
        return line.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        line.close()


@dataclass(frozen=True)
class Visit:
    """How a student's question went, in seconds from when it was sent.

    ``ended``: «answered», «refused» (429 or 503, told in Norwegian) or «broken», and ``why``. ``first``: to the
    first event, a sentence or a place in line with ``ahead`` before; ``word``: to the first sentence.
    """

    ended: str
    why: str = ""
    first: float = 0.0
    ahead: int | None = None
    word: float = 0.0
    end: float = 0.0
    tokens: int = 0


def visit(port: int, question: str, address: str = "127.0.0.1") -> Visit:
    """Ask over the API, from ``address``, and follow the events to the end."""
    line = HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=(address, 0))
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    began = time.perf_counter()
    try:
        line.request("POST", "/api/ask", json.dumps({"question": question}), headers)
        reply = line.getresponse()
        if reply.status == 200:
            return _followed(reply, began)
        told = json.loads(reply.read())
        polite = reply.status in (429, 503) and language.detect(told["error"]) == "nb"
        return Visit("refused" if polite else "broken", told["kind"], end=time.perf_counter() - began)
    except (OSError, HTTPException, ValueError, KeyError) as error:
        return Visit("broken", type(error).__name__, end=time.perf_counter() - began)
    finally:
        line.close()


def _followed(reply: HTTPResponse, began: float) -> Visit:
    name, first, ahead, word, now = "", 0.0, None, 0.0, 0.0
    for raw in reply:
        field, _, value = raw.decode().strip().partition(": ")
        if field == "event":
            name = value
        if field != "data":
            continue
        now, data = time.perf_counter() - began, json.loads(value)
        first = first or now
        if name == "queued":
            ahead = data["ahead"] if ahead is None else ahead
        elif name == "delta":
            word = word or now
        elif name == "answer":
            return Visit("answered", "", first, ahead, word, now, data["timings"]["completion_tokens"])
        else:
            return Visit("broken", data["kind"], first, ahead, word, now)
    return Visit("broken", "no answer", first, ahead, word, now)


@dataclass(frozen=True)
class Crowd:
    """Visits in the order they ended, the seconds they took together, and the server's peak memory in MB after them."""

    visits: tuple[Visit, ...]
    seconds: float
    memory_mb: float

    @property
    def answered(self) -> list[Visit]:
        return [v for v in self.visits if v.ended == "answered"]

    @property
    def tokens_a_second(self) -> float:
        """Of all together. An answer that is cut short tells no tokens, so this may be too low."""
        return sum(v.tokens for v in self.answered) / self.seconds

    @property
    def answers_a_minute(self) -> float:
        """Of all together."""
        return 60 * len(self.answered) / self.seconds

    @property
    def spread(self) -> float:
        """The longest wait for the end of an answer against the shortest."""
        ends = [v.end for v in self.answered]
        return max(ends) / min(ends)


def crowd(server: Server, questions: Sequence[str], at_once: bool = True) -> Crowd:
    """A student a question: all at the same moment, or one after the other."""
    students = len(questions) if at_once else 1
    doors = threading.Barrier(students)

    def one(number: int, question: str) -> Visit:
        doors.wait()
        own = f"127.0.0.{number % 250 + 2}" if sys.platform == "linux" else "127.0.0.1"
        return visit(server.port, question, own)

    began, peak = time.perf_counter(), 0.0
    with ThreadPoolExecutor(students) as pool:
        coming = [pool.submit(one, n, q) for n, q in enumerate(questions)]
        while wait(coming, timeout=0.2).not_done:
            peak = max(peak, server.memory_mb())
    seconds = time.perf_counter() - began
    visits = sorted((c.result() for c in coming), key=lambda v: v.end)
    return Crowd(tuple(visits), seconds, max(peak, server.memory_mb()))
