"""``make bench``: how fast the tutor is, cold and warm, beside the plain pipeline and the raw decode loop.

Medians and ranges of one run go to ``evals/BENCH.md`` with the machine described. ``--quick`` tries it out:
a few questions of the dev split, and nothing is written.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from evals import speed
from evals.cases import Case, shipped
from evals.plain import Plain
from tutor.llm import physical_cores

REPORT = Path(__file__).parent / "BENCH.md"
PICTURES = Path(__file__).parent / "charts"
REPEATS = 5
QUESTION = "hvorfor hjelper dropout mot overtilpasning?"


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds of one whole process, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, done.stdout


def peak_mb(command: list[str]) -> float:
    """Most memory a process of ``command`` held at once, in MB (resident, mapped weights included)."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    return int(done.stdout) / (1024 if sys.platform != "darwin" else 1024**2)


class Report:
    """What is printed as it comes and written at the end."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, *lines: str) -> None:
        """Add lines."""
        self.lines += lines
        print(*lines, sep="\n", flush=True)

    def row(self, *cells: object) -> None:
        """A line of a table."""
        self.say(f"| {' | '.join(str(c) for c in cells)} |")

    def table(self, *heads: str) -> None:
        """The head of a table."""
        self.say("")
        self.row(*heads)
        self.say("|" + "---|" * len(heads))


def cold(report: Report, repeats: int) -> None:
    """Whole processes, with a warm disk cache."""
    tutor = [sys.executable, "-m", "tutor.cli"]
    report.say("", "## Cold: whole processes")
    report.table("command", "seconds", "peak memory, MB")
    for name, command in (
        ("an empty Python", [sys.executable, "-c", "pass"]),
        ("`tutor --help`", [*tutor, "--help"]),
        ("`tutor search` (all but the language model)", [*tutor, "search", QUESTION]),
        ("`tutor ask`", [*tutor, "ask", QUESTION]),
    ):
        timed(command)
        report.row(name, speed.middle([timed(command)[0] for _ in range(repeats)]), f"{peak_mb(command):.0f}")


def warm(report: Report, quick: bool, home: Path) -> None:
    """One process, loaded once, its states in a folder of their own."""
    from tutor.open import open_retriever, read_ahead
    from tutor.settings import load_settings
    from tutor.tutor import Tutor

    settings = load_settings()
    retriever = open_retriever(settings)
    from tutor.llm import LlamaCppChat, make_llm

    made = make_llm(settings, settings.students)
    assert isinstance(made, LlamaCppChat)
    llm = made.model_copy(update={"states": home})
    began = time.perf_counter()
    llm.load()
    loaded = time.perf_counter() - began
    model = speed.Watched(llm)
    tutor: Any = Tutor(retriever, model)  # type: ignore[arg-type]
    cases = shipped("dev" if quick else "test")
    few = 3 if quick else 12

    def of(kind: str) -> list[Case]:
        return [c for c in cases if c.kind == kind and c.covered][:few]

    if quick:
        for case in of("definition"):
            tutor.ask(case.question)
    else:
        began = time.perf_counter()
        read_ahead(Tutor(retriever, llm))
        speed._until(lambda: llm._engine.idle)
        size = sum(f.stat().st_size for f in home.iterdir()) / 1e6
        report.say(
            "", "## Definitions read ahead", "",
            f"{len(retriever.index.entries)} entries in {time.perf_counter() - began:.0f} s when idle: {size:.0f} MB on"
            " disk. No question waits for it: a student's question interrupts it.",
        )  # fmt: skip
    plain = Plain(retriever, speed.AsItComes(llm))  # type: ignore[arg-type]
    plain.retriever.invoke(QUESTION)
    report.say("", "## Warm: one process", "", f"Loading the model: {loaded:.1f} s. Seconds; median (range).")
    heads = (
        "questions",
        "n",
        "first sentence",
        "plain",
        "times sooner",
        "model's first token",
        "plain",
        "times sooner",
    )
    report.table(*heads, "whole answer", "plain")
    own: list[float] = []
    for kind in ("definition", "comparison", "follow-up"):
        mine, theirs = speed.side_by_side(tutor, model, plain, of(kind))
        own += mine.own
        ratios = [_ratio(theirs.sentence, mine.sentence), _ratio(theirs.token, mine.token)]
        report.row(
            kind, len(mine.token), speed.middle(mine.sentence), speed.middle(theirs.sentence), ratios[0],
            speed.middle(mine.token), speed.middle(theirs.token), ratios[1], speed.middle(mine.whole),
            speed.middle(theirs.whole),
        )  # fmt: skip
    through, raw = speed.decoding(llm, model.prompts[-1][:2], 3 if quick else REPEATS)
    share = 100 * statistics.median(through) / statistics.median(raw)
    report.say(
        "",
        f"Writing: {speed.middle(through)} tokens a second through LangChain, {speed.middle(raw)} in the raw loop: "
        f"{share:.1f} %.",
        f"All but the model takes {100 * statistics.median(own):.1f} % of an answer's time (median).",
    )
    asked = [c for c in cases if c.kind in ("definition", "comparison", "paraphrase") and c.covered]
    report.table("students at once", "tokens a second together", "against one", "first word, seconds")
    throughput: dict[int, float] = {}
    for students in (1, 4) if quick else (1, 2, 4, 8):
        throughput[students], waits = speed.at_once(tutor, asked[: 4 if quick else 16], students)
        ratio = throughput[students] / throughput[1]
        report.row(students, f"{throughput[students]:.1f}", f"{ratio:.2f}", speed.middle(waits))
    texts = [f"{e.term}: {e.definition}" for e in retriever.index.entries if e.definition]
    lengths = speed.by_length(llm, plain.llm, texts[: 3 if quick else 10])  # type: ignore[arg-type]
    number = 5 if quick else 25
    same = speed.same_without(tutor, model, [c for c in shipped("dev") if c.covered][:number])
    report.say("", f"With states and without: the same tokens in {same} of {number} answers.")
    if not quick:
        speed.charts(PICTURES, lengths, throughput)
        report.say("", "![](charts/first-token.svg) ![](charts/students.svg)")


def _ratio(theirs: list[float], mine: list[float]) -> str:
    return f"{statistics.median(theirs) / statistics.median(mine):.1f}" if theirs and mine else "–"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true")
    quick = options.parse_args().quick
    report = Report()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    report.say(
        "# Speed, measured", "",
        f"Written by `make bench` on {platform.machine()}, {physical_cores()} cores, "
        f"{psutil.virtual_memory().total / 1e9:.0f} GB, {platform.system()}, Python {platform.python_version()}; "
        f"the machine's load was {load:.1f} when it began.",
        "What counts are the ratios: both pipelines and the raw loop ran in turn, in one process.",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as home:
        warm(report, quick, Path(home))
    if not quick:
        cold(report, REPEATS)
        REPORT.write_text("\n".join(report.lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
