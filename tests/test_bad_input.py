"""What goes wrong on a student's machine: a Norwegian message, the right exit code, nothing lost. No weights."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SMALL, environment, run_tutor, tutor_command

from tutor.models import DEFAULT_LLM, EMBEDDING, load_catalog

OUT_OF_REACH = {"HF_ENDPOINT": "http://127.0.0.1:9", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


def assert_told(done: subprocess.CompletedProcess[str], code: int, *says: str) -> None:
    """The last line of standard error is ours, in Norwegian, and no Python shows."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("tutor: ")
    assert all(text in last for text in says), last
    assert done.stdout == ""


def make(path: Path, kind: str) -> Path:
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "binary":
        path.write_bytes(bytes(range(256)) * 10)
    elif kind == "50 MB":
        with open(path, "wb") as file:
            file.truncate(50_000_000)
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "Fant ikke"),
        ("empty", "er tom"),
        ("binary", "ikke ren tekst"),
        ("50 MB", "50 MB"),
        ("folder", "ingen .md-filer"),
    ],
)
def test_a_glossary_that_cannot_be_used_changes_and_fetches_nothing(tmp_path: Path, kind: str, says: str) -> None:
    home, path = tmp_path / "home", make(tmp_path / "liste.txt", kind)
    assert_told(run_tutor(home, "index", str(path), **OUT_OF_REACH), 2, says, "liste.txt")
    assert not home.exists()


def test_an_unreadable_glossary(tmp_path: Path) -> None:
    path = make(tmp_path / "liste.txt", "empty")
    path.chmod(0)
    done = subprocess.run([*unprivileged(), *tutor_command("index", str(path))], capture_output=True, encoding="utf-8",
                          env=environment(tmp_path / "home"))  # fmt: skip
    assert_told(done, 2, "Har ikke lov til å lese", "liste.txt")


def unprivileged() -> list[str]:
    """A prefix that takes root's power over file permissions away."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return []
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    if not shutil.which("setpriv") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("root, and no setpriv to step down with")
    return command


@pytest.mark.parametrize("command", [["index", str(SMALL)], ["models", "pull"], ["ask", "hva er dropout?"]])
def test_a_home_that_cannot_be_written(tmp_path: Path, command: list[str]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o555)
    done = subprocess.run([*unprivileged(), *tutor_command(*command)], capture_output=True, encoding="utf-8",
                          env=environment(home, **OUT_OF_REACH))  # fmt: skip
    assert_told(done, 3, "skrivetilgang", "TUTOR_HOME")
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("command", [["ask", "hva er dropout?"], ["models", "pull"]])
def test_hub_and_index_out_of_reach(tmp_path: Path, command: list[str]) -> None:
    done = run_tutor(tmp_path, *command, **OUT_OF_REACH)
    assert_told(done, 3, "Fikk ikke hentet", "tutor models pull")


def test_offline_with_nothing_fetched(tmp_path: Path) -> None:
    assert_told(
        run_tutor(tmp_path, "ask", "hva er dropout?", TUTOR_OFFLINE="1"), 3, "nettet er slått av", "tutor models pull"
    )


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "er tom"), (b"hei", "ikke en GGUF"), (b"GGUF\3\0\0\0\1", "avkortet")]
)
def test_a_model_that_is_none(tmp_path: Path, content: bytes, says: str) -> None:
    model = tmp_path / "modell.gguf"
    model.write_bytes(content)
    assert_told(run_tutor(tmp_path, "ask", "hva er dropout?", TUTOR_MODEL=str(model)), 3, says, "tutor models")
    assert_told(run_tutor(tmp_path, "models", "use", str(model)), 3, says)
    assert not (tmp_path / "tutor.toml").exists()


@pytest.mark.parametrize(("missing", "says"), [(17, "byte"), (0, "SHA-256")])
def test_a_model_with_the_wrong_bytes(tmp_path: Path, missing: int, says: str) -> None:
    for file in load_catalog()[EMBEDDING].files:
        path = tmp_path / "models" / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, file.bytes - missing)
    done = run_tutor(tmp_path, "models", "verify", EMBEDDING)
    assert_told(done, 3, "er skadet", says, f"tutor models pull {EMBEDDING}")


@pytest.fixture
def slow_hub() -> Iterator[str]:
    """Accepts every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def hold() -> None:
            try:
                while True:
                    held.append(server.accept()[0])
            except OSError:
                pass

        threading.Thread(target=hold, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    for connection in held:
        connection.close()


def test_interrupting_a_pull(tmp_path: Path, slow_hub: str) -> None:
    child = subprocess.Popen(tutor_command("models", "pull"), stderr=subprocess.PIPE, encoding="utf-8",
                             env=environment(tmp_path, HF_ENDPOINT=slow_hub))  # fmt: skip
    draft = tmp_path / "models" / ".partial" / DEFAULT_LLM
    while not list(draft.glob("*.gguf")) and child.poll() is None:
        time.sleep(0.05)
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "Avbrutt" in said
    assert "Traceback" not in said
    assert_told(run_tutor(tmp_path, "models", "pull", **OUT_OF_REACH), 3, "Fikk ikke hentet")
