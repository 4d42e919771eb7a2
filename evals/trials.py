"""What is asked, what was answered, and the two side by side, ready for the metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tutor.types import Answer, Citation, Entry, Timings, Turn
from tutor.verify import sentences

HERE = Path(__file__).parent
NEEDS_ALL = frozenset({"compare", "choose"})
"""Kinds that are about every expected entry; for the others any one of them is right."""
MARKER = re.compile(r"(?:\s+|(?<=\]))\[\d+\]")
"""Not an index such as ``x[0]``, which has no space before it."""
MARKED = re.compile(rf"(?:{MARKER.pattern})+")


@dataclass(frozen=True)
class Case:
    """A question and how its answer is judged.

    ``expect`` is empty when the glossary does not cover the question. Each of ``facts`` is a group of
    patterns that must all occur in the answer; none of ``forbidden`` may.
    """

    id: str
    kind: str
    question: str
    language: str
    expect: tuple[str, ...]
    facts: tuple[tuple[re.Pattern[str], ...], ...] = ()
    forbidden: tuple[re.Pattern[str], ...] = ()
    history: tuple[Turn, ...] = ()
    split: str = "test"


@dataclass(frozen=True)
class Claim:
    """One sentence of an answer, and the citations whose markers stand behind it."""

    text: str
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True)
class Trial:
    """A case with its answer. ``sources``: the entries that the answer may be held against."""

    case: Case
    answer: Answer
    sources: tuple[Entry, ...]
    entries: Mapping[str, Entry]

    @property
    def claims(self) -> list[Claim]:
        """The sentences of the answer; none when it is a refusal."""
        return [] if self.answer.refused else claims_of(self.answer)


def load_cases(path: Path, splits: Path) -> list[Case]:
    """The cases of a JSONL file. Raises ValueError when a pattern does not compile."""
    split = dict(line.split("\t") for line in splits.read_text(encoding="utf-8").splitlines())
    return [_case(json.loads(line), split) for line in path.read_text(encoding="utf-8").splitlines()]


def _case(c: dict[str, Any], split: Mapping[str, str]) -> Case:
    def pattern(text: str) -> re.Pattern[str]:
        try:
            return re.compile(text, re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"{c['id']}: «{text}» is no regular expression: {error}") from error

    return Case(
        c["id"],
        c["kind"],
        c["question"],
        c["language"],
        tuple(c["expect"]),
        tuple(tuple(map(pattern, fact)) for fact in c["facts"]),
        tuple(map(pattern, c["forbidden"])),
        tuple(Turn(t["role"], t["content"]) for t in c.get("history", [])),
        split[c["id"]],
    )


def claims_of(answer: Answer) -> list[Claim]:
    """The sentences of ``answer`` without their markers; a marker belongs to the sentence before it."""
    by_marker = {c.marker: c for c in answer.citations}
    claims: list[Claim] = []
    start = 0
    for match in [*MARKED.finditer(answer.text), None]:
        stretch = answer.text[start : match.start() if match else len(answer.text)]
        *before, last = [s for s in sentences(stretch) if re.search(r"\w", s)] or [""]
        claims += [Claim(s) for s in before]
        if last:
            markers = re.findall(r"\d+", match[0]) if match else []
            claims.append(Claim(last, tuple(by_marker[m] for m in markers if m in by_marker)))
        start = match.end() if match else start
    return claims


def without_markers(text: str) -> str:
    """The text as the rules for facts read it."""
    return MARKER.sub("", text)


@cache
def in_bokmal(text: str) -> str | None:
    """A nynorsk sentence in bokmål, by Apertium; None where that is not installed."""
    import shutil
    import subprocess

    if not shutil.which("apertium"):
        return None
    done = subprocess.run(["apertium", "-u", "nno-nob"], input=text, capture_output=True, encoding="utf-8")
    return done.stdout.strip() if done.returncode == 0 else None


def answer_from(record: Mapping[str, Any]) -> Answer:
    """The answer that ``dataclasses.asdict`` made ``record`` of."""
    kept = dict(record)
    kept["citations"] = tuple(Citation(**c) for c in record["citations"])
    kept["timings"] = Timings(**record["timings"])
    for name in ("suggestions", "withheld"):
        kept[name] = tuple(record[name])
    return Answer(**kept)
