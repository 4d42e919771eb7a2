"""Put a tutor together from the settings, fetching and building what is missing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tutor.settings import Settings, load_settings

if TYPE_CHECKING:
    from tutor.retrieve import GlossaryRetriever
    from tutor.tutor import Tutor

UNDISTURBED = 20.0
"""Seconds that the server keeps still before it reads ahead: on a small machine the first page comes up meanwhile."""

Report = Callable[[str, int, int], None]
"""Called with what is being done (Norwegian), how much is done, and how much there is."""


def open_retriever(settings: Settings, report: Report | None = None) -> GlossaryRetriever:
    """The retriever over ``settings.glossary``, indexed first if need be."""
    from tutor.embed import make_embedder

    embedder = make_embedder(settings, _step(report, "Henter søkemodellen"))
    in_background(embedder.warm)  # onnxruntime loads while Python imports Chroma

    from tutor.index import open_index
    from tutor.retrieve import GlossaryRetriever
    from tutor.store import Store

    index = open_index(settings, embedder, _step(report, "Indekserer ordlisten"))
    in_background(index.hold)
    store = Store(index.folder / "chroma", settings.chroma_url, index.collection, embedder.fingerprint)
    return GlossaryRetriever(index=index, store=store, embedder=embedder)


def open_tutor(settings: Settings | None = None, report: Report | None = None, students: int = 1) -> Tutor:
    """A tutor that is ready to answer ``students`` at once; the language model loads in the background meanwhile.

    Raises:
        TutorError: something is missing and could not be fetched or built.
    """
    settings = settings or load_settings()
    llm = open_llm(settings, report, students)

    from tutor.translate import read_english
    from tutor.tutor import Tutor

    return Tutor(open_retriever(settings, report), llm, read_english(settings.glossary))


def open_served(settings: Settings, report: Report | None = None) -> Tutor:
    """A tutor for ``tutor serve``: for many, found by this user's ``tutor ask``, reading ahead when nobody asks.

    Raises:
        TutorError: as ``open_tutor``; the language model is loaded when this returns.
    """
    from tutor.ahead import read_ahead
    from tutor.remote import announce

    tutor = open_tutor(settings, report, settings.students)
    load = getattr(tutor.llm, "load", None)
    if load:
        load()
    announce(tutor, settings)
    in_background(lambda: read_ahead(tutor, UNDISTURBED))
    return tutor


def open_llm(settings: Settings, report: Report | None = None, students: int = 1) -> Any:
    """The language model, fetched if it is the catalogue's and missing, loading in the background."""
    from tutor.llm import LlamaCppChat, make_llm
    from tutor.models import load_catalog, model_path, pull

    if (
        not settings.llm_url
        and settings.model in load_catalog()
        and not model_path(settings.home, settings.model).is_file()
    ):
        pull(settings.home, settings.model, _step(report, "Henter språkmodellen"))
    llm = make_llm(settings, students)
    if isinstance(llm, LlamaCppChat):
        in_background(llm.load)
    return llm


def in_background(load: Callable[[], None]) -> None:
    """Load early. It is a courtesy: what fails here fails again, loudly, at the first use."""

    def quietly() -> None:
        with suppress(Exception):
            load()

    threading.Thread(target=quietly, daemon=True).start()


def _step(report: Report | None, name: str) -> Callable[[int, int], None] | None:
    return (lambda done, total: report(name, done, total)) if report else None
