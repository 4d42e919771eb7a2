"""``make eval-claims``: does the verifier tell supported sentences from unsupported ones?

Labelled pairs of claim and passage in ``cases/claims-*.jsonl``, from subjects that dev and test do
not share. Prints the share judged right by kind of error at both thresholds of ``tutor/verifier.json``: the
strict one, which ``verify.check`` uses, and the one that balances the two kinds of mistake. Milliseconds are
those of ``verify.check`` with the claim's passage and four others, as an answer has them.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tutor import verify
from tutor.types import Passage

CASES = Path(__file__).parent / "cases"
PASSAGES = 5
"""Passages that a sentence is checked against in the timing."""


def claims(split: str) -> list[dict[str, Any]]:
    """The labelled claims of ``dev`` or ``test``."""
    return [json.loads(line) for line in (CASES / f"claims-{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def passage(case: dict[str, Any]) -> Passage:
    """The passage of one labelled claim."""
    return Passage("", "", case["term"], "", case["passage"])


def judged(cases: list[dict[str, Any]], threshold: float) -> dict[str, list[bool]]:
    """For each kind, whether each verdict was right."""
    right: dict[str, list[bool]] = defaultdict(list)
    for c in cases:
        let_through = verify.score(c["claim"], passage(c))[0] >= threshold
        right["supported" if c["supported"] else c["error"]].append(let_through == c["supported"])
    return right


def milliseconds(cases: list[dict[str, Any]]) -> float:
    """Mean time of one check."""
    passages = [passage(c) for c in cases]
    began = time.perf_counter()
    for n, case in enumerate(cases):
        verify.check(case["claim"], [passages[(n + 17 * k) % len(cases)] for k in range(PASSAGES)])
    return (time.perf_counter() - began) * 1000 / len(cases)


def share(values: list[bool]) -> float:
    return sum(values) / len(values)


def main() -> int:
    for split in ("dev", "test"):
        cases = claims(split)
        print(f"{split}: {len(cases)} claims, {milliseconds(cases):.1f} ms a sentence")
        for name, threshold in verify.thresholds().items():
            right = judged(cases, threshold)
            stopped = [v for kind, values in right.items() if kind != "supported" for v in values]
            through = share(right["supported"])
            balanced = (through + share(stopped)) / 2
            print(
                f"  {name}: let through {through:.3f}, stopped {share(stopped):.3f}, balanced accuracy {balanced:.3f}"
            )
            kinds = sorted(right.keys() - {"supported"})
            print("   " + ", ".join(f" {kind} {share(right[kind]):.2f} of {len(right[kind])}" for kind in kinds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
