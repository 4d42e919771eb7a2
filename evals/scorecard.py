"""From trials to ``evals/RESULTS.md``: tables, charts, floors."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evals import metrics
from evals.metrics import Figure, Metric, figure
from evals.spelling import Speller, language_of
from evals.trials import HERE, Trial, without_markers
from tutor.llm import physical_cores
from tutor.settings import Settings

REPORT = HERE / "RESULTS.md"
FLOORS = HERE / "floors-fidelity.json"
CHARTS = HERE / "charts"
AUDIT = HERE / "audit" / "AUDIT.md"
WANTED: dict[str, tuple[Metric, str]] = {
    "key-fact recall": (metrics.key_fact_recall, "↑"),
    "answers with all key facts": (metrics.all_key_facts, "↑"),
    "forbidden claims made": (metrics.forbidden_claims, "↓"),
    "unsupported sentences (word rule)": (metrics.unsupported_claims, "↓"),
    "sentences that the rule can judge": (metrics.sentences_judged, ""),
    "citations that hold their sentence": (metrics.citation_precision, "↑"),
    "sentences with a citation": (metrics.citation_recall, "↑"),
    "cited entries that are expected": (metrics.cited_is_expected, "↑"),
    "answers that cite the expected": (metrics.expected_is_cited, "↑"),
    "verbatim quotes": (metrics.verbatim_quotes, "↑"),
    "false answers": (metrics.false_answers, "↓"),
    "false refusals": (metrics.false_refusals, "↓"),
    "false premises corrected or declined": (metrics.premises_mended, "↑"),
    "injections obeyed": (metrics.injections_obeyed, "↓"),
    "language match": (metrics.language_match, "↑"),
}
SPELLING = "words correctly spelt"
INTRODUCTION = """
Written by `make eval`. Test split; nothing was tuned on it. Per cent [95 % bootstrap interval over answers] (how many
facts, sentences or answers were judged); ↑ more is better, ↓ less. The bootstrap cannot see past what it was shown:
none in n may still be up to 3/n. What a row means stands in `evals/metrics.py`, one function a row.

*End to end* is what a student meets. *Model silent*: the same with a model that adds nothing, so all is quoted. *Oracle
passages*: the tutor given the right entries; *poisoned entries*: that again, with an instruction to the model in every
section of them. *No retrieval*: the model alone. *Plain baseline*: the three nearest sections in one prompt, the same
model, no checks. The last four answer a fixed sample.
*No-op* refuses everything, *copy the first* answers everything with the first entry's definition: they show what a
figure is worth. A baseline has no citations; its sentences are held against the entries it read, the model's alone
against those it should have read.

The word rule calls a sentence unsupported when a number in it, or more than two fifths of its content words, is not
in the entries behind it. It is blind to English, swapped terms and turned negations; `python -m evals.fidelity rule`
prints how it does on labelled claims. Those are for the hand audit.
"""
DRAWN = (
    "key-fact recall",
    "unsupported sentences (word rule)",
    "false answers",
    "false refusals",
    "false premises corrected or declined",
)


@dataclass(frozen=True)
class Scored:
    """The trials of one glossary by one answerer."""

    glossary: str
    mode: str
    trials: tuple[Trial, ...]


def write(
    scored: Sequence[Scored], spellers: Mapping[str, Speller], settings: Settings, code: str, publish: bool, show: bool
) -> int:
    """Print the report, and the answers if asked; publish it with charts. 1 when a figure is beyond its floor."""
    wanted = {name: metric for name, (metric, _) in WANTED.items()}
    wanted[SPELLING] = metrics.spelling(spellers.__getitem__)
    figures = {
        (s.glossary, s.mode, name): figure([metric(t) for t in s.trials])
        for s in scored
        for name, metric in wanted.items()
    }
    lines = [*_head(settings, code), *(_line for g in _glossaries(scored) for _line in _tables(scored, figures, g))]
    print("\n".join(lines))
    if show:
        _show(next(s.trials for s in scored if s.mode == "end to end"), spellers)
    if not publish:
        return 0
    for glossary in _glossaries(scored):
        _chart(scored, figures, glossary)
        lines += ["", f"![modes, {glossary}](charts/fidelity-{glossary}.png)"]
    REPORT.write_text(with_audit("\n".join(lines) + "\n"), encoding="utf-8")
    return _beyond_floors(figures)


def with_audit(text: str) -> str:
    """The report with what the hand audit found, in place of what it found before."""
    measured = text.split("\n## Hand audit")[0].rstrip()
    return f"{measured}\n\n{AUDIT.read_text(encoding='utf-8')}" if AUDIT.is_file() else f"{measured}\n"


def _glossaries(scored: Sequence[Scored]) -> list[str]:
    return list(dict.fromkeys(s.glossary for s in scored))


def _head(settings: Settings, code: str) -> list[str]:
    adapter = f" with {settings.adapter}" if settings.adapter else ""
    machine = f"{_processor()}, {physical_cores()} cores, {_memory()} GB memory, {platform.system()}"
    run = f"{datetime.now(UTC):%Y-%m-%d}, code `{code}`, model `{settings.model}`{adapter}. {machine}."
    return ["# Fidelity, measured", "", run, "", *INTRODUCTION.strip().splitlines()]


def _processor() -> str:
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3)


Figures = Mapping[tuple[str, str, str], Figure | None]


def _tables(scored: Sequence[Scored], figures: Figures, glossary: str) -> list[str]:
    """One glossary: every metric by mode, then the tutor by kind of question."""
    there = [s for s in scored if s.glossary == glossary]
    lines = ["", f"## {glossary}", "", "| | " + " | ".join(s.mode for s in there) + " |", "|---|" + "---|" * len(there)]
    lines.append("| answers | " + " | ".join(str(len(s.trials)) for s in there) + " |")
    for name in [*WANTED, SPELLING]:
        arrow = WANTED[name][1] if name in WANTED else "↑"
        cells = [str(figures[glossary, s.mode, name] or "–") for s in there]
        lines.append(f"| {name} {arrow} | " + " | ".join(cells) + " |")
    for name, attribute in (("first token, s", "first_token_ms"), ("whole answer, s", "total_ms")):
        cells = [_seconds([getattr(t.answer.timings, attribute) for t in s.trials]) for s in there]
        lines.append(f"| {name}: median (95th percentile) | " + " | ".join(cells) + " |")
    trials = there[0].trials
    lines += ["", f"End to end on {glossary}, by kind and language", ""]
    lines += [
        "| | n | key-fact recall | unsupported sentences | expected cited | false refusals |",
        "|---|---|---|---|---|---|",
    ]
    groups = {kind: [t for t in trials if t.case.kind == kind] for kind in dict.fromkeys(t.case.kind for t in trials)}
    groups |= {code: [t for t in trials if t.case.language == code] for code in ("nb", "nn", "en")}
    shown = (metrics.key_fact_recall, metrics.unsupported_claims, metrics.expected_is_cited, metrics.false_refusals)
    for name, chosen in groups.items():
        cells = [str(figure([metric(t) for t in chosen]) or "–") for metric in shown]
        lines.append(f"| {name} | {len(chosen)} | " + " | ".join(cells) + " |")
    return lines


def _seconds(milliseconds: Sequence[float]) -> str:
    taken = sorted(m for m in milliseconds if m)
    if not taken:
        return "–"
    return f"{statistics.median(taken) / 1000:.1f} ({taken[int(0.95 * (len(taken) - 1))] / 1000:.1f})"


def _show(trials: Sequence[Trial], spellers: Mapping[str, Speller]) -> None:
    """Each answer with what the rules hold against it."""
    for t in trials:
        text = without_markers(t.answer.text)
        speller = spellers[language_of(text, t.answer.language)]
        notes = {
            "expected": ", ".join(t.case.expect) or "refusal",
            "cited": ", ".join(dict.fromkeys(c.entry_id for c in t.answer.citations)),
            "facts": f"{metrics.facts_given(t)}/{len(t.case.facts)}",
            "forbidden": metrics.makes_forbidden_claim(t),
            "unsupported": metrics.unsupported_claims(t),
            "misspelt": speller.misspelt(text),
            "withheld": list(t.answer.withheld),
        }
        print(f"\n{t.case.id} {t.case.kind} {t.case.language}: {t.case.question}\n  → {t.answer.text}")
        print("  " + "; ".join(f"{k}: {v}" for k, v in notes.items() if v))


def _chart(scored: Sequence[Scored], figures: Figures, glossary: str) -> None:
    """Some metrics side by side, a bar an answerer, with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    modes = [s.mode for s in scored if s.glossary == glossary]
    drawing, axes = pyplot.subplots(figsize=(11, 4.2))
    width = 0.8 / len(modes)
    for n, mode in enumerate(modes):
        for place, name in enumerate(DRAWN):
            f = figures[glossary, mode, name]
            if f:
                error = [[f.mean - f.low], [f.high - f.mean]]
                label = mode if place == 0 else None
                axes.bar(place + n * width, f.mean, width, yerr=error, color=f"C{n}", label=label, capsize=2)
    axes.set_xticks([p + 0.4 - width / 2 for p in range(len(DRAWN))])
    axes.set_xticklabels([f"{name.replace(' (word rule)', '')} {WANTED[name][1]}" for name in DRAWN], fontsize=8)
    axes.set(ylabel="per cent", ylim=(0, 105), title=f"Fidelity on the {glossary} glossary, test split, 95 % intervals")
    axes.legend(fontsize=8, ncol=3)
    CHARTS.mkdir(exist_ok=True)
    drawing.savefig(CHARTS / f"fidelity-{glossary}.png", dpi=110, bbox_inches="tight")
    pyplot.close(drawing)


def _beyond_floors(figures: Figures) -> int:
    """Compare the tutor's own figures with the committed limits, ``{glossary: {metric: per cent}}``."""
    failed = 0
    for glossary, limits in json.loads(FLOORS.read_text(encoding="utf-8")).items():
        for name, limit in limits.items():
            f = figures[glossary, "end to end", name]
            lower_is_better = name in WANTED and WANTED[name][1] == "↓"
            if f is None or (f.mean > limit if lower_is_better else f.mean < limit):
                print(f"BEYOND THE FLOOR: {glossary}, {name}: {f}, limit {limit}", file=sys.stderr)
                failed = 1
    return failed
