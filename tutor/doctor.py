"""What the machine has, what is set up, and the command that mends what is not."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tutor.errors import TutorError
from tutor.settings import Settings

PACKAGES = ("llama-cpp-python", "chromadb", "langchain-core", "sentence-transformers", "onnxruntime")
IN_THE_BROWSER = ("gradio", "fastapi", "uvicorn", "jinja2", "markdown-it-py", "latex2mathml")
MEMORY_GB, DISK_GB = 2.0, 2.5
"""What answering needs, and what setting up from nothing needs."""


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``remedy`` says what to do when it is not ``ok``."""

    what: str
    value: str
    ok: bool = True
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Every finding, without changing or fetching anything."""
    return [*_machine(settings), *_packages(), *_set_up(settings), _nynorsk(), _web()]


def _machine(settings: Settings) -> Iterator[Finding]:
    import psutil

    from tutor.llm import physical_cores

    flags = _cpu_flags()
    fast = [f for f in ("avx2", "fma", "f16c", "avx512f", "asimd") if f in flags]
    yield Finding(
        "Prosessor", f"{platform.machine()}, {physical_cores()} kjerner, {' '.join(fast) or 'ukjente utvidelser'}"
    )
    memory = psutil.virtual_memory()
    yield Finding(
        "Minne",
        f"{memory.available / 1e9:.1f} av {memory.total / 1e9:.1f} GB ledig",
        memory.available > MEMORY_GB * 1e9,
        f"Lukk andre programmer: språkmodellen trenger {MEMORY_GB:.0f} GB.",
    )
    home = _existing(settings.home)
    free = shutil.disk_usage(home).free
    ready = any((settings.home / "models").glob("*.gguf"))
    yield Finding(
        "Disk",
        f"{free / 1e9:.1f} GB ledig i {home}",
        ready or free > DISK_GB * 1e9,
        f"Frigjør plass ({DISK_GB} GB trengs), eller sett TUTOR_HOME til en annen disk.",
    )
    yield Finding(
        "Datamappe",
        str(settings.home),
        os.access(home, os.W_OK),
        "Gi skrivetilgang, eller sett TUTOR_HOME til en mappe du kan skrive i.",
    )


def _packages() -> Iterator[Finding]:
    yield Finding("Python", platform.python_version())
    for name in (*PACKAGES, *IN_THE_BROWSER):
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, "mangler", False, "pip install -e .")


def _set_up(settings: Settings) -> Iterator[Finding]:
    from tutor.models import load_catalog, selected, verify

    def model() -> str:
        chosen = selected(settings)
        name = chosen.name + (f" med {chosen.adapter.name}" if chosen.adapter else "")
        if settings.model not in load_catalog():
            return name
        verify(settings.home, settings.model)
        return f"{name}, SHA-256 stemmer"

    def glossary() -> str:
        from tutor.glossary import read_glossary

        return f"{settings.glossary} ({len(read_glossary(settings.glossary).entries)} oppslag)"

    if settings.llm_url:
        yield Finding("Språkmodell", f"tjener på {settings.llm_url}")
    else:
        yield _tried("Språkmodell", model, "tutor models pull")
    yield _tried("Ordliste", glossary, "tutor index STI")
    yield _index(settings)


def _nynorsk() -> Finding:
    """Not needed to run: without Apertium a nynorsk question is answered in bokmål."""
    from tutor.nynorsk import INSTALL, mode_file

    found = mode_file()
    missing = f"Apertium mangler, så spørsmål på nynorsk får svar på bokmål. Installer det med: {INSTALL}"
    return Finding("Nynorsk", f"Apertium ({found.stem})" if found else missing)


def _web() -> Finding:
    """Where the widget is shown; which origins may embed it is told to ``tutor serve``, so it is no setting here."""
    return Finding(
        "Widget",
        "vises bare på veilederens egen adresse. Gi kurset lov med: tutor serve --allow-origin https://kurs.example.no",
    )


def _index(settings: Settings) -> Finding:
    from tutor.embed import exported, make_embedder
    from tutor.index import fingerprint

    if not (settings.home / "index").is_dir() or not (exported(settings) / "fingerprint").is_file():
        return Finding("Indeks", "mangler", False, "tutor index")
    try:
        name = fingerprint(settings.glossary, make_embedder(settings))
    except (TutorError, OSError) as error:
        return Finding("Indeks", str(error), False, "tutor index STI")
    fresh = (settings.home / "index" / name / "meta.json").is_file()
    return Finding("Indeks", name if fresh else "utdatert", fresh, "tutor index")


def _tried(what: str, find: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(what, find())
    except TutorError as error:
        return Finding(what, str(error), False, remedy)


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return set()
    line = next((x for x in text.splitlines() if x.lower().startswith(("flags", "features"))), "")
    return set(line.partition(":")[2].split())


def _existing(path: Path) -> Path:
    """The nearest folder at or above ``path`` that exists."""
    return next(p for p in (path, *path.absolute().parents) if p.is_dir())
