"""The README says what the program says."""

from __future__ import annotations

from pathlib import Path

from evals.readme import README, refreshed

ROOT = Path(README).parent


def test_the_generated_parts_are_fresh() -> None:
    text = README.read_text(encoding="utf-8")
    assert refreshed(text) == text, "Run: make docs"


def test_every_file_it_names_exists() -> None:
    text = README.read_text(encoding="utf-8")
    named = {part for part in text.split("`") if part.startswith(("tutor/", "evals/", "corpus/", "ui/", "docs/"))}
    assert named
    assert not [name for name in named if "*" not in name and " " not in name and not (ROOT / name).exists()]
