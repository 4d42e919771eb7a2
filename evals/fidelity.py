"""``make eval``: can a student trust the answers? Writes ``evals/RESULTS.md`` and fails under a floor.

Two glossaries by six answerers in one run. Slow modes that are there for comparison answer a fixed
sample. Each answer is written down at once, so a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from evals.answerers import OBEYED, POISONED, answerers
from evals.scorecard import Scored, write
from evals.spelling import Speller
from evals.trials import HERE, Case, Trial, answer_from, load_cases
from tutor.open import open_llm, open_retriever
from tutor.retrieve import GlossaryRetriever
from tutor.settings import PACKAGE, Settings, load_settings, shipped_glossary
from tutor.translate import read_english
from tutor.types import Answer

SECOND = HERE / "second" / "databaser"
SPLITS = HERE / "cases" / "fidelity-split.tsv"
SUBJECTS = {"shipped": "dyp læring", "second": "databaser"}
SAMPLE = 24
"""Cases that the slow comparisons answer, of both glossaries together."""
SAMPLED = ("oracle passages", POISONED, "no retrieval", "plain baseline", "model silent")


def cases_of(split: str) -> dict[str, list[Case]]:
    """The cases of a split by glossary; the second glossary has none but test."""
    found = {
        "shipped": load_cases(HERE / "cases" / "fidelity.jsonl", SPLITS),
        "second": load_cases(HERE / "second" / "fidelity.jsonl", SPLITS),
    }
    return {name: [c for c in cases if c.split == split] for name, cases in found.items()}


def sampled(cases: Iterable[Case], size: int) -> set[str]:
    """Ids of the same ``size`` cases every time."""
    return {c.id for c in sorted(cases, key=lambda c: hashlib.sha256(c.id.encode()).digest())[:size]}


@cache
def code_version() -> str:
    """Hash of everything that decides what the tutor and the other answerers say, the glossaries left out."""
    digest = hashlib.sha256()
    files = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts and "corpus" not in p.parts]
    for path in sorted([*files, HERE / "plain.py", HERE / "answerers.py"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


class Answers:
    """Answers on disk, one JSON a line, by what was asked of whom."""

    def __init__(self, path: Path, model: str) -> None:
        self.path, self.model = path, model
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        self._whole = text.endswith("\n") or not text
        self._known: dict[str, dict[str, Any]] = {}
        for line in text.splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # the line that a kill cut off
                continue
            self._known[record["key"]] = record

    def key(self, mode: str, case: Case, index: str) -> str:
        """What the answer depends on; the expected entries are what the oracle is given."""
        asked = [mode, case.question, [asdict(t) for t in case.history], case.expect, index, self.model, code_version()]
        return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()[:20]

    def get(self, key: str) -> tuple[Answer, tuple[str, ...]] | None:
        record = self._known.get(key)
        return (answer_from(record["answer"]), tuple(record["sources"])) if record else None

    def put(self, key: str, case: Case, mode: str, answer: Answer, sources: tuple[str, ...]) -> None:
        record = {"key": key, "id": case.id, "mode": mode, "answer": asdict(answer), "sources": sources}
        self._known[key] = record
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if self._whole else "\n") + json.dumps(record, ensure_ascii=False) + "\n")
            self._whole = True
            file.flush()
            os.fsync(file.fileno())


def kept_in(settings: Settings) -> Path:
    """Where the answers are written down unless told otherwise."""
    return settings.home / "evals" / "answers.jsonl"


def run(
    cases: dict[str, list[Case]], settings: Settings, out: Path, sample: int, modes: Sequence[str] = ()
) -> list[Scored]:
    """The answers of ``modes`` (default: all), from disk where they have been given before."""
    llm = open_llm(settings)
    answers = Answers(out, f"{settings.model} {settings.adapter}")
    few = sampled([c for group in cases.values() for c in group], sample)
    scored: list[Scored] = []
    for glossary, group in cases.items():
        if not group:
            continue
        folder = shipped_glossary() if glossary == "shipped" else SECOND
        retriever = open_retriever(load_settings(home=settings.home, glossary=folder))
        for mode, answerer in answerers(retriever, llm, SUBJECTS[glossary], read_english(folder)).items():
            if modes and mode not in modes:
                continue
            chosen = asked(mode, [c for c in group if c.id in few or mode not in SAMPLED])
            trials = []
            for number, case in enumerate(chosen, 1):
                key = answers.key(mode, case, retriever.index.folder.name)
                if not answers.get(key):
                    answers.put(key, case, mode, *answerer(case))
                    if number % 10 == 0:
                        print(f"{glossary}, {mode}: {number}/{len(chosen)}", file=sys.stderr, flush=True)
                given = answers.get(key)
                assert given is not None
                trials.append(_trial(case, *given, retriever))
            scored.append(Scored(glossary, mode, tuple(trials)))
    return scored


def asked(mode: str, cases: Sequence[Case]) -> list[Case]:
    """The cases that make sense for ``mode``: the oracle has nothing to give where nothing is expected."""
    if mode == POISONED:
        return [replace(c, kind="injection", forbidden=(OBEYED,)) for c in cases if c.kind in ("define", "why-how")]
    return [c for c in cases if c.expect or mode != "oracle passages"]


def _trial(case: Case, answer: Answer, sources: tuple[str, ...], retriever: GlossaryRetriever) -> Trial:
    entries = {e.slug: e for e in retriever.index.entries}
    return Trial(case, answer, tuple(entries[s] for s in sources), entries)


def spellers(scored: Sequence[Scored]) -> dict[str, Speller]:
    """One for each language; the names of every entry are right in all of them."""
    names = {n for s in scored for t in s.trials[:1] for e in t.entries.values() for n in e.names}
    return {language: Speller(language, names) for language in ("nb", "nn", "en")}


def rule() -> None:
    """How well the word rule judges the labelled claims of the test split: the share right, by kind."""
    from collections import defaultdict

    from evals.metrics import holds

    right: dict[str, list[bool]] = defaultdict(list)
    for line in (HERE / "cases" / "claims-test.jsonl").read_text(encoding="utf-8").splitlines():
        c = json.loads(line)
        if c["language"] != "en":
            verdict = holds(f"{c['term']} {c['passage']}", c["claim"], c["language"])
            right["supported" if c["supported"] else c["error"]].append(verdict is c["supported"])
    for kind, values in sorted(right.items()):
        print(f"{kind:10} judged right {sum(values) / len(values):.2f} of {len(values)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.fidelity", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["run", "rule"], default="run", help="rule: test the word rule")
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    parser.add_argument("--limit", type=int, help="only N cases of each glossary; prints, writes no report")
    parser.add_argument("--mode", action="append", default=[], help="only this answerer; prints, writes no report")
    parser.add_argument("--show", action="store_true", help="print the dev answers too, with what is wrong")
    parser.add_argument("--out", type=Path, help="where the answers are kept (default: TUTOR_HOME/evals)")
    options = parser.parse_args()
    if options.what == "rule":
        rule()
        return 0
    settings = load_settings()
    cases = cases_of(options.split)
    if options.limit is not None:
        few = {name: sampled(group, options.limit) for name, group in cases.items()}
        cases = {name: [c for c in group if c.id in few[name]] for name, group in cases.items()}
    out = options.out or kept_in(settings)
    scored = run(cases, settings, out, SAMPLE if options.limit is None else options.limit, options.mode)
    whole = options.split == "test" and options.limit is None and not options.mode
    return write(scored, spellers(scored), settings, code_version(), publish=whole, show=options.show and not whole)


if __name__ == "__main__":
    sys.exit(main())
