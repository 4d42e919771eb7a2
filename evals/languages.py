"""``make eval-languages``: is the language of a question told, and are sentences rendered in it faithfully?

Questions in ``cases/languages.jsonl``, of course subjects and others, with English terms in Norwegian ones and the
reverse; pairs in ``cases/translations.jsonl``. Both written by hand, split in dev and test.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tutor.language import detect

CASES = Path(__file__).parent / "cases"


def cases(name: str, split: str) -> list[dict[str, Any]]:
    lines = (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [case for case in map(json.loads, lines) if case["split"] == split]


def detected(split: str) -> dict[str, list[bool]]:
    """For each language, whether each of its questions was told right."""
    right: dict[str, list[bool]] = defaultdict(list)
    for case in cases("languages", split):
        right[case["language"]].append(detect(case["question"]) == case["language"])
    return right


def main() -> int:
    for split in ("dev", "test"):
        right = detected(split)
        every = [v for values in right.values() for v in values]
        told = ", ".join(f"{language} {sum(v)}/{len(v)}" for language, v in right.items())
        print(f"{split}: language told for {sum(every)} of {len(every)} ({told})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
