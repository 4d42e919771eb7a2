"""Chroma for real: what is stored is found, nearest first; what does not fit is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ToyEmbedder, environment

from tutor.errors import SearchIndexError
from tutor.store import BATCH, Store, write_store

pytestmark = pytest.mark.real
TEXTS = [f"tekst nummer {n} om {'dropout' if n % 3 else 'vekter'}" for n in range(BATCH + 50)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "chroma"
    write_store(folder, "", "glossary", ToyEmbedder(), TEXTS)
    return folder


def test_the_nearest_are_those_of_brute_force(folder: Path) -> None:
    store = Store(folder, "", "glossary", "toy")
    table = np.array(ToyEmbedder().embed_documents(TEXTS))
    for query in ("dropout nummer 7", "vekter", "tekst"):
        vector = ToyEmbedder().embed_query(query)
        found = store.nearest(vector, 10)
        similarity = table @ np.array(vector)
        best = np.sort(similarity)[::-1][:10]
        assert found[0][1] == pytest.approx(best[0], abs=1e-4)
        assert np.mean([s >= best[-1] - 1e-4 for _, s in found]) >= 0.8  # HNSW is approximate
        np.testing.assert_allclose([s for _, s in found], similarity[[n for n, _ in found]], atol=1e-4)


def test_every_text_finds_itself(folder: Path) -> None:
    store = Store(folder, "", "glossary", "toy")
    for number in (0, BATCH - 1, BATCH, len(TEXTS) - 1):
        near = store.nearest(ToyEmbedder().embed_query(TEXTS[number]), 5)
        assert near[0][1] == pytest.approx(1, abs=1e-4)


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_store(tmp_path / "c", "", "glossary", ToyEmbedder(), TEXTS, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(TEXTS), len(TEXTS))
    assert seen == sorted(seen)


@pytest.mark.parametrize(("collection", "made_with", "says"), [("annet", "toy", "mangler"), ("glossary", "x", "annen")])
def test_what_does_not_fit_is_refused(folder: Path, collection: str, made_with: str, says: str) -> None:
    with pytest.raises(SearchIndexError, match=f"{says}.*tutor index"):
        Store(folder, "", collection, made_with)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "tull", "http://"])
def test_a_chroma_server_that_is_not_there(tmp_path: Path, url: str) -> None:
    with pytest.raises(SearchIndexError, match="TUTOR_CHROMA_URL"):
        Store(tmp_path, url, "glossary", "toy")


def test_a_damaged_store_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "indeks" / "chroma"
    write_store(folder, "", "glossary", ToyEmbedder(), TEXTS[:3])
    (folder / "chroma.sqlite3").write_bytes(b"tull" * 1000)
    code = (
        f"from pathlib import Path; from tutor.store import Store; Store(Path({str(folder)!r}), '', 'glossary', 'toy')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", env=environment(tmp_path)
    )
    assert "SearchIndexError" in done.stderr.splitlines()[-1]
    assert "tutor index" in done.stderr.splitlines()[-1]
