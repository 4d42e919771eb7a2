"""What the tests share: a scripted model, a small glossary, and a home with the real weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from numpy.typing import NDArray
from pydantic import PrivateAttr

from tutor.embed import Embedder
from tutor.glossary import read_glossary
from tutor.index import Index, build_index, items_of, load_index
from tutor.lexical import grams, words
from tutor.models import DEFAULT_LLM, model_path
from tutor.names import Names, named_alone
from tutor.plan import defining_words, general_words, kind_of
from tutor.retrieve import GlossaryRetriever
from tutor.settings import Settings, default_home
from tutor.store import Store
from tutor.tutor import Tutor
from tutor.types import Entry, Hit, Retrieval, Turn

ROOT = Path(__file__).resolve().parents[1]
SMALL = ROOT / "tests" / "data" / "small"
ORIGINAL = ROOT.parent / "shared" / "ordliste-original.txt"
# Started in the background (nohup, a CI runner) we may have inherited «ignore Ctrl-C», and our children would too.
signal.signal(signal.SIGINT, signal.default_int_handler)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests reaches into them."""
    for name in [n for n in os.environ if n.startswith("TUTOR_") and n != "TUTOR_TEST_HOME"]:
        monkeypatch.delenv(name)


class Scripted(BaseChatModel):
    """Says what it is told to, a few letters at a time, and remembers what it was asked."""

    _replies: list[str] = PrivateAttr(default_factory=list)
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _unread: int = PrivateAttr(default=0)

    def enqueue(self, *replies: str) -> None:
        self._replies += replies

    @property
    def asked(self) -> list[list[BaseMessage]]:
        return self._asked

    @property
    def unread(self) -> int:
        """Letters of the last reply that nobody asked for."""
        return self._unread

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        self._asked.append(messages)
        text = self._replies.pop(0)
        self._unread = len(text)
        for start in range(0, len(text), 3):
            self._unread -= len(text[start : start + 3])
            yield ChatGenerationChunk(message=AIMessageChunk(content=text[start : start + 3]))
        usage = {"input_tokens": 7, "output_tokens": len(text), "total_tokens": 7 + len(text)}
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage))  # type: ignore[arg-type]

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        chunks = list(self._stream(messages))
        return ChatResult(generations=[ChatGeneration(message=chunks[0].message)])


class Shelf:
    """A retriever without arithmetic: covered when a name of an entry stands in the question."""

    starters = ("dropout", "regularisering")
    taught = "much"

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = {e.slug: e for e in entries}
        self.index = SimpleNamespace(entries=tuple(entries))
        self.histories: list[Sequence[Turn]] = []

    def search(self, question: str, history: Sequence[Turn] = (), k: int = 5) -> Retrieval:
        self.histories.append(history)
        named = [e for e in self.entries.values() if any(n.lower() in question.lower() for n in e.names)]
        ranked = list(dict.fromkeys([e.slug for e in named] + list(self.entries)))
        items = [items_of([self.entries[slug]])[0] for slug in ranked]
        hits = [Hit(item, 1.0 / n) for n, item in enumerate(items, 1)]
        return Retrieval(tuple(hits), 0.9 if named else 0.1, bool(named))

    def entry(self, slug: str) -> Entry:
        return self.entries[slug]

    def asked_about(self, question: str, found: Retrieval) -> list[Entry]:
        named = [e for e in self.entries.values() if any(n.lower() in question.lower() for n in e.names)]
        return named or [self.entry(found.hits[0].passage.entry_id)]

    def only_named(self, question: str) -> Entry | None:
        named = named_alone(Names.of(self.index.entries), question, defining_words())
        return None if named is None or kind_of(question) != "define" else self.index.entries[named]

    def in_general(self, question: str) -> bool:
        return named_alone(Names.of(self.index.entries), question, general_words()) is not None

    def nearness(self, question: str, entries: Sequence[Entry]) -> Callable[[Sequence[str]], list[float]]:
        """The share of the question's words that a sentence holds."""
        asked = set(words(question))
        return lambda texts: [len(asked & set(words(t))) / max(1, len(asked)) / 20 for t in texts]

    def intents(self, question: str) -> dict[str, float]:
        return {}


class ToyEmbedder(Embedder):
    """Counts letter pairs into 64 boxes: no weights, but like texts lie near each other."""

    def __init__(self, name: str = "toy") -> None:
        self.name = name

    @property
    def fingerprint(self) -> str:
        return self.name

    def embed_documents(self, texts: list[str], progress: Any = None) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def query_vector(self, text: str) -> NDArray[np.float32]:
        return np.array(self.embed_query(text), np.float32)

    def embed_query(self, text: str) -> list[float]:
        vector = np.zeros(64)
        for gram in grams(text):
            vector[zlib.crc32(gram.encode()) % 64] += 1
        return (vector / max(1.0, np.linalg.norm(vector))).tolist()


class ToyStore(Store):
    """Brute force over a table that ``write_toy_store`` saved."""

    def __init__(self, folder: Path) -> None:
        self.vectors = np.load(folder / "vectors.npy")

    def nearest(self, vector: Sequence[float], k: int) -> list[tuple[int, float]]:
        near = self.vectors @ np.array(vector)
        return [(int(i), float(near[i])) for i in np.argsort(-near, kind="stable")[:k]]


def write_toy_store(folder: Path, url: str, collection: str, embedder: Any, texts: Any, progress: Any = None) -> Any:
    folder.mkdir()
    vectors = np.array(embedder.embed_documents(texts), np.float32)
    np.save(folder / "vectors.npy", vectors)
    return vectors


@pytest.fixture
def toy_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """``build_index`` writes its vectors in a table instead of Chroma."""
    monkeypatch.setattr("tutor.store.write_store", write_toy_store)


@pytest.fixture
def index(tmp_path: Path, toy_store: None) -> Index:
    folder, _ = build_index(Settings(home=tmp_path, glossary=SMALL), ToyEmbedder())
    return load_index(folder)


@pytest.fixture
def retriever(index: Index) -> GlossaryRetriever:
    return GlossaryRetriever(index=index, store=ToyStore(index.folder / "chroma"), embedder=ToyEmbedder())


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(read_glossary(SMALL).entries)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted(name="manus")


@pytest.fixture
def tutor(shelf: Shelf, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> Tutor:
    """A tutor over the small glossary with the scripted model; the command line gets it too."""
    made = Tutor(shelf, scripted)  # type: ignore[arg-type]
    monkeypatch.setattr("tutor.open.open_tutor", lambda *_, **__: made)
    monkeypatch.setattr("tutor.open.open_retriever", lambda *_, **__: shelf)
    return made


def tutor_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tutor.cli", *arguments]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TUTOR_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(ROOT), "TUTOR_HOME": str(home), **more}


def run_tutor(home: Path, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """The whole program in a process of its own."""
    return subprocess.run(
        tutor_command(*arguments), input=stdin, capture_output=True, encoding="utf-8", env=environment(home, **more),
        timeout=600,
    )  # fmt: skip


def borrow(source: Path, home: Path) -> Path:
    """A home with its own index and settings that reads the weights of ``source`` through links."""
    for folder in ("models", "models/query"):
        (home / folder).mkdir(parents=True, exist_ok=True)
        for path in (source / folder).glob("[!.]*"):
            if path.name != "query" and path.suffix not in (".tmp", ".lock"):
                (home / folder / path.name).symlink_to(path)
    return home


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the default weights, linked from TUTOR_TEST_HOME or the usual one.

    Only a language model that is missing there is fetched into it; nothing else is written.
    """
    from tutor.embed import make_embedder

    source = Path(os.environ.get("TUTOR_TEST_HOME") or default_home())
    if not model_path(source, DEFAULT_LLM).is_file():
        subprocess.run(tutor_command("models", "pull"), env=environment(source), check=True)
    home = borrow(source, tmp_path_factory.mktemp("weights"))
    make_embedder(Settings(home=home)).ensure_exported()
    return home


@pytest.fixture
def home(weights: Path, tmp_path: Path) -> Path:
    """An empty home with the real weights."""
    return borrow(weights, tmp_path / "home")


@pytest.fixture(scope="session")
def ready(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The shipped glossary, indexed for real: ``home``, and ``retriever`` over it in this process."""
    from tutor.open import open_retriever

    home = borrow(weights, tmp_path_factory.mktemp("ready"))
    return SimpleNamespace(home=home, retriever=open_retriever(Settings(home=home)))
