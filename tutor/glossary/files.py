"""From a path to text: what may be read, in which encoding, and what to say when it may not."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from tutor.errors import GlossaryError

MAX_BYTES = 20_000_000
MAX_FILES = 20_000
MAX_FOLDER_DEPTH = 20
MAX_CONTROL_SHARE = 0.05
MARKDOWN_SUFFIXES = (".md", ".markdown")

_BOMS = (  # UTF-32's little-endian mark begins with UTF-16's, so it is looked for first
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FORMAT = re.compile(r"\s*(?:\{\\rtf|%PDF-|<!doctype html|<html)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")


def read_text(path: Path) -> str:
    """The text of a file, with ``\\n`` for every kind of line ending.

    Raises:
        GlossaryError: missing, not a plain file, unreadable, too large or binary.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise GlossaryError(f"{path} er ikke en vanlig fil. Pek på en tekstfil eller en mappe.")
        if status.st_size > MAX_BYTES:
            raise GlossaryError(
                f"{path} er på {status.st_size / 1e6:.0f} MB, og grensen er {MAX_BYTES // 1_000_000} MB. Del den opp."
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    return decode(data, path)


def decode(data: bytes, path: Path) -> str:
    """Bytes to text: a byte order mark decides, else UTF-8, else Windows-1252, else Latin-1.

    Raises:
        GlossaryError: the bytes are no text.
    """
    text = _decoded(data)
    if text is None or "\x00" in text or _OTHER_FORMAT.match(text):
        raise _not_text(path)
    if len(_CONTROL.findall(text)) > MAX_CONTROL_SHARE * len(text):
        raise _not_text(path)
    return re.sub(r"\r\n?", "\n", text)


def _not_text(path: Path) -> GlossaryError:
    return GlossaryError(
        f"{path} er ikke ren tekst. Lagre ordlisten som ren tekst (UTF-8), for eksempel .txt eller .csv, og prøv igjen."
    )


def _decoded(data: bytes) -> str | None:
    marked = next((encoding for bom, encoding in _BOMS if data.startswith(bom)), None)
    for encoding in (marked,) if marked else ("utf-8", "cp1252", "latin-1"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def markdown_files(folder: Path) -> list[Path]:
    """The Markdown files in a folder and its sub folders, sorted by path; hidden ones and READMEs are left out.

    Links to folders are not followed, so that a loop of links ends.

    Raises:
        GlossaryError: none found, more files than ``MAX_FILES``, or together larger than ``MAX_BYTES``.
    """
    found: list[Path] = []
    for count, path in enumerate(_visible_files(folder)):
        if count >= MAX_FILES:
            raise GlossaryError(f"{folder} har over {MAX_FILES} filer. Pek på mappen der bare ordlisten ligger.")
        if path.suffix.lower() in MARKDOWN_SUFFIXES and not path.stem.lower().startswith("readme"):
            found.append(path)
    if not found:
        raise GlossaryError(
            f"Mappen {folder} har ingen .md-filer. Legg ett begrep i hver fil, eller pek på en .txt- eller .csv-fil."
        )
    if sum(_size(path) for path in found) > MAX_BYTES:
        raise GlossaryError(f"Filene i {folder} er til sammen over {MAX_BYTES // 1_000_000} MB. Del ordlisten opp.")
    return sorted(found)


def _visible_files(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise unreadable(Path(error.filename or folder), error) from error

    for where, folders, files in os.walk(folder, onerror=fail):
        depth = len(Path(where).relative_to(folder).parts)
        folders[:] = [name for name in folders if not name.startswith(".") and depth < MAX_FOLDER_DEPTH]
        yield from (Path(where, name) for name in files if not name.startswith("."))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | ValueError) -> GlossaryError:
    """The error to raise when the system would not give us ``path``."""
    if isinstance(error, FileNotFoundError):
        return GlossaryError(f"Fant ikke {path}. Sjekk at filnavnet er skrevet riktig.")
    if isinstance(error, PermissionError):
        return GlossaryError(f"Har ikke lov til å lese {path}. Gi deg selv lesetilgang til den.")
    return GlossaryError(f"Kan ikke lese {path}: {error}. Kopier ordlisten til en vanlig mappe og prøv igjen.")
