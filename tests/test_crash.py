"""Kills, interrupts, full disks, two at once, read-only homes: the old index answers and the next command works."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SMALL, borrow, environment, run_tutor, tutor_command

pytestmark = pytest.mark.real
KILLS = 20


def best(home: Path, question: str, glossary: Path) -> str:
    """The id that ``tutor search`` puts first, in a process of its own."""
    done = run_tutor(home, "search", "--json", question, TUTOR_GLOSSARY=str(glossary))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["results"][0]["entry_id"]


def indexes(home: Path) -> list[str]:
    return [p.name for p in (home / "index").iterdir() if not p.name.startswith(".")]


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        tutor_command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(home),
    )


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A glossary that is not indexed yet."""
    path = tmp_path / "ny.txt"
    path.write_text("1. Bølge: en svingning som brer seg\n2. Støy: uønsket lyd i et signal\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def indexed(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the small glossary is indexed and in use."""
    home = borrow(weights, tmp_path_factory.mktemp("indexed"))
    assert run_tutor(home, "index", str(SMALL)).returncode == 0
    return home


@pytest.mark.timeout(1800)
def test_killed_at_any_moment(indexed: Path, new: Path) -> None:
    """Twenty kills spread at random over a whole run, start-up included."""
    settings = (indexed / "tutor.toml").read_text()
    before = time.monotonic()
    assert run_tutor(indexed, "index", str(new)).returncode == 0
    whole = time.monotonic() - before
    moments = random.Random(11)
    for _ in range(KILLS):
        new.write_text(new.read_text() + "3. Frekvens: svingninger i sekundet\n")  # a new fingerprint each time
        (indexed / "tutor.toml").write_text(settings)
        child = start(indexed, "index", str(new))
        time.sleep(moments.uniform(0, whole))
        child.kill()
        child.communicate()
        assert best(indexed, "hva er dropout?", SMALL) == "dropout"
    assert run_tutor(indexed, "index", str(new)).returncode == 0
    assert best(indexed, "hva er støy?", new) == "stoy"
    assert not list((indexed / "index").glob(".*.building"))


@pytest.mark.parametrize("seconds", [0.5, 5])
def test_interrupting_index(indexed: Path, new: Path, seconds: float) -> None:
    child = start(indexed, "index", str(new))
    time.sleep(seconds)
    assert_interrupted(child)
    assert best(indexed, "hva er dropout?", SMALL) == "dropout"
    assert run_tutor(indexed, "index", str(new)).returncode == 0


def test_interrupting_at_any_moment(indexed: Path) -> None:
    """Ctrl-C spread over a whole short command, most of it imports. Before that it is Python that starts."""
    moments = random.Random(12)
    for _ in range(KILLS):
        child = start(indexed, "search", "dropout")
        time.sleep(moments.uniform(0.5, 1.5))
        assert_interrupted(child)


@pytest.mark.parametrize("seconds", [0.5, 3])
def test_interrupting_ask(indexed: Path, seconds: float) -> None:
    child = start(indexed, "ask", "hva er dropout?")
    time.sleep(seconds)
    assert_interrupted(child)
    assert run_tutor(indexed, "search", "dropout").returncode == 0


def assert_interrupted(child: subprocess.Popen[str]) -> None:
    """Ends soon after Ctrl-C, with a word and no Python; a command that was done before it is done."""
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=15)
    assert "Traceback" not in said
    if child.returncode:
        assert child.returncode == 130, said
        assert "Avbrutt" in said


def test_two_at_once(home: Path, new: Path) -> None:
    both = [start(home, "index", str(new)) for _ in range(2)]
    for child in both:
        said, failed = child.communicate(timeout=300)
        assert child.returncode == 0, failed
        assert "2 oppslag" in said
    assert len(indexes(home)) == 1
    assert best(home, "støy", new) == "stoy"


@pytest.fixture
def small_disk(weights: Path, tmp_path: Path) -> Iterator[Path]:
    """A home on a disk of 3 MB that is its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(disk)], capture_output=True).returncode
    ):
        pytest.skip("no right to mount a small disk")
    try:
        yield borrow(weights, disk)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_the_disk_fills_up_while_indexing(small_disk: Path, new: Path) -> None:
    assert run_tutor(small_disk, "index", str(new)).returncode == 0
    filler = small_disk / "fyll"
    for left in (200_000, 20_000, 0):
        filler.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - left)))
        done = run_tutor(small_disk, "index", str(SMALL))
        assert done.returncode == 3, done.stderr
        assert "Disken er full" in done.stderr
        assert "Traceback" not in done.stderr
        found = run_tutor(small_disk, "search", "støy")  # Chroma writes a little when it opens
        assert found.returncode == 0 or (found.returncode == 3 and "Disken er full" in found.stderr), found.stderr
        filler.unlink()
        assert best(small_disk, "støy", new) == "stoy"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to remount a disk read-only")
def test_a_home_that_is_read_only_says_so(weights: Path, tmp_path: Path) -> None:
    """Chroma writes when it opens an index, so a shared home must be writable, or have Chroma behind HTTP."""
    home = tmp_path / "felles"
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(home)], capture_output=True).returncode:
        pytest.skip("no right to mount")
    try:
        borrow(weights, home)
        assert run_tutor(home, "index", str(SMALL)).returncode == 0
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
        for command in (["index", str(SMALL.parent / "glossary" / "feil.txt")], ["search", "dropout"]):
            done = run_tutor(home, *command)
            assert done.returncode == 3
            assert done.stderr.splitlines()[-1].startswith("tutor: Har ikke lov til å skrive")
            assert "TUTOR_HOME" in done.stderr
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)
