"""Every setting in one place: a default, overridden by ``tutor.toml``, overridden by the environment."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tutor.errors import UsageError

PACKAGE = Path(__file__).parent


def default_home() -> Path:
    """The platform's folder for user data, e.g. ``~/.local/share/tutor`` on Linux."""
    from platformdirs import user_data_path

    return user_data_path("tutor", appauthor=False)


def shipped_glossary() -> Path:
    """The glossary that ships: inside the installed package, or beside it in a checkout."""
    inside = PACKAGE / "corpus" / "dyp-laering"
    return inside if inside.is_dir() else PACKAGE.parent / "corpus" / "dyp-laering"


def _setting(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class Settings:
    """What can be set. Each field is read from ``tutor.toml`` (same name) and from ``TUTOR_<NAME>``."""

    home: Path = field(
        default_factory=default_home,
        metadata={"doc": "Folder for models and indexes (environment only)", "shown": "the user data folder"},
    )
    glossary: Path = field(
        default_factory=shipped_glossary,
        metadata={"doc": "Glossary: a folder or file. `tutor index PATH` sets it", "shown": "corpus/dyp-laering"},
    )
    model: str = _setting("qwen2.5-coder-1.5b-instruct-q4_k_m", "Language model: a catalogue id or a GGUF file")
    adapter: str = _setting("", "LoRA adapter (GGUF) for the model")
    embedder: str = _setting("norsk-e5-small", "Embedding model: a SentenceTransformer by name or folder")
    llm_url: str = _setting("", "Base URL of an OpenAI-compatible server to use instead of llama.cpp in-process")
    llm_key: str = _setting("", "API key for that server")
    chroma_url: str = _setting("", "URL of a Chroma server to use instead of the embedded Chroma")
    threads: int = _setting(0, "Threads for the language model; 0: the physical cores")
    context: int = _setting(4096, "Context window of the language model, in tokens")
    max_tokens: int = _setting(320, "Longest answer, in tokens")
    students: int = _setting(4, "Answers that `tutor serve` writes at once")
    states_mb: int = _setting(600, "Disk for definitions the model has read already, in MB; 0: keep none")
    offline: bool = _setting(False, "Never touch the network, not even to fetch a missing model")


def load_settings(**overrides: Any) -> Settings:
    """Settings from defaults, ``tutor.toml``, the environment and ``overrides``, the last one wins.

    Raises:
        UsageError: a value has the wrong type, or ``tutor.toml`` is not valid TOML.
    """
    home = Path(overrides.get("home") or os.environ.get("TUTOR_HOME") or default_home()).expanduser()
    values: dict[str, Any] = {**_from_toml(home / "tutor.toml"), **_from_environment(), **overrides, "home": home}
    known = {f.name: f for f in fields(Settings)}
    for name in values.keys() - known.keys():
        raise UsageError(f"Ukjent innstilling «{name}» i {home / 'tutor.toml'}. Slett linjen, eller rett navnet.")
    return Settings(**{name: _coerce(name, str(known[name].type), value) for name, value in values.items()})


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} er ikke gyldig TOML: {error}. Rett linjen, eller slett filen.") from error
    except OSError as error:
        raise UsageError(f"Kan ikke lese {path}: {error.strerror}.") from error


def _from_environment() -> dict[str, str]:
    names = [f.name for f in fields(Settings)]
    return {n: os.environ[f"TUTOR_{n.upper()}"] for n in names if os.environ.get(f"TUTOR_{n.upper()}")}


def _coerce(name: str, kind: str, value: Any) -> Any:
    try:
        if kind == "Path":
            return Path(value).expanduser()
        if kind == "int":
            if (number := int(value)) < 0:
                raise ValueError
            return number
        if kind == "bool":
            return value if isinstance(value, bool) else str(value).lower() not in {"", "0", "false", "nei", "no"}
        return str(value)
    except (ValueError, TypeError) as error:
        wanted = "en sti" if kind == "Path" else "et tall fra 0"
        raise UsageError(f"TUTOR_{name.upper()} må være {wanted}, ikke «{value}».") from error


def save_settings(home: Path, **values: str) -> None:
    """Write ``values`` into ``tutor.toml``, keep what else stands there, replace the file in one rename."""
    path = home / "tutor.toml"
    kept = {**_from_toml(path), **values}
    lines = [f"{name} = {_toml(value)}\n" for name, value in sorted(kept.items()) if value != ""]
    home.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text("".join(lines), encoding="utf-8")
    os.replace(draft, path)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a TOML string
