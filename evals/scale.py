"""``make eval-scale``: synthetic glossaries of growing size. Time and memory of indexing, time of a query.

    python -m evals.scale [ENTRIES …]

The entries are put together from the training texts' words, so that they are language but mean nothing.
The table goes to ``evals/SCALE.md``.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.bench import Report, machine, peak_mb
from evals.served import TUTOR
from evals.train_embedder import entries_by_subject

REPORT = Path(__file__).parent / "SCALE.md"
SIZES = (100, 1_000, 10_000, 20_000)
QUESTIONS = 50
WARMUP = 5
"""Queries at first that are not counted."""


@dataclass(frozen=True)
class Cost:
    """Seconds and most MB of ``tutor index`` in a process of its own; milliseconds of each query after the warm-up."""

    entries: int
    index_seconds: float
    index_mb: float
    query_ms: tuple[float, ...]
    right: int
    """Queries, of ``QUESTIONS``, whose entry came first."""


def write_glossary(path: Path, entries: int) -> list[str]:
    """A CSV of ``entries`` terms with a sentence each; gives some questions about them."""
    rng = random.Random(0)
    known = [e for group in entries_by_subject() for e in group]
    words = sorted({w for e in known for w in e["definition"].split() if w.isalpha()})
    terms: dict[str, None] = {}
    while len(terms) < entries:
        terms[f"{rng.choice(words)} {rng.choice(words)} {rng.choice(words)}".lower()] = None
    rows = [f"{term};{' '.join(rng.choices(words, k=18))}." for term in terms]
    path.write_text("term;definition\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return [f"hva er {term}?" for term in rng.sample(list(terms), QUESTIONS)]


def measured(entries: int, models: Path) -> Cost:
    """Index a glossary of that many entries, and ask for some of them. ``models``: where the search model is."""
    from tutor.open import open_retriever
    from tutor.settings import load_settings

    with tempfile.TemporaryDirectory() as folder:
        home, glossary = Path(folder) / "home", Path(folder) / "ordliste.csv"
        home.mkdir()
        (home / "models").symlink_to(models)
        questions = write_glossary(glossary, entries)
        began = time.perf_counter()
        peak = peak_mb([*TUTOR, "index", str(glossary)], {**os.environ, "TUTOR_HOME": str(home)})
        took = time.perf_counter() - began
        retriever = open_retriever(load_settings(home=home, glossary=glossary))
        times, right = [], 0
        for question in questions:
            began = time.perf_counter()
            found = retriever.search(question)
            times.append((time.perf_counter() - began) * 1000)
            right += found.hits[0].passage.term.lower() in question
    return Cost(entries, took, peak, tuple(times[WARMUP:]), right)


def main(sizes: Sequence[int]) -> None:
    from tutor.embed import make_embedder
    from tutor.settings import load_settings

    settings = load_settings()
    make_embedder(settings).ensure_exported()  # once on a machine, whatever the glossary
    report = Report()
    report.say("# Cost against the size of the glossary", "", f"Written by `make eval-scale` on {machine()}.")
    report.say(
        f"Synthetic entries of a sentence each; {QUESTIONS} questions, the first {WARMUP} untimed; median (range)."
    )
    report.table("entries", "index, seconds", "peak memory, MB", "a query, ms", "right entry first")
    for size in sizes:
        cost = measured(size, settings.home.resolve() / "models")
        low, high = min(cost.query_ms), max(cost.query_ms)
        query = f"{statistics.median(cost.query_ms):.0f} ({low:.0f}–{high:.0f})"
        right = f"{cost.right} of {QUESTIONS}"
        report.row(f"{cost.entries:,}", f"{cost.index_seconds:.1f}", f"{cost.index_mb:.0f}", query, right)
    REPORT.write_text("\n".join(report.lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or SIZES)
