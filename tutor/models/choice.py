"""Which language model is in use: ``tutor.toml`` remembers it, ``selected`` finds and checks its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tutor.errors import ModelError, UsageError
from tutor.models.catalog import find_model, load_catalog, model_path
from tutor.models.gguf import check_gguf, read_gguf

if TYPE_CHECKING:
    from tutor.settings import Settings

NO_ADAPTER = "ingen"
"""As ``adapter``: use none, not even the one that lies beside the model."""


class Selected(NamedTuple):
    """The model to load: its file, its LoRA adapter where it has one, and what to call it."""

    path: Path
    adapter: Path | None
    name: str


def use(home: Path, model: str | Path, adapter: str | Path | None = None) -> Selected:
    """Choose a model (a catalogue id or a GGUF file) from now on; what else tutor.toml says is kept.

    Without ``adapter``, one beside the model (``<model>.lora.gguf``) is used where it lies.

    Raises:
        UsageError: neither an id nor a file, or not of a language model.
        ModelError: a file is damaged, of the wrong kind, or adapter and model do not fit each other.
    """
    from tutor.settings import save_settings

    chosen = _model_setting(str(model))
    beside = "" if adapter is None else str(adapter)
    if beside and beside != NO_ADAPTER:
        beside = str(Path(beside).expanduser().resolve())
    found = _selection(home, chosen, beside, fetched=chosen not in load_catalog())
    save_settings(home, model=chosen, adapter=beside)
    return found


def selected(settings: Settings | Path) -> Selected:
    """The model that the settings (or those of the home folder given) name, checked without hashing it.

    Raises:
        ModelError: it is not fetched yet, damaged, or its adapter is.
        UsageError: the settings name no model that exists.
    """
    if isinstance(settings, Path):
        from tutor.settings import load_settings

        settings = load_settings(home=settings)
    return _selection(settings.home, settings.model, settings.adapter, fetched=True)


def _model_setting(model: str) -> str:
    """What tutor.toml holds for ``model``: the id, or the file's full path."""
    if model in load_catalog():
        if find_model(model).kind != "llm":
            raise UsageError(f"{model} er en søkemodell, ikke en språkmodell. Se `tutor models list`.")
        return model
    path = Path(model).expanduser()
    if not path.is_file():
        raise UsageError(
            f"«{model}» er verken en modell i katalogen ({', '.join(load_catalog())}) eller en fil. "
            "Se `tutor models list`, eller oppgi stien til en GGUF-fil: `tutor models use sti/til/modell.gguf`."
        )
    return str(path.resolve())


def _selection(home: Path, model: str, adapter: str, *, fetched: bool) -> Selected:
    """Files and name. ``fetched`` False: a catalogue model may still be on its way."""
    listed = model in load_catalog()
    path = model_path(home, model) if listed else Path(model).expanduser()
    name = model if listed else path.stem
    if not path.is_file():
        if not fetched:
            return Selected(path, _adapter(path, adapter), name)
        remedy = f"tutor models pull {model}" if listed else "tutor models use sti/til/modell.gguf"
        raise ModelError(f"Språkmodellen mangler: {path}. Kjør: {remedy}")
    check_gguf(path)
    found = _adapter(path, adapter)
    if found:
        _check_fit(path, found)
    return Selected(path, found, name)


def _adapter(model: Path, setting: str) -> Path | None:
    """The adapter to load: the one set, else the one that lies beside the model, else none."""
    if setting == NO_ADAPTER:
        return None
    if setting:
        path = Path(setting).expanduser()
        check_gguf(path, "adapter")
        return path
    beside = model.with_name(model.name.removesuffix(".gguf") + ".lora.gguf")
    if not beside.is_file():
        return None
    check_gguf(beside, "adapter")
    return beside


def _check_fit(model: Path, adapter: Path) -> None:
    """An adapter fits a model of the same architecture (llama.cpp checks the shapes)."""
    wanted, given = read_gguf(model).architecture, read_gguf(adapter).architecture
    if wanted != given:
        raise ModelError(
            f"{adapter} er laget for «{given}», men modellen er «{wanted}». "
            f"Velg en annen adapter, eller ingen: `tutor models use {model} --adapter {NO_ADAPTER}`."
        )
