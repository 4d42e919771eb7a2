"""The sheet that people label, one sentence a line, and what their labels say.

The sheet does not tell which sentences the tutor's verifier let through (``verdicts.tsv`` does), so
that nobody who labels is led by it. What was withheld stands after what was shown.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.metrics import Share, figure
from evals.trials import Trial

COLUMNS = ("id", "n", "question", "sentence", "entries", "supported", "norwegian")
SUPPORTED = ("yes", "partly", "no")
NORWEGIAN = ("right", "wrong", "english")
"""``english``: the sentence is in English, and its Norwegian is not judged."""


@dataclass(frozen=True)
class Label:
    """What a reader said of one sentence, and whether the tutor had shown it."""

    answer: str
    supported: str
    norwegian: str
    shown: bool


def drawn(trials: Sequence[Trial], size: int, seed: int) -> list[Trial]:
    """``size`` of the answers that say something, the same ones for the same seed, in the order of the cases."""
    spoken = [t for t in trials if t.claims]
    chosen = random.Random(seed).sample(range(len(spoken)), min(size, len(spoken)))
    return [spoken[n] for n in sorted(chosen)]


def write_sheet(trials: Iterable[Trial], folder: Path, version: str) -> int:
    """``answers.tsv`` to be labelled and ``verdicts.tsv`` beside it; returns the number of sentences.

    Raises:
        FileExistsError: there is a sheet with labels already.
    """
    sheet, verdicts = folder / "answers.tsv", folder / "verdicts.tsv"
    if sheet.is_file() and any(row["supported"] for row in _rows(sheet)):
        raise FileExistsError(f"{sheet} has labels; move it away first")
    lines: list[Sequence[str]] = []
    shown: list[Sequence[str]] = []
    for t in trials:
        said = [(c.text, True) for c in t.claims] + [(s, False) for s in t.answer.withheld]
        for n, (sentence, stood) in enumerate(said, 1):
            entries = ", ".join(e.slug for e in t.sources)
            lines.append((t.case.id, str(n), _flat(t.case.question), _flat(sentence), entries, "", ""))
            shown.append((t.case.id, str(n), "shown" if stood else "withheld", version))
    folder.mkdir(parents=True, exist_ok=True)
    _write(sheet, COLUMNS, lines)
    _write(verdicts, ("id", "n", "verdict", "version"), shown)
    return len(lines)


def read_labels(folder: Path) -> list[Label]:
    """The labelled sentences.

    Raises:
        ValueError: a label is missing or none of those that there are; the message says where.
    """
    verdicts = {(r["id"], r["n"]): r["verdict"] for r in _rows(folder / "verdicts.tsv")}
    labels = []
    for line, row in enumerate(_rows(folder / "answers.tsv"), 2):
        for column, allowed in (("supported", SUPPORTED), ("norwegian", NORWEGIAN)):
            if row[column] not in allowed:
                raise ValueError(f"answers.tsv, line {line}: {column} is «{row[column]}», not one of {allowed}")
        shown = verdicts[row["id"], row["n"]] == "shown"
        labels.append(Label(row["id"], row["supported"], row["norwegian"], shown))
    return labels


def version_of(folder: Path) -> str:
    """The code that the labelled answers come from."""
    return next(r["version"] for r in _rows(folder / "verdicts.tsv"))


def report(labels: Sequence[Label], version: str, agreed: str = "") -> str:
    """The section that goes into ``RESULTS.md``."""
    shown = [x for x in labels if x.shown]
    rows = {
        "shown sentences not supported ↓": by_answer(shown, lambda x: x.supported == "no"),
        "shown sentences not or only partly supported ↓": by_answer(shown, lambda x: x.supported != "yes"),
        "shown sentences in Norwegian that a teacher would let stand ↑": by_answer(
            [x for x in shown if x.norwegian != "english"], lambda x: x.norwegian == "right"
        ),
        "verifier and reader agree (supported: yes; shown) ↑": by_answer(
            labels, lambda x: x.shown == (x.supported == "yes")
        ),
        "withheld sentences that were supported": by_answer(
            [x for x in labels if not x.shown], lambda x: x.supported == "yes"
        ),
    }
    answers = len({x.answer for x in labels})
    lines = [
        "## Hand audit",
        "",
        f"{len(labels)} sentences of {answers} end-to-end answers of code `{version}`, read against the glossary and",
        "labelled one by one in `evals/audit/answers.tsv`, without knowing what the verifier had said. The readers",
        f"were language models that helped us, no people{agreed}.",
        "",
        "| | per cent [95 % interval over answers] (sentences) |",
        "|---|---|",
    ]
    for name, shares in rows.items():
        lines.append(f"| {name} | {figure(shares) or '–'} |")
    return "\n".join(lines) + "\n"


def agreement(folder: Path) -> str:
    """How often a second reader, of some of the sentences, said the same (``second-reader.tsv``); empty without one."""
    path = folder / "second-reader.tsv"
    if not path.is_file():
        return ""
    first, again = {(r["id"], r["n"]): r for r in _rows(folder / "answers.tsv")}, _rows(path)
    same = [sum(r[c] == first[r["id"], r["n"]][c] for r in again) for c in ("supported", "norwegian")]
    return f"; a second one of {len(again)} of these lines agreed on {same[0]} and {same[1]}"


def by_answer(labels: Sequence[Label], counts: Callable[[Label], bool]) -> list[Share]:
    """One share an answer, so that the interval keeps its sentences together."""
    groups: dict[str, list[bool]] = {}
    for x in labels:
        groups.setdefault(x.answer, []).append(counts(x))
    return [Share(sum(g), len(g)) for g in groups.values()]


def _flat(text: str) -> str:
    """On one line, without tabs."""
    return " ".join(text.split())


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = ["\t".join(row) for row in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
