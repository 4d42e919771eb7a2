"""The whole program with the default model, the real embedder and Chroma, as a student meets it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ORIGINAL, environment, run_tutor, tutor_command
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests

from tutor import conversation
from tutor.glossary import read_glossary
from tutor.nynorsk import mode_file
from tutor.retrieve import GlossaryRetriever
from tutor.types import Entry, Turn

pytestmark = pytest.mark.real

LIST = "Du kan bruke dropout, weight decay og data augmentation."
QUESTIONS = [
    ("hva er weight decay?", "nb", "weight-decay"),
    ("Korleis verkar dropout?", "nn", "dropout"),
    ("What is the difference between L1 and L2?", "en", "l1"),
    ("Hvem vant fotball-VM i 2018?", "nb", None),
    ("Korleis bakar eg brød?", "nn", None),
    ("When does the exam start?", "en", None),
]


@pytest.fixture(scope="module")
def answers(ready: SimpleNamespace) -> list[dict[str, Any]]:
    """One process answers them all, as a script would have it."""
    lines = "\n".join(json.dumps({"id": n, "question": q}) for n, (q, *_) in enumerate(QUESTIONS))
    done = run_tutor(ready.home, "ask", "--jsonl", stdin=lines)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(QUESTIONS)), ids=[q for q, *_ in QUESTIONS])
def test_a_question(ready: SimpleNamespace, answers: list[dict[str, Any]], number: int) -> None:
    (_, language, slug), answer = QUESTIONS[number], answers[number]
    assert answer["id"] == number
    assert answer["language"] == ("nb" if language == "nn" and slug and not mode_file() else language)
    assert answer["refused"] is (slug is None)
    assert bool(answer["citations"]) is (slug is not None)
    if slug:
        assert slug in {c["entry_id"] for c in answer["citations"]}
    for citation in answer["citations"]:
        assert citation["quote"] in ready.retriever.entry(citation["entry_id"]).text
        assert f"[{citation['marker']}]" in answer["answer"]


def test_ask_from_a_terminal(ready: SimpleNamespace) -> None:
    done = run_tutor(ready.home, "ask", "hva", "er", "weight", "decay?")
    assert done.returncode == 0, done.stderr
    answer, sources = done.stdout.split("\n\nKilder\n")
    assert "[1]" in answer
    assert sources.startswith("[1] weight decay: «")
    assert "\033" not in done.stdout
    assert done.stderr == ""


def first(retriever: GlossaryRetriever, name: str) -> Entry:
    return retriever.entry(retriever.search(name).hits[0].passage.entry_id)


def test_every_name_in_the_shipped_glossary_finds_its_entry(ready: SimpleNamespace) -> None:
    retriever = ready.retriever
    missed = [(n, f.slug, e.slug) for e in retriever.index.entries for n in e.names if (f := first(retriever, n)) != e]
    assert not missed, "\n".join(f"{name}: found {found}, not {wanted}" for name, found, wanted in missed)


@pytest.mark.skipif(not ORIGINAL.is_file(), reason="../shared/ordliste-original.txt is not here")
def test_every_term_of_the_original_glossary_finds_its_entry(home: Path) -> None:
    from tutor.open import open_retriever
    from tutor.settings import Settings

    done = run_tutor(home, "index", str(ORIGINAL))
    assert done.returncode == 0, done.stderr
    assert "88 oppslag, av dem 39 underoppslag." in done.stdout
    retriever = open_retriever(Settings(home=home, glossary=ORIGINAL))
    entries = read_glossary(ORIGINAL).entries
    assert len(entries) == 88
    missed = [(e.term, f.term) for e in entries if (f := first(retriever, e.term)) != e]
    assert not missed, "\n".join(f"{wanted}: found {found}" for wanted, found in missed)


@pytest.mark.skipif(
    subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode if shutil.which("unshare") else True,
    reason="no right to take the network away (unshare -n)",
)
@pytest.mark.parametrize(
    "arguments", [["ask", "hva er weight decay?"], ["search", "weight decay"], ["index", "GLOSSARY"], ["doctor"]]
)
def test_once_set_up_nothing_needs_a_network(
    ready: SimpleNamespace, home: Path, tmp_path: Path, arguments: list[str]
) -> None:
    """Not even the loopback: every command must end as it does with a network, and as quickly."""
    where = ready.home
    if arguments[0] == "index":  # a new glossary, so that it is really embedded
        where, new = home, tmp_path / "ny.txt"
        new.write_text("1. Bølge: en svingning som brer seg\n2. Støy: uønsket lyd\n", encoding="utf-8")
        arguments = ["index", str(new)]
    done = subprocess.run(["unshare", "-n", *tutor_command(*arguments)], capture_output=True, encoding="utf-8",
                          env=environment(where), timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _find(self, ready: SimpleNamespace) -> None:
        self.parts = ready.retriever

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return GlossaryRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"index": self.parts.index, "store": self.parts.store, "embedder": self.parts.embedder}

    @property
    def retriever_query_example(self) -> str:
        return "hva er weight decay?"


def test_a_follow_up_knows_what_was_spoken_of_last(ready: SimpleNamespace) -> None:
    """The answers' own words tell, also where the questions name nothing."""
    retriever = ready.retriever
    said = [
        Turn("user", "hvordan får man flere modeller til å stemme?"),
        Turn("assistant", retriever.entry("bagging").definition + " [1]"),
        Turn("user", "kan de ikke lære av feilene til hverandre, da?"),
        Turn("assistant", retriever.entry("boosting").definition + " [1]"),
    ]
    found = retriever.search("hva er forskjellen på de to?", said)
    assert {h.passage.entry_id for h in found.hits[:2]} == {"bagging", "boosting"}
    assert retriever.search("enklere, takk", said).hits[0].passage.entry_id == "boosting"
    assert retriever.search("hva er dropout?", said).hits[0].passage.entry_id == "dropout"


@pytest.mark.parametrize(
    ("asked", "answered", "question", "right"),
    [
        ("hvilke måter er det å regularisere på?", LIST, "ta den første", "dropout"),
        ("hvilke måter er det å regularisere på?", LIST, "og nummer to?", "weight-decay"),
        ("what can I do about it?", LIST, "tell me about the last one", "data-augmentation"),
        ("hva er bagging og boosting?", "Bagging trener modellene hver for seg.", "og den andre da?", "boosting"),
    ],
)
def test_a_follow_up_points_at_what_was_listed(
    ready: SimpleNamespace, asked: str, answered: str, question: str, right: str
) -> None:
    before = ready.retriever.entry("regularization").definition
    said = [Turn("user", "hva er regularisering?"), Turn("assistant", before)]
    said += [Turn("user", asked), Turn("assistant", answered)]
    assert ready.retriever.search(question, said).hits[0].passage.entry_id == right


@pytest.mark.parametrize("question", ["hva er det første man gjør?", "hva mener de andre?", "og den tredje?"])
def test_a_follow_up_that_points_at_nothing(ready: SimpleNamespace, question: str) -> None:
    said = [("hva er regularisering?", "Dropout og weight decay.")]
    assert conversation.pointed_at(ready.retriever, question, said) == []
