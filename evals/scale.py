"""``make eval-scale``: a synthetic glossary of 20,000 entries. Time and memory of indexing, time of a query.

    python -m evals.scale [ENTRIES]

The entries are put together from the training texts' words, so that they are language but mean nothing.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from evals.train_embedder import entries_by_subject

ENTRIES = 20_000
QUESTIONS = 50


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


def main(entries: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, glossary = Path(folder) / "home", Path(folder) / "ordliste.csv"
        questions = write_glossary(glossary, entries)
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "tutor.cli", "index", str(glossary)],
            check=True,
            env={**os.environ, "TUTOR_HOME": str(home)},
        )
        took, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"Indexing {entries} entries: {took:.0f} s, peak {peak:.0f} MB")

        from tutor.open import open_retriever
        from tutor.settings import load_settings

        retriever = open_retriever(load_settings(home=home, glossary=glossary))
        times, right = [], 0
        for question in questions:
            began = time.perf_counter()
            found = retriever.search(question)
            times.append((time.perf_counter() - began) * 1000)
            right += found.hits[0].passage.term.lower() in question
        warm = times[5:]
        low, high = min(warm), max(warm)
        print(f"A query: {statistics.median(warm):.0f} ms at the median ({low:.0f}–{high:.0f}), first five left out")
        print(f"Right entry first: {right} of {len(questions)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES)
