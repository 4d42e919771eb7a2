"""``make eval-claims``: does the verifier tell supported sentences from unsupported ones?

Labelled pairs of claim and passage in ``cases/claims-*.jsonl``, from subjects that dev and test do
not share. Prints the share judged right by kind of error, and milliseconds a sentence.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path

from tutor.types import Passage
from tutor.verify import check

CASES = Path(__file__).parent / "cases"


def judged(split: str) -> tuple[dict[str, list[bool]], float]:
    """For each kind, whether each verdict was right; and milliseconds a claim."""
    right: dict[str, list[bool]] = defaultdict(list)
    lines = (CASES / f"claims-{split}.jsonl").read_text(encoding="utf-8").splitlines()
    began = time.perf_counter()
    for line in lines:
        c = json.loads(line)
        verdict = check(c["claim"], [Passage("", "", c["term"], "", c["passage"])])
        right["supported" if c["supported"] else c["error"]].append(verdict.supported == c["supported"])
    return right, (time.perf_counter() - began) * 1000 / len(lines)


def share(values: list[bool]) -> float:
    return sum(values) / len(values)


def main() -> int:
    for split in ("dev", "test"):
        right, milliseconds = judged(split)
        stopped = [v for kind, values in right.items() if kind != "supported" for v in values]
        balanced = (share(right["supported"]) + share(stopped)) / 2
        print(f"{split}: balanced accuracy {balanced:.3f}, {milliseconds:.1f} ms a sentence")
        print(f"  supported let through {share(right['supported']):.3f}, unsupported stopped {share(stopped):.3f}")
        for kind in sorted(right.keys() - {"supported"}):
            print(f"  {kind:10} stopped {share(right[kind]):.3f} of {len(right[kind])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
