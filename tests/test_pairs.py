"""What an adapter is trained on (``evals/adapter``): whole, varied, and nothing that anybody is measured on."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evals.train_adapter import INVOCATION, PAIRS, pairs
from tutor.prompt import wording
from tutor.verify import sentences

ROOT = Path(__file__).parents[1]
LONGEST_COPY = 8
"""Words in a row that may not stand in a glossary or a case we are measured on."""


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    files = sorted(PAIRS.glob("pairs-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def test_there_are_enough_of_them_and_no_two_alike(rows: list[dict[str, Any]]) -> None:
    assert len(rows) >= 1500 and len({r["subject"] for r in rows}) >= 40
    assert len({r["id"] for r in rows}) == len(rows)
    alike = Counter((r["question"].lower(), json.dumps(r["sources"]), json.dumps(r["history"])) for r in rows)
    assert max(alike.values()) == 1


def test_every_kind_of_question_is_there(rows: list[dict[str, Any]]) -> None:
    kinds = Counter(r["kind"] for r in rows)
    assert set(kinds) >= {"define", "why", "how", "compare", "choose", "example", "simplify", "false-premise"}
    assert set(kinds) >= {"list", "partly", "uncovered", "instruction", "follow-up"}
    assert {r["language"] for r in rows} == {"nb", "nn", "en"}


def test_an_opening_is_the_passages_own_words(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        told = {s for p in row["sources"] for s in sentences(p["text"])}
        assert told.issuperset(row["answer"][: row["opening"]]), row["id"]
        assert 1 <= len(row["answer"]) <= 5 and 1 <= len(row["sources"]) <= 5, row["id"]


def test_nothing_is_copied_from_what_we_are_measured_on(rows: list[dict[str, Any]]) -> None:
    folders = [ROOT / "corpus", ROOT / "evals" / "second"]
    files = [p for f in folders for p in f.rglob("*") if p.suffix in (".md", ".jsonl", ".json", ".tsv")]
    files += [p for p in (ROOT / "evals" / "cases").rglob("*.jsonl") if "claims" not in p.name]
    assert len(files) > 60
    measured = set().union(*(_runs(p.read_text(encoding="utf-8")) for p in files))
    for row in rows:
        text = "\n".join([row["question"], *row["answer"], *(p["text"] for p in row["sources"])])
        assert not _runs(text) & measured, (row["id"], _runs(text) & measured)


def test_the_model_is_trained_on_what_the_tutor_asks(rows: list[dict[str, Any]]) -> None:
    found = pairs()
    assert len(found) == sum(r["language"] == "nb" and not r["history"] for r in rows)
    assert wording("question").split("\n")[-1].startswith(INVOCATION)
    for pair in found:
        assert pair.front.endswith("\n\n") and pair.asked.startswith(INVOCATION) and pair.answer.endswith("<|im_end|>")


def _runs(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[n : n + LONGEST_COPY]) for n in range(len(words) - LONGEST_COPY + 1)}
