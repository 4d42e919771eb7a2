"""``make eval-retrieval``: how often the right entry comes first, and how well refusals are judged.

Three glossaries (the shipped one, a second subject, the user's original file) by four retrievers in
one run: ours, word BM25, dense alone, and plain rank fusion of the two. Test split only. Writes
``evals/RETRIEVAL.md`` and two pictures, and fails when a figure falls under its floor.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from evals.cases import HERE, NEEDS_ALL, ORIGINAL, Case, dialogues, second, shipped
from tutor import judge, smalltalk
from tutor.lexical import stems
from tutor.llm import make_llm
from tutor.open import open_retriever
from tutor.retrieve import LEGS, GlossaryRetriever
from tutor.settings import load_settings, shipped_glossary
from tutor.weights import weights

ORIGINAL_FILE = HERE.parent.parent / "shared" / "ordliste-original.txt"
SECOND = HERE / "second" / "databaser"
FLOORS = HERE / "floors.json"
REPORT = HERE / "RETRIEVAL.md"
PICTURES = HERE / "charts"
RESAMPLES = 2000
FUSION_K = 60
"""The constant of reciprocal rank fusion (Cormack et al., 2009)."""

Ranker = Callable[[Case], list[str]]
Interval = tuple[float, float, float]


def interval(values: Sequence[float]) -> Interval:
    """Mean and its 95 % percentile-bootstrap interval (Efron, 1979), in per cent."""
    sample = np.asarray(values, dtype=float) * 100
    rng = np.random.default_rng(0)
    means = sample[rng.integers(0, len(sample), (RESAMPLES, len(sample)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(sample.mean()), float(low), float(high)


def rankers(retriever: GlossaryRetriever) -> dict[str, Ranker]:
    """Each way of ranking the entries, best first, as a function from a case to slugs."""
    slugs = np.array([e.slug for e in retriever.index.entries])

    def by(score: Callable[[str], NDArray[np.float32]]) -> Ranker:
        return lambda case: list(slugs[np.argsort(-score(case.question), kind="stable")])

    def words(question: str) -> NDArray[np.float32]:
        return retriever.index.words.scores(stems(question))

    def dense(question: str) -> NDArray[np.float32]:
        return retriever.evidence(question)[:, LEGS.index("dense")]

    def fusion(question: str) -> NDArray[np.float32]:
        places = [np.argsort(np.argsort(-leg(question), kind="stable")) for leg in (words, dense)]
        return np.asarray(np.sum([1 / (FUSION_K + 1 + p) for p in places], axis=0), dtype=np.float32)

    def ours(case: Case) -> list[str]:
        return [h.passage.entry_id for h in retriever.search(case.question, case.history).hits]

    return {"ours": ours, "BM25": by(words), "dense": by(dense), "rank fusion": by(fusion)}


def first_right(case: Case, ranking: Sequence[str]) -> float:
    """1 when the first entry is a right one."""
    return float(ranking[0] in case.relevant)


def in_top_three(case: Case, ranking: Sequence[str]) -> float:
    """1 when a right entry is among the first three."""
    return float(bool(case.relevant & set(ranking[:3])))


def all_in_top_three(case: Case, ranking: Sequence[str]) -> float:
    """1 when every entry that is needed is among the first three."""
    return float(case.relevant <= set(ranking[:3]))


def judge_coverage(retriever: GlossaryRetriever, llm: Any, cases: Sequence[Case]) -> dict[str, list[Judged]]:
    """What the retriever, and the model's second look, say by case kind; small talk is left out."""
    found: dict[str, list[Judged]] = defaultdict(list)
    for case in cases:
        if case.kind != "smalltalk" and not smalltalk.reply(case.question, "nb", ("",)):
            alone = retriever.search(case.question, case.history)
            best = retriever.entry(alone.hits[0].passage.entry_id)
            answered = judge.covered(llm, alone, retriever.taught, best, case.question, case.history)
            found[case.kind].append(Judged(alone.confidence, alone.covered, answered))
    return found


@dataclass(frozen=True)
class Judged:
    """The retriever's probability that a question is covered, its verdict, and the verdict with the second look."""

    confidence: float
    alone: bool
    together: bool


def original_cases() -> list[Case]:
    """The shipped test cases whose entries the original file also has, with its slugs."""
    rows = [line.split("\t") for line in ORIGINAL.read_text(encoding="utf-8").splitlines()[1:]]
    there: dict[str, set[str]] = defaultdict(set)
    for original, ours, *_ in rows:
        there[ours].add(original)
    cases = []
    for case in shipped("test"):
        if case.covered and all(s in there for s in case.relevant) and case.kind not in NEEDS_ALL:
            relevant = frozenset(o for s in case.relevant for o in there[s])
            cases.append(Case(case.id, case.kind, case.question, relevant, case.history))
        elif case.covered and case.kind in NEEDS_ALL and all(len(there[s]) == 1 for s in case.relevant):
            relevant = frozenset(next(iter(there[s])) for s in case.relevant)
            cases.append(Case(case.id, case.kind, case.question, relevant, case.history))
    return cases


class Report:
    """Lines of Markdown, and the figures that have a floor."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.figures: dict[str, float] = {}

    def say(self, line: str = "") -> None:
        print(line)
        self.lines.append(line)

    def ranking(self, title: str, retriever: GlossaryRetriever, cases: Sequence[Case]) -> None:
        """The table of one glossary: right entry first, by kind and by ranker."""
        covered = [c for c in cases if c.covered]
        ways = rankers(retriever)
        ranked = {name: {c.id: way(c) for c in covered} for name, way in ways.items()}
        self.say(f"\n## {title}: {len(covered)} questions, {len(retriever.index.entries)} entries\n")
        self.say("Right entry first, per cent [95 % interval]\n")
        self.say("| kind | n | " + " | ".join(ways) + " |")
        self.say("|---|---|" + "---|" * len(ways))
        kinds = sorted({c.kind for c in covered})
        for kind in [*kinds, "all"]:
            chosen = [c for c in covered if kind in (c.kind, "all")]
            cells = [_cell([first_right(c, ranked[name][c.id]) for c in chosen]) for name in ways]
            self.say(f"| {kind} | {len(chosen)} | " + " | ".join(cells) + " |")
            self.figures[f"{title}, first, {kind}"] = interval([first_right(c, ranked["ours"][c.id]) for c in chosen])[
                0
            ]
        for name, metric, chosen in (
            ("a right entry in the top three", in_top_three, covered),
            (
                "all needed in the top three (comparison, choice)",
                all_in_top_three,
                [c for c in covered if c.kind in NEEDS_ALL],
            ),
            ("both in the top three (comparison)", all_in_top_three, [c for c in covered if c.kind == "comparison"]),
        ):
            cells = [_cell([metric(c, ranked[way][c.id]) for c in chosen]) for way in ways]
            self.say(f"| *{name}* | {len(chosen)} | " + " | ".join(cells) + " |")
            self.figures[f"{title}, {name}"] = interval([metric(c, ranked["ours"][c.id]) for c in chosen])[0]
        times = []
        for case in covered:
            began = time.perf_counter()
            retriever.search(case.question)
            times.append((time.perf_counter() - began) * 1000)
        self.say(f"\nA query takes {statistics.median(times):.0f} ms at the median (embedding included).")

    def coverage(self, title: str, retriever: GlossaryRetriever, llm: Any, cases: Sequence[Case]) -> None:
        """AUROC, the errors of the retriever alone and with the model's second look, and the reliability plot."""
        found = judge_coverage(retriever, llm, cases)
        right = [j for kind, js in found.items() for j in js if not kind.startswith("uncovered")]
        wrong = [j for kind, js in found.items() for j in js if kind.startswith("uncovered")]
        covered, outside = [j.confidence for j in right], [j.confidence for j in wrong]
        threshold = weights()["threshold"][retriever.taught]
        auroc = roc_auc_score([1] * len(covered) + [0] * len(outside), covered + outside)
        self.say(f"\n### {title}: covered or not\n")
        self.say(
            f"AUROC {auroc:.4f} over {len(covered)} covered and {len(outside)} uncovered; threshold {threshold}.\n"
        )
        self.say("| per cent [95 % interval] | n | retriever alone | with the model's second look |\n|---|---|---|---|")
        rows = {"false refusals": [(not j.alone, not j.together) for j in right]}
        rows["uncovered answered"] = [(j.alone, j.together) for j in wrong]
        for kind in sorted(k for k in found if k.startswith("uncovered")):
            rows[f"{kind} answered"] = [(j.alone, j.together) for j in found[kind]]
        for name, pairs in rows.items():
            alone, together = ([float(pair[n]) for pair in pairs] for n in (0, 1))
            self.say(f"| {name} | {len(pairs)} | {_cell(alone)} | {_cell(together)} |")
            self.figures[f"{title}, {name}"] = interval(together)[0]
        self.figures[f"{title}, AUROC"] = float(auroc)
        _reliability(covered, outside, PICTURES / f"reliability-{title.split()[0].lower()}.png")

    def dialogues(self, retriever: GlossaryRetriever, cases: Sequence[Case]) -> None:
        """Each turn of a conversation: a right entry first, or every entry that is needed among the first three."""
        self.say("\n### shipped: conversations\n")
        self.say("| turn | n | right, per cent [95 % interval] |\n|---|---|---|")
        right: dict[str, list[float]] = defaultdict(list)
        for case in (c for c in cases if c.covered):
            hits = [h.passage.entry_id for h in retriever.search(case.question, case.history).hits]
            metric = all_in_top_three if case.kind in NEEDS_ALL else first_right
            right[case.kind].append(metric(case, hits))
        for kind, values in [*right.items(), ("all", [v for vs in right.values() for v in vs])]:
            self.say(f"| {kind} | {len(values)} | {_cell(values)} |")
            self.figures[f"conversations, {kind}"] = interval(values)[0]

    def small_talk(self, retriever: GlossaryRetriever, cases: Sequence[Case]) -> None:
        """Small talk gets its short answer, and nothing else does."""

        def friendly(case: Case) -> float:
            if smalltalk.reply(case.question, "nb", ("",)):
                return 1.0
            refused = not retriever.search(case.question, case.history).covered
            return float(refused and bool(smalltalk.meant(retriever.intents(case.question), "nb", ("",))))

        answered = [friendly(c) for c in cases if c.kind == "smalltalk"]
        mistaken = [friendly(c) for c in cases if c.covered]
        self.say(f"\nSmall talk answered as such {_cell(answered)}; questions taken for small talk {_cell(mistaken)}.")
        self.figures["small talk answered"] = interval(answered)[0]

    def under_floor(self) -> list[str]:
        """The figures that fell under their committed floor (or over their ceiling)."""
        floors = json.loads(FLOORS.read_text()) if FLOORS.is_file() else {}
        return [
            f"{name}: {self.figures[name]:.2f}, limit {limit}"
            for name, limit in floors.items()
            if (
                self.figures[name] > limit
                if ("answered" in name and "small" not in name) or "refusals" in name
                else self.figures[name] < limit
            )
        ]


def _cell(values: Sequence[float]) -> str:
    mean, low, high = interval(values)
    return f"{mean:.1f} [{low:.0f}–{high:.0f}]"


def _reliability(covered: Sequence[float], outside: Sequence[float], path: Path) -> None:
    """Predicted probability against the share that was covered, in ten bins."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    p = np.array([*covered, *outside])
    y = np.array([1.0] * len(covered) + [0.0] * len(outside))
    bins = np.clip((p * 10).astype(int), 0, 9)
    filled = [b for b in range(10) if (bins == b).any()]
    figure, axes = pyplot.subplots(figsize=(4.5, 4.5))
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.plot([p[bins == b].mean() for b in filled], [y[bins == b].mean() for b in filled], "o-")
    for b in filled:
        axes.annotate(
            str((bins == b).sum()),
            (p[bins == b].mean(), y[bins == b].mean()),
            textcoords="offset points",
            xytext=(6, -10),
        )
    axes.set(
        xlabel="predicted probability of being covered",
        ylabel="share covered",
        title="Reliability (n beside each point)",
    )
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)


def main() -> int:
    report = Report()
    report.say("# Retrieval, measured\n\nWritten by `make eval-retrieval`. Test split; nothing was fitted on it.")
    cases = shipped("test")
    retriever = open_retriever(load_settings(glossary=shipped_glossary()))
    report.ranking("shipped", retriever, cases)
    report.dialogues(retriever, dialogues("test"))
    llm = make_llm(load_settings())
    report.coverage("shipped", retriever, llm, cases)
    report.small_talk(retriever, cases)
    retriever = open_retriever(load_settings(glossary=SECOND))
    report.ranking("second", retriever, second())
    report.coverage("second", retriever, llm, second())
    if ORIGINAL_FILE.is_file():
        retriever = open_retriever(load_settings(glossary=ORIGINAL_FILE))
        report.ranking("original", retriever, original_cases())
    else:
        report.say("\nThe original file is not in this checkout; its table is left out.")
    REPORT.write_text("\n".join(report.lines) + "\n", encoding="utf-8")
    failed = report.under_floor()
    for line in failed:
        print("UNDER THE FLOOR:", line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
