"""A file under way: verified piece by piece, so that any source can go on where another stopped."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tutor.errors import ModelError
from tutor.models.catalog import ModelFile

CHUNK = 1 << 20
FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}

Report = Callable[[int], None]
"""Told how many bytes of the file are there."""


class SourceError(Exception):
    """One source did not deliver. The text is Norwegian; it becomes part of a ``ModelError``."""


class WrongBytes(SourceError):
    """A piece does not have the SHA-256 of the catalogue; it has been removed again."""


class Assembly:
    """An open, growing file. ``done`` bytes of it are there; whole pieces of them are verified.

    Opening it verifies what an earlier run left and cuts off the rest.

    Raises:
        ModelError: the disk is full or cannot be written; what was there is kept.
    """

    def __init__(self, path: Path, file: ModelFile) -> None:
        self.file = file
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a full disk must fail in write(), not again in close().
            self._out = open(path, "r+b" if path.exists() else "x+b", buffering=0)  # noqa: SIM115
            self.done = self._verified_prefix()
        except OSError as error:
            raise disk_error(error, path, file.bytes) from error
        self._hash = hashlib.sha256()
        self.rewind()

    def __enter__(self) -> Assembly:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._out.close()

    @property
    def complete(self) -> bool:
        return self.done == self.file.bytes

    @property
    def piece(self) -> int:
        """Index of the piece that comes next."""
        return self.done // self.file.piece_size

    def write(self, data: bytes) -> None:
        """Append ``data``.

        Raises:
            WrongBytes: a piece came out wrong, or there is more data than the file holds.
            ModelError: the disk is full or cannot be written.
        """
        view = memoryview(data)
        while view:
            end = min((self.piece + 1) * self.file.piece_size, self.file.bytes)
            if self.done >= end:
                raise WrongBytes("filen er for lang")
            taken = self._raw_write(view[: end - self.done])
            self._hash.update(view[:taken])
            self.done += taken
            view = view[taken:]
            if self.done == end:
                self._close_piece()

    def rewind(self) -> None:
        """Cut the file back to the last whole piece."""
        if not self.complete:
            self.done -= self.done % self.file.piece_size
        self._out.truncate(self.done)
        self._out.seek(self.done)
        self._hash = hashlib.sha256()

    def publish(self, target: Path) -> None:
        """Verify the whole file on disk, flush it, and give it its name in one rename.

        Raises:
            WrongBytes: it does not have the catalogue's SHA-256; it has been removed.
        """
        if sha256_of(self.path) != self.file.sha256:
            self._out.close()
            self.path.unlink(missing_ok=True)
            raise WrongBytes("hele filen har feil SHA-256")
        try:
            os.fsync(self._out.fileno())
            self._out.close()  # Windows renames no open file
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.path, target)
            _sync_folder(target.parent)
        except OSError as error:
            raise disk_error(error, target, 0) from error

    def _raw_write(self, view: memoryview) -> int:
        try:
            return self._out.write(view) or 0
        except OSError as error:
            raise disk_error(error, self.path, self.file.bytes - self.done) from error

    def _close_piece(self) -> None:
        found, index = self._hash.hexdigest(), (self.done - 1) // self.file.piece_size
        self._hash = hashlib.sha256()
        if found != self.file.piece_hashes[index]:
            self.done = index * self.file.piece_size
            self.rewind()
            raise WrongBytes(f"feil SHA-256 i del {index + 1} av {len(self.file.piece_hashes)}")

    def _verified_prefix(self) -> int:
        done = 0
        for expected in self.file.piece_hashes:
            size = min(self.file.piece_size, self.file.bytes - done)
            if _hash_range(self._out, done, size) != expected:
                break
            done += size
        return done


def sha256_of(path: Path) -> str:
    """SHA-256 of the file, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def size_text(count: int) -> str:
    """``1117320768`` as «1,12 GB» (decimal units, as file managers and shops have them)."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.2f} GB".replace(".", ",")
    return f"{count / 1e6:.0f} MB" if count >= 1_000_000 else f"{max(1, round(count / 1e3))} kB"


def disk_error(error: OSError, path: Path, missing: int) -> ModelError:
    """What went wrong with the disk at ``path``, where ``missing`` bytes still had to go, and what helps."""
    if error.errno in FULL:
        return ModelError(
            f"Disken er full: {size_text(missing)} gjenstår i {path.parent}. Det som er hentet, er tatt vare på. "
            "Frigjør plass, eller legg TUTOR_HOME på en annen disk, og kjør `tutor models pull` igjen."
        )
    return ModelError(
        f"Kan ikke skrive {path}: {error.strerror or error}. Sjekk at du har skrivetilgang til mappen "
        "(eller sett TUTOR_HOME til en annen), og kjør `tutor models pull` igjen."
    )


def _hash_range(stream: object, start: int, size: int) -> str | None:
    """SHA-256 of ``size`` bytes from ``start``; None when the file is shorter."""
    digest, left = hashlib.sha256(), size
    stream.seek(start)  # type: ignore[attr-defined]
    while left:
        chunk = stream.read(min(CHUNK, left))  # type: ignore[attr-defined]
        if not chunk:
            return None
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder, and needs it less
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
