"""Entries -> passages -> Chroma and the lexical tables, published by one rename.

An index is a folder named after everything it was made from. A new one is built beside the old
and renamed into place, so a kill at any moment leaves a working index.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tutor.embed import Embedder
from tutor.errors import GlossaryError, SearchIndexError, TutorError
from tutor.learned import Learned
from tutor.lexical import Bm25, grams, stems
from tutor.settings import Settings
from tutor.types import Entry, Glossary, Passage, Section

VERSION = 4
"""Raise it when passages or tables change shape: every index is then rebuilt."""
COLLECTION = "glossary"
KEPT = 3
"""Older indexes to leave on disk, so that going back to a glossary is free …"""
IN_USE = 3600.0
"""… and seconds since an index was noted to be in use, during which nobody deletes it."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Index:
    """An index on disk, opened: what retrieval reads."""

    folder: Path
    collection: str
    entries: tuple[Entry, ...]
    items: tuple[Passage, ...]
    words: Bm25
    grams: Bm25
    learned: Learned

    def hold(self) -> None:
        """Note now and then that it is in use, for as long as this process lives."""
        while True:
            self.touch()
            time.sleep(IN_USE / 6)

    def touch(self) -> None:
        with suppress(OSError):  # a shared TUTOR_HOME may be read-only
            os.utime(self.folder)


def fingerprint(glossary: Path, embedder: Embedder) -> str:
    """Hash of the glossary's bytes, the embedding model and this module's version."""
    digest = hashlib.sha256(f"{VERSION}\n{embedder.fingerprint}\n".encode())
    for path in glossary_files(glossary):
        name = path.suffix if path == glossary else str(path.relative_to(glossary))
        digest.update(name.encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def glossary_files(glossary: Path) -> list[Path]:
    """The files that a glossary consists of, in a stable order."""
    if not glossary.is_dir():
        return [glossary]
    from tutor.glossary.files import markdown_files

    return markdown_files(glossary)


def items_of(entries: Iterable[Entry]) -> list[Passage]:
    """What is embedded: each section with its headword, and each question a student may ask."""
    items: list[Passage] = []
    for entry in entries:
        texts = [(s.title, s.text) for s in entry.sections] or [("", entry.term)]
        texts += [("?", q) for q in entry.questions]
        items += [
            Passage(f"{entry.slug}#{number}", entry.slug, entry.term, title, text)
            for number, (title, text) in enumerate(texts)
        ]
    return items


def embedded_text(item: Passage) -> str:
    """The text whose vector stands for ``item``."""
    if item.section == "?":
        return item.text
    heading = f"{item.term}: {item.section}." if item.section else f"{item.term}."
    return f"{heading} {item.text}"


def open_index(settings: Settings, embedder: Embedder, progress: Progress | None = None) -> Index:
    """The index of ``settings.glossary``: built first if it is missing or the glossary has changed.

    While another process builds it, the last one made of the same glossary answers.

    Raises:
        GlossaryError: the glossary cannot be read.
        SearchIndexError: the index cannot be written.
    """
    glossary = settings.glossary
    if not glossary.exists():
        raise GlossaryError(f"Finner ikke ordlisten {glossary}. Oppgi en fil eller mappe: tutor index STI")
    root = settings.home / "index"
    folder = root / fingerprint(glossary, embedder)
    if not (folder / "meta.json").is_file():
        older = _last_of(root, glossary, embedder)
        if older and _is_building(root):
            return load_index(older)
        build_index(settings, embedder, progress=progress)
    return load_index(folder)


def _is_building(root: Path) -> bool:
    from filelock import FileLock, Timeout

    try:
        with FileLock(root / ".lock", timeout=0):
            return False
    except Timeout:
        return True


def _last_of(root: Path, glossary: Path, embedder: Embedder) -> Path | None:
    """The newest index of this glossary, as it was before it changed, by this embedding model."""
    found: list[tuple[float, Path]] = []
    for path in root.glob("[!.]*/meta.json"):
        with suppress(OSError, ValueError):  # another's damaged index is none of ours
            meta = json.loads(path.read_text(encoding="utf-8"))
            if (meta.get("glossary"), meta.get("embedder")) == (str(glossary.resolve()), embedder.fingerprint):
                found.append((meta["built"], path.parent))
    return max(found)[1] if found else None


def load_index(folder: Path) -> Index:
    """Read what stands in ``folder``.

    Raises:
        SearchIndexError: a file in it is damaged.
    """
    try:
        content = json.loads((folder / "entries.json").read_text(encoding="utf-8"))
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        entries = tuple(_entry(e) for e in content)
        index = Index(
            folder,
            meta["collection"],
            entries,
            tuple(items_of(entries)),
            Bm25.load(folder / "words"),
            Bm25.load(folder / "grams"),
            Learned.load(folder / "learned.npz"),
        )
        index.touch()
        return index
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise SearchIndexError(f"Indeksen i {folder} er skadet. Slett mappen og kjør: tutor index") from error


def _entry(content: dict[str, Any]) -> Entry:
    return Entry(
        **{
            **content,
            "sections": tuple(Section(**s) for s in content["sections"]),
            "aliases": {k: tuple(v) for k, v in content["aliases"].items()},
            "related": tuple(content["related"]),
            "questions": tuple(content["questions"]),
        }
    )


def build_index(settings: Settings, embedder: Embedder, progress: Progress | None = None) -> tuple[Path, Glossary]:
    """Index ``settings.glossary`` unless that very index exists. Two builders take turns.

    Returns the index folder and the glossary, with what was odd about it.

    Raises:
        GlossaryError: the glossary cannot be read.
        SearchIndexError: the disk is full or ``TUTOR_HOME`` cannot be written.
    """
    from filelock import FileLock

    root = settings.home / "index"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".lock"):
            name, glossary = _read(settings.glossary, embedder)
            folder = root / name
            if not (folder / "meta.json").is_file():
                _write(folder, settings, embedder, glossary, progress)
                _prune(root, keep=folder)
        return folder, glossary
    except TutorError:
        raise
    except Exception as error:
        raise SearchIndexError(_disk_message(error, root)) from error


def _read(path: Path, embedder: Embedder) -> tuple[str, Glossary]:
    """The fingerprint of a glossary and its content, read again if it is saved meanwhile."""
    from tutor.glossary import read_glossary

    while True:
        name, glossary = fingerprint(path, embedder), read_glossary(path)
        if name == fingerprint(path, embedder):
            return name, glossary


def _disk_message(error: Exception, root: Path) -> str:
    text = f"{type(error).__name__}: {error}"
    if "full" in text.lower() or "No space" in text:
        return f"Disken er full, og indeksen ble ikke skrevet. Den gamle står urørt. Frigjør plass i {root}."
    if isinstance(error, PermissionError) or "readonly" in text.lower() or "Read-only" in text:
        return f"Har ikke lov til å skrive i {root}. Gi skrivetilgang, eller sett TUTOR_HOME til en annen mappe."
    return f"Indeksen kunne ikke skrives i {root} ({text}). Den gamle står urørt. Kjør: tutor doctor"


def _write(folder: Path, settings: Settings, embedder: Embedder, glossary: Glossary, progress: Progress | None) -> None:
    from tutor.store import write_store

    draft = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    draft.mkdir()
    entries = glossary.entries
    items = items_of(entries)
    collection = f"{COLLECTION}-{folder.name}" if settings.chroma_url else COLLECTION
    texts = [embedded_text(i) for i in items]
    vectors = write_store(draft / "chroma", settings.chroma_url, collection, embedder, texts, progress)
    position = {e.slug: n for n, e in enumerate(entries)}
    owner = np.array([position[i.entry_id] for i in items], dtype=np.int32)
    Learned.fit(vectors, owner, len(entries)).save(draft / "learned.npz")
    Bm25.build(stems(_everything(e)) for e in entries).save(draft / "words")
    Bm25.build(grams(_everything(e)) for e in entries).save(draft / "grams")
    (draft / "entries.json").write_text(json.dumps([asdict(e) for e in entries], ensure_ascii=False), encoding="utf-8")
    meta = {
        "collection": collection,
        "glossary": str(settings.glossary.resolve()),
        "embedder": embedder.fingerprint,
        "built": time.time(),
    }
    (draft / "meta.json").write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")
    draft.rename(folder)


def _everything(entry: Entry) -> str:
    """All the words that may lead to ``entry``; its names count twice."""
    names = " ".join(entry.names)
    return " ".join([names, names, *(s.title + " " + s.text for s in entry.sections), *entry.questions])


def _prune(root: Path, keep: Path) -> None:
    """Delete drafts that a killed build left, and indexes that are neither among the last used nor in use."""
    folders = [p for p in root.iterdir() if p.is_dir() and p != keep]
    for draft in (p for p in folders if p.name.startswith(".")):
        shutil.rmtree(draft, ignore_errors=True)
    published = sorted((p for p in folders if not p.name.startswith(".")), key=lambda p: p.stat().st_mtime)
    for old in published[: max(0, len(published) - KEPT)]:
        if time.time() - old.stat().st_mtime > IN_USE:
            shutil.rmtree(old, ignore_errors=True)
