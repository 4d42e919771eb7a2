"""SWAP 3: the vector store. Chroma in this process, or a Chroma server behind HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from tutor.embed import Embedder
from tutor.errors import SearchIndexError

Progress = Callable[[int, int], None]
BATCH = 256
ACCURACY = 256
"""Candidates that HNSW keeps while it builds and searches; more than a question ever fetches."""

os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")


def _client(folder: Path, url: str) -> Any:
    """A Chroma client that sends no telemetry."""
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    quiet = ChromaSettings(anonymized_telemetry=False)
    if not url:
        try:
            return chromadb.PersistentClient(path=str(folder), settings=quiet)
        except chromadb.errors.ChromaError as error:
            raise SearchIndexError(_not_opened(folder, str(error))) from error
    parts = urlsplit(url)
    if not parts.hostname:
        raise SearchIndexError(f"TUTOR_CHROMA_URL må være en adresse som http://127.0.0.1:8000, ikke «{url}».")
    secure = parts.scheme == "https"
    try:
        return chromadb.HttpClient(
            host=parts.hostname, port=parts.port or (443 if secure else 8000), ssl=secure, settings=quiet
        )
    except ValueError as error:
        raise SearchIndexError(f"Chroma svarer ikke på {url}. Start tjeneren, eller fjern TUTOR_CHROMA_URL.") from error


def _not_opened(folder: Path, error: str) -> str:
    """Why Chroma, which writes even where it only reads, cannot open ``folder``."""
    if "full" in error:
        return f"Disken er full, og Chroma må kunne skrive litt i {folder}. Frigjør plass, og prøv igjen."
    if "readonly" in error:
        return f"Har ikke lov til å skrive i {folder}, og det må Chroma. Sett TUTOR_HOME til en mappe du kan skrive i."
    return f"Chroma får ikke åpnet {folder} ({error}). Slett {folder.parent} og kjør: tutor index"


def write_store(
    folder: Path,
    url: str,
    collection: str,
    embedder: Embedder,
    texts: Sequence[str],
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Embed ``texts`` and store them under the ids "0", "1", …; cosine distance.

    Returns their vectors, shape (texts, dimensions).
    """
    from langchain_chroma import Chroma

    client = _client(folder, url)
    store = Chroma(
        collection_name=collection,
        client=client,
        embedding_function=embedder,
        collection_metadata={
            "hnsw:space": "cosine",
            "hnsw:construction_ef": ACCURACY,
            "hnsw:search_ef": ACCURACY,
            "embedder": embedder.fingerprint,
        },
    )
    store.reset_collection()
    for start in range(0, len(texts), BATCH):
        part = list(texts[start : start + BATCH])
        store.add_texts(part, ids=[str(start + i) for i in range(len(part))])
        if progress:
            progress(start + len(part), len(texts))
    stored = store.get(include=["embeddings"])
    client.close()
    order = np.argsort([int(i) for i in stored["ids"]])
    return np.asarray(stored["embeddings"], dtype=np.float32)[order]


class Store:
    """Nearest neighbours among the stored texts.

    Raises:
        SearchIndexError: the collection is missing or was made with another embedding model.
    """

    def __init__(self, folder: Path, url: str, collection: str, embedder_fingerprint: str) -> None:
        self._client = _client(folder, url)
        try:
            self._collection = self._client.get_collection(collection, embedding_function=None)
        except Exception as error:  # chromadb raises its own kinds, and ValueError in some versions
            raise SearchIndexError("Indeksen mangler i Chroma. Kjør: tutor index") from error
        made_with = (self._collection.metadata or {}).get("embedder")
        if made_with != embedder_fingerprint:
            raise SearchIndexError("Indeksen er laget med en annen embedding-modell. Kjør: tutor index")

    def nearest(self, vector: Sequence[float], k: int) -> list[tuple[int, float]]:
        """The ``k`` nearest texts as (number, cosine similarity), best first."""
        found = self._collection.query(query_embeddings=[list(vector)], n_results=k, include=["distances"])
        return [(int(i), 1.0 - d) for i, d in zip(found["ids"][0], found["distances"][0], strict=True)]
