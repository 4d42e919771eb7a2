"""``make eval-languages``: is the language of a question told, and can anything here tell a faithful translation?

Questions in ``cases/languages.jsonl``, of course subjects and others, with English terms in Norwegian ones and the
reverse; Norwegian–English pairs, right and wrong, in ``cases/translations.jsonl``. All by hand, split in dev and test.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tutor.language import detect
from tutor.lexical import words
from tutor.nynorsk import KEPT

CASES = Path(__file__).parent / "cases"
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
NO = {
    "nb": frozenset(["nei", "ikke", "ingen", "ingenting", "aldri", "uten", "verken"]),
    "en": frozenset(["not", "no", "nothing", "none", "never", "without", "cannot", "neither", "non"]),
}


def cases(name: str, split: str) -> list[dict[str, Any]]:
    lines = (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [case for case in map(json.loads, lines) if case["split"] == split]


def detected(split: str) -> dict[str, list[bool]]:
    """For each language, whether each of its questions was told right."""
    right: dict[str, list[bool]] = defaultdict(list)
    for case in cases("languages", split):
        right[case["language"]].append(detect(case["question"]) == case["language"])
    return right


def kept_facts(norwegian: str, english: str) -> list[str]:
    """What the English does not keep: «formulas» (and code), «numbers», «negations». Empty when it keeps them all."""
    lost = []
    if Counter(KEPT.findall(norwegian)) != Counter(KEPT.findall(english)):
        lost.append("formulas")
    one, other = (KEPT.sub(" ", text) for text in (norwegian, english))
    if Counter(n.replace(",", ".") for n in NUMBER.findall(one)) != Counter(NUMBER.findall(other)):
        lost.append("numbers")
    if sum(w in NO["nb"] for w in words(one)) != sum(w in NO["en"] for w in words(other)):
        lost.append("negations")
    return lost


def chance_of_order(right: list[float], wrong: list[float]) -> float:
    """AUROC: how often a right one scores higher than a wrong one, ties counting half."""
    pairs = [(a > b) + 0.5 * (a == b) for a in right for b in wrong]
    return sum(pairs) / len(pairs)


def similarity_tells(split: str, embedder: Any) -> tuple[float, float, float]:
    """AUROC of the cosine of the two sentences; share of right, and of wrong, pairs that keep their facts."""
    scores: dict[bool, list[float]] = {True: [], False: []}
    kept: dict[bool, list[bool]] = {True: [], False: []}
    for case in cases("translations", split):
        one, other = (embedder.embed_query(case[language]) for language in ("norwegian", "english"))
        scores[case["right"]].append(sum(a * b for a, b in zip(one, other, strict=True)))
        kept[case["right"]].append(not kept_facts(case["norwegian"], case["english"]))
    auroc = chance_of_order(scores[True], scores[False])
    return auroc, sum(kept[True]) / len(kept[True]), sum(kept[False]) / len(kept[False])


def main() -> int:
    from tutor.embed import make_embedder
    from tutor.settings import load_settings

    embedder = make_embedder(load_settings())
    for split in ("dev", "test"):
        right = detected(split)
        every = [v for values in right.values() for v in values]
        told = ", ".join(f"{language} {sum(v)}/{len(v)}" for language, v in right.items())
        print(f"{split}: language told for {sum(every)} of {len(every)} ({told})")
        auroc, kept, slipped = similarity_tells(split, embedder)
        print(f"  translations: similarity tells right from wrong with AUROC {auroc:.2f} (0.50 is chance);")
        print(f"  numbers, formulas and negations let {kept:.0%} of the right through, and {slipped:.0%} of the wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
