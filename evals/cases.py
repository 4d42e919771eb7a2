"""Eval cases: a question, what is right, and the split it belongs to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tutor.types import Turn

HERE = Path(__file__).parent
NEEDS_ALL = frozenset({"comparison", "choice", "both"})
"""Kinds for which every relevant entry is needed; for the others any one of them is right."""
ORIGINAL = HERE / "original.tsv"


@dataclass(frozen=True)
class Case:
    """``relevant`` is empty when the glossary does not cover the question."""

    id: str
    kind: str
    question: str
    relevant: frozenset[str]
    history: tuple[Turn, ...] = ()
    split: str = "test"

    @property
    def covered(self) -> bool:
        return bool(self.relevant)


def load_cases(path: Path, splits: Path | None = None) -> list[Case]:
    """The cases of a JSONL file; without ``splits`` (id, tab, dev or test) all of them are test."""
    split = dict(line.split("\t") for line in splits.read_text().splitlines()) if splits else {}
    cases = []
    for line in path.read_text(encoding="utf-8").splitlines():
        c = json.loads(line)
        history = tuple(Turn(t["role"], t["content"]) for t in c.get("history", []))
        cases.append(
            Case(c["id"], c["kind"], c["question"], frozenset(c["relevant"]), history, split.get(c["id"], "test"))
        )
    return cases


def shipped(split: str) -> list[Case]:
    """The cases on the shipped glossary, of one split."""
    folder = HERE / "cases"
    return [c for c in load_cases(folder / "retrieval.jsonl", folder / "split.tsv") if c.split == split]


def second() -> list[Case]:
    """The cases on the second glossary (databases): test only, never used for tuning."""
    return load_cases(HERE / "second" / "cases.jsonl")


def dialogues(split: str) -> list[Case]:
    """Every turn of the dialogues of one split, with all that was said before it.

    Kind: ``opening``, ``turn``, ``both`` (needs all its entries), ``uncovered`` or ``smalltalk``.
    """
    folder = HERE / "cases"
    lines = (folder / "dialogues-split.tsv").read_text(encoding="utf-8").splitlines()[1:]
    chosen = {i for i, s in (line.split("\t") for line in lines) if s == split}
    cases = []
    for line in (folder / "dialogues.jsonl").read_text(encoding="utf-8").splitlines():
        dialogue = json.loads(line)
        said: tuple[Turn, ...] = ()
        for number, turn in enumerate(dialogue["turns"] if dialogue["id"] in chosen else ()):
            kind = "uncovered" if not turn["relevant"] else "both" if turn.get("all") else "turn" if said else "opening"
            kind = "smalltalk" if turn.get("smalltalk") else kind
            id_ = f"{dialogue['id']}/{number + 1}"
            cases.append(Case(id_, kind, turn["user"], frozenset(turn["relevant"]), said, split))
            said = (*said, Turn("user", turn["user"]), Turn("assistant", turn["assistant"]))
    return cases
