"""The index: when it is rebuilt, what is kept, and what a damaged or interrupted one does. No Chroma, no weights."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SMALL, ToyEmbedder, write_toy_store
from filelock import FileLock

from tutor.errors import GlossaryError, SearchIndexError, TutorError
from tutor.glossary import read_glossary
from tutor.index import IN_USE, KEPT, Index, build_index, embedded_text, fingerprint, items_of, load_index, open_index
from tutor.retrieve import GlossaryRetriever
from tutor.settings import Settings
from tutor.types import Entry, Hit, Retrieval, Turn


@pytest.fixture
def glossary(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SMALL, tmp_path / "ordliste"))


@pytest.fixture
def settings(tmp_path: Path, glossary: Path, toy_store: None) -> Settings:
    return Settings(home=tmp_path / "home", glossary=glossary)


def published(settings: Settings) -> set[str]:
    return {p.name for p in (settings.home / "index").iterdir() if not p.name.startswith(".")}


CHANGES: dict[str, Callable[[Path], object]] = {
    "an entry changes": lambda g: (g / "dropout.md").write_text("---\nterm: dropout\n---\nNytt.\n"),
    "an entry goes": lambda g: (g / "weight-decay.md").unlink(),
    "an entry comes": lambda g: (g / "l1.md").write_text("---\nterm: L1\n---\nStraff.\n"),
    "an entry is renamed": lambda g: (g / "dropout.md").rename(g / "utelatelse.md"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_fingerprint_changes_with_the_glossary(glossary: Path, change: str) -> None:
    before = fingerprint(glossary, ToyEmbedder())
    assert fingerprint(glossary, ToyEmbedder()) == before
    CHANGES[change](glossary)
    assert fingerprint(glossary, ToyEmbedder()) != before


def test_the_fingerprint_changes_with_the_embedder_but_not_with_the_place(glossary: Path) -> None:
    assert fingerprint(glossary, ToyEmbedder("annen")) != fingerprint(glossary, ToyEmbedder())
    assert fingerprint(SMALL, ToyEmbedder()) == fingerprint(glossary, ToyEmbedder())


def test_what_is_read_back_is_what_was_indexed(settings: Settings) -> None:
    index = open_index(settings, ToyEmbedder())
    entries = read_glossary(settings.glossary).entries
    assert index.entries == entries
    assert index.items == tuple(items_of(entries))
    assert published(settings) == {index.folder.name}


def test_a_fresh_index_is_not_built_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    open_index(settings, ToyEmbedder())
    monkeypatch.setattr("tutor.store.write_store", pytest.fail)
    open_index(settings, ToyEmbedder())
    build_index(settings, ToyEmbedder())


def test_a_stale_index_is_rebuilt(settings: Settings) -> None:
    open_index(settings, ToyEmbedder())
    CHANGES["an entry comes"](settings.glossary)
    assert "l1" in {e.slug for e in open_index(settings, ToyEmbedder()).entries}


def test_only_the_latest_indexes_and_those_in_use_are_kept(settings: Settings) -> None:
    first = open_index(settings, ToyEmbedder())
    for number in range(KEPT + 3):
        (settings.glossary / "dropout.md").write_text(f"---\nterm: dropout\n---\nUtgave {number}.\n")
        last = open_index(settings, ToyEmbedder())
        for name in published(settings) - {first.folder.name, last.folder.name}:
            long_ago = time.time() - IN_USE - 60 + number
            os.utime(settings.home / "index" / name, (long_ago, long_ago))
    assert {first.folder.name, last.folder.name} <= published(settings)
    assert len(published(settings)) == KEPT + 1


def test_what_is_saved_while_another_builds_is_what_is_indexed(settings: Settings) -> None:
    root = settings.home / "index"
    root.mkdir(parents=True)
    found: list[Path] = []
    with FileLock(root / ".lock"):
        waits = threading.Thread(target=lambda: found.append(build_index(settings, ToyEmbedder())[0]))
        waits.start()
        time.sleep(0.3)
        CHANGES["an entry comes"](settings.glossary)
    waits.join()
    assert "l1" in {e.slug for e in load_index(found[0]).entries}
    assert found[0].name == fingerprint(settings.glossary, ToyEmbedder())


@pytest.mark.parametrize("name", ["en.markdown", "EN.MD"])
def test_every_file_that_is_read_counts(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("---\nterm: epler\n---\nEpler er frukt.\n")
    before = fingerprint(tmp_path, ToyEmbedder())
    (tmp_path / name).write_text("---\nterm: bil\n---\nEn bil har hjul.\n")
    assert fingerprint(tmp_path, ToyEmbedder()) != before


def test_what_a_file_is_taken_for_counts(tmp_path: Path) -> None:
    text, table = tmp_path / "x.txt", tmp_path / "x.csv"
    for path in (text, table):
        path.write_text("begrep;definisjon\nbil;En bil har hjul.\n")
    assert fingerprint(text, ToyEmbedder()) != fingerprint(table, ToyEmbedder())


def test_a_build_that_fails_leaves_the_old_index_and_the_next_clears_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = open_index(settings, ToyEmbedder())
    CHANGES["an entry changes"](settings.glossary)

    def die(folder: Path, *_: object) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("tutor.store.write_store", die)
    with pytest.raises(KeyboardInterrupt):
        build_index(settings, ToyEmbedder())
    assert published(settings) == {old.folder.name}
    assert load_index(old.folder).entries == old.entries
    monkeypatch.setattr("tutor.store.write_store", write_toy_store)
    new, _ = build_index(settings, ToyEmbedder())
    assert published(settings) == {old.folder.name, new.name}
    assert {p.name for p in (settings.home / "index").iterdir()} == {".lock", old.folder.name, new.name}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device"), "Disken er full"),
        (RuntimeError("database or disk is full"), "Disken er full"),
        (PermissionError(13, "Permission denied"), "TUTOR_HOME"),
        (RuntimeError("attempt to write a readonly database"), "TUTOR_HOME"),
        (RuntimeError("noe annet"), "noe annet"),
    ],
)
def test_a_failure_is_explained(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("tutor.store.write_store", fail)
    with pytest.raises(SearchIndexError, match=says):
        build_index(settings, ToyEmbedder())


@pytest.mark.parametrize("name", ["entries.json", "words.json", "words.npz", "grams.npz", "meta.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 100])
def test_a_damaged_index_is_told_or_rebuilt(settings: Settings, name: str, content: bytes) -> None:
    (open_index(settings, ToyEmbedder()).folder / name).write_bytes(content)
    with pytest.raises(TutorError, match="tutor index"):
        open_index(settings, ToyEmbedder())


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_damage_to_another_index_is_no_hindrance(settings: Settings, content: bytes) -> None:
    (open_index(settings, ToyEmbedder()).folder / "meta.json").write_bytes(content)
    CHANGES["an entry changes"](settings.glossary)
    open_index(settings, ToyEmbedder())


def test_a_missing_glossary(tmp_path: Path) -> None:
    with pytest.raises(GlossaryError, match="borte"):
        open_index(Settings(home=tmp_path, glossary=tmp_path / "borte"), ToyEmbedder())


def test_every_section_and_question_is_embedded_with_its_headword() -> None:
    dropout = next(e for e in read_glossary(SMALL).entries if e.slug == "dropout")
    texts = [embedded_text(item) for item in items_of([dropout])]
    assert len(texts) == 4
    assert texts[0].startswith("dropout. Dropout slår av")
    assert texts[1].startswith("dropout: Hvordan det virker. Med $p = 0.5$")
    assert texts[3] == "Hvorfor slås noder av under trening?"


def test_a_bare_term_is_indexed_too() -> None:
    (item,) = items_of([Entry("l1", "L1", ())])
    assert "L1" in embedded_text(item)


@pytest.mark.parametrize(
    ("question", "sides"),
    [
        ("Hva er forskjellen på dropout og weight decay?", ["dropout", "weight-decay"]),
        ("Hva er forskjellen på dropout og det?", ["dropout", "regularization"]),
        ("Er dropout eller weight decay best?", ["dropout", "weight-decay"]),
        (
            "Hva er forskjellen på dropout og andre metoder i weight decay?",
            ["dropout", "regularization", "weight-decay"],
        ),
    ],
)
def test_what_is_compared_is_what_is_named(retriever: GlossaryRetriever, question: str, sides: list[str]) -> None:
    """Whatever the conversation was about before, which may put another entry between the two."""
    ranked = [items_of([retriever.entry(slug)])[0] for slug in ("dropout", "regularization", "weight-decay")]
    found = Retrieval(tuple(Hit(item, p) for item, p in zip(ranked, (0.6, 0.1, 0.1), strict=True)), 0.9, True)
    assert [e.slug for e in retriever.asked_about(question, found)] == sides


def test_the_retriever_knows_families(retriever: GlossaryRetriever) -> None:
    at = retriever.position
    assert retriever.relations[at["dropout"]] == {at["regularization"], at["weight-decay"]}


def test_the_retriever_is_a_langchain_retriever(retriever: GlossaryRetriever, index: Index) -> None:
    """Which entry comes first is a matter of the real weights: see test_real.py."""
    documents = retriever.invoke("vektforfall")
    assert {d.id: d.page_content for d in documents} == {e.slug: e.text for e in index.entries}
    scores = [d.metadata["score"] for d in documents]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert len(retriever.search("vektforfall", k=2).hits) == 2


def test_a_follow_up_is_understood_from_what_was_said_before(retriever: GlossaryRetriever) -> None:
    history = [Turn("user", "hva er dropout?"), Turn("assistant", "Dropout slår av noder.")]
    assert retriever.search("hvorfor?", history) != retriever.search("hvorfor?")
    assert retriever.search("hvorfor?", [Turn("assistant", "")]).hits
