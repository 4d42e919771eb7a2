"""Practice glossaries of other subjects, to fit on what must hold for any course.

The search model saw none of them in training. A glossary is put together of several subjects; every fifth
entry of a subject is left out, and questions about it are what this glossary does not cover, near as they are.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.cases import Case
from evals.train_embedder import TRAIN
from tutor.glossary import read_glossary
from tutor.glossary.names import slugify
from tutor.settings import shipped_glossary
from tutor.types import Turn

HERE = TRAIN / "practice"
SIZES = (4, 6, 9, 19)
"""Subjects in each glossary."""
LEFT_OUT = 5
"""One entry of so many is left out."""
QUESTIONS = 4
"""Questions that a rich entry has; those that are asked are others."""
STRANGERS = 60
"""Questions on subjects that a glossary knows nothing of."""
TALKS = 10
"""Subjects in each glossary that conversations are about."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Practice:
    """A glossary in Markdown and what is asked of it; without questions and sections if it is ``bare``."""

    folder: Path
    bare: bool
    cases: tuple[Case, ...]


def practice(folder: Path) -> Iterator[Practice]:
    """Every practice glossary, written under ``folder``: each rich and bare, and those of the conversations, bare."""
    subjects = _subjects(("pairs-6", "pairs-7"))
    random.Random(0).shuffle(subjects)
    for number, size in enumerate(SIZES):
        start = sum(SIZES[:number])
        mine, others = subjects[start : start + size], subjects[:start] + subjects[start + size :]
        for bare in (False, True):
            place = folder / f"{number}{'-bare' if bare else ''}"
            kept = [e for s in mine for n, e in enumerate(s) if n % LEFT_OUT]
            write(place, kept, 0 if bare else QUESTIONS, bare)
            yield Practice(place, bare, tuple(_asked(number, mine, others)))
    talks = [json.loads(line) for line in (HERE / "follow-2.jsonl").read_text(encoding="utf-8").splitlines()]
    for start in range(0, len(talks), TALKS):
        place = folder / f"talks-{start}"
        write(place, [e for t in talks[start : start + TALKS] for e in t["entries"]], 0, True)
        yield Practice(place, True, tuple(_talked(talks[start : start + TALKS])))


def shipped_as(folder: Path, questions: int, bare: bool = False) -> Path:
    """The shipped glossary as a teacher with less time would have written it."""
    entries = [
        {
            "slug": e.slug,
            "term": e.term,
            "aliases": [n for n in e.names if n != e.term],
            "related": list(e.related),
            "questions": list(e.questions),
            "text": e.definition if bare else e.text,
        }
        for e in read_glossary(shipped_glossary()).entries
    ]
    place = folder / f"shipped-{questions}{'-bare' if bare else ''}"
    write(place, entries, questions, bare)
    return place


def write(folder: Path, entries: Sequence[Mapping[str, Any]], questions: int, bare: bool) -> None:
    """One Markdown file an entry, named by its slug, else by its term; a bare one has its definition alone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for entry in entries:
        head: Record = {"term": entry["term"]}
        if not bare:
            head |= {"aliases": {"nb": entry.get("aliases", [])}, "related": entry.get("related", [])}
            head |= {"questions": entry["questions"][:questions]}
        text = entry.get("text") or entry["definition"]
        if not bare and entry.get("section"):
            text += f"\n\n## Enkelt sagt\n{entry['section']}"
        front = "".join(f"{k}: {json.dumps(v, ensure_ascii=False)}\n" for k, v in head.items())
        (folder / f"{slug(entry)}.md").write_text(f"---\n{front}---\n{text}\n", encoding="utf-8")


def slug(entry: Mapping[str, Any]) -> str:
    return slugify(str(entry.get("slug") or entry["term"]))


def _subjects(names: Sequence[str]) -> list[list[Record]]:
    """The entries of each subject; a term that an earlier subject has already is left out."""
    rng, groups, seen = random.Random(0), dict[str, list[Record]](), set[str]()
    for name in names:
        for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if slug(entry) not in seen:
                seen.add(slug(entry))
                entry["questions"] = rng.sample([q["q"] for q in entry["questions"]], len(entry["questions"]))
                groups.setdefault(entry["subject"], []).append(entry)
    return list(groups.values())


def _asked(number: int, mine: Sequence[list[Record]], others: Sequence[list[Record]]) -> Iterator[Case]:
    for subject in mine:
        for n, entry in enumerate(subject):
            known = n % LEFT_OUT
            for m, question in enumerate(entry["questions"][QUESTIONS:]):
                id_ = f"practice-{number}-{slug(entry)}-{m}"
                yield Case(id_, "practice" if known else "near", question, frozenset([slug(entry)] if known else []))
    far = [(e, q) for s in others for e in s for q in e["questions"]]
    for m, (_, question) in enumerate(random.Random(number).sample(far, STRANGERS)):
        yield Case(f"practice-{number}-far-{m}", "far", question, frozenset())


def _talked(talks: Sequence[Record]) -> Iterator[Case]:
    for talk in talks:
        slugs = {e["term"]: slug(e) for e in talk["entries"]}
        for n, d in enumerate(talk["dialogues"]):
            said = tuple(Turn(t["role"], t["content"]) for t in d["history"])
            yield Case(f"{talk['subject']}/{n}", "talk", d["question"], frozenset([slugs[d["term"]]]), said)
