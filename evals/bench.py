"""``make bench``: how fast the tutor is, cold and warm, beside the plain pipeline and the raw decode loop.

Medians and ranges of one run go to ``evals/BENCH.md`` with the machine described. ``--quick`` tries it out:
a few questions of the dev split, and nothing is written.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil

from evals import served, speed
from evals.cases import Case, shipped
from evals.plain import Plain
from tutor.llm import physical_cores

if TYPE_CHECKING:
    from tutor.retrieve import GlossaryRetriever

REPORT = Path(__file__).parent / "BENCH.md"
PICTURES = Path(__file__).parent / "charts"
REPEATS = 5
QUESTION = "hvorfor hjelper dropout mot overtilpasning?"


def peak_mb(command: list[str], env: dict[str, str]) -> float:
    """Most memory a process of ``command`` held at once, in MB (resident, mapped weights included)."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    _, printed = served.timed([sys.executable, "-c", code, *command], env)
    return int(printed) / (1024 if sys.platform != "darwin" else 1024**2)


def machine() -> str:
    """What it is measured on, and how busy that is."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (
        f"{platform.machine()}, {physical_cores()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, "
        f"{platform.system()}, Python {platform.python_version()}; the machine's load was {load:.1f} when it began"
    )


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


def cold(report: Report, repeats: int, env: dict[str, str]) -> None:
    """Whole processes, with a warm disk cache."""
    tutor = served.TUTOR
    report.say("", "## Cold: whole processes")
    report.table("command", "seconds", "peak memory, MB")
    for name, command in (
        ("an empty Python", [sys.executable, "-c", "pass"]),
        ("`tutor --help`", [*tutor, "--help"]),
        ("`tutor search` (all but the language model)", [*tutor, "search", QUESTION]),
        ("`tutor ask`", [*tutor, "ask", QUESTION]),
    ):
        served.timed(command, env)
        seconds = [served.timed(command, env)[0] for _ in range(repeats)]
        report.row(name, speed.middle(seconds), f"{peak_mb(command, env):.0f}")


def warm(report: Report, quick: bool, home: Path) -> None:
    """One process, loaded once, its states in a folder of their own."""
    from tutor.ahead import read_ahead
    from tutor.open import open_retriever
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
    plain = Plain(retriever, speed.alone(partial(speed.AsItComes, llm)))  # type: ignore[arg-type]
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
    loop = {n: speed.together(llm, model.prompts[-1][:2], n) for n in range(1, llm.students + 1)}
    report.say(
        "Several answers in one batch of the raw loop, no prompts to read, tokens a second together: "
        + ", ".join(f"{n}: {pace:.1f} ({pace / loop[1]:.2f} times one)" for n, pace in loop.items())
        + ". This is what batching alone can give.",
    )  # fmt: skip
    asked = [c for c in cases if c.kind in ("definition", "comparison", "paraphrase") and c.covered]
    report.table("students at once", "tokens a second together", "against one", "first word, seconds")
    throughput: dict[int, float] = {}
    for students in (1, 4) if quick else (1, 2, 4, 8):
        throughput[students], waits = speed.at_once(tutor, model, asked[: 4 if quick else 16], students)
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


def lone_and_served(report: Report, quick: bool, env: dict[str, str]) -> None:
    """``tutor ask`` alone and beside a server, and a server with many students, each with a question of their own."""
    kinds = ("definition", "paraphrase", "comparison")
    cases = shipped("dev" if quick else "test")
    asked = list(dict.fromkeys(c.question for c in cases if c.kind in kinds and c.covered))
    random.Random(0).shuffle(asked)
    draw = iter(asked)
    bare = {**env, "TUTOR_STATES_MB": "0"}
    chosen = bare if quick else env  # the quick one has nothing read ahead
    report.say("", "## Served: a real `tutor serve`")
    first_words(report, asked, env, bare, 1 if quick else REPEATS)
    with served.serving(chosen) as server:
        own = served.asks(list(islice(draw, 3 if quick else 10)), chosen)
        report.say(
            "", f"`tutor ask` beside it takes {speed.middle(own)} seconds of its own, over {len(own)} questions: its"
            " whole process less the `total_ms` it tells. Wanted: 0.3 at the median.",
        )  # fmt: skip
        few = 3 if quick else 8
        same = list(islice(draw, few))
        served.crowd(server, same, at_once=False)  # what they read is kept from here on, for both that follow
        one = served.crowd(server, same, at_once=False)
        students(report, one, served.crowd(server, same))
        begun = server.memory_mb()
        many = served.crowd(server, list(islice(draw, 6 if quick else 50)))
        after = served.visit(server.port, QUESTION)
    ended = Counter(f"{v.ended} ({v.why})" if v.why else v.ended for v in many.visits)
    report.say(
        "", f"{len(many.visits)} at once: {', '.join(f'{n} {how}' for how, n in ended.most_common())};"
        f" {many.seconds:.0f} s until the last was done. «Refused»: a 429 or 503 that tells why in Norwegian.",
        f"The server's peak memory: {begun:.0f} MB before, {many.memory_mb:.0f} MB after."
        f" One more question then: {after.ended} in {after.end:.1f} s.",
    )  # fmt: skip


def first_words(report: Report, questions: list[str], env: dict[str, str], bare: dict[str, str], repeats: int) -> None:
    """When a lone ``tutor ask`` begins to answer what the retriever is sure of, and what the model is asked about."""
    from tutor.open import open_retriever
    from tutor.settings import load_settings

    retriever = open_retriever(load_settings())
    doubts = [asks_model_first(retriever, q) for q in questions]
    report.say(
        "", "The first letter of a lone `tutor ask`, and the model loaded in a process of its own: seconds, in turn."
        f" Wanted: the letter at most 1.5 after. The retriever is in doubt, and asks the model whether the glossary"
        f" covers the question, on {sum(doubts)} of {len(doubts)} questions.",
    )  # fmt: skip
    report.table("the retriever", "states on disk", "first letter", "model loaded", "after it")
    for name, doubt in (("is sure", False), ("asks the model first", True)):
        if doubt not in doubts:
            continue
        question = questions[doubts.index(doubt)]
        served.timed([*served.TUTOR, "ask", question], env)  # its states are on disk from here on
        for kept, here in (("yes", env), ("no", bare)):
            found = served.alone(question, here, repeats)
            report.row(name, kept, speed.middle(found.word), speed.middle(found.load), f"{found.after:.2f}")


def asks_model_first(retriever: GlossaryRetriever, question: str) -> bool:
    """Does the tutor ask the model anything before its first word?"""
    from tutor.tutor import Tutor

    asked = []

    def choose(*_: object) -> tuple[float, float]:
        asked.append(question)
        return 0.0, 0.0

    model: Any = SimpleNamespace(name="", stream=lambda _: iter(()), choose=choose)
    next(Tutor(retriever, model).stream(question))
    return bool(asked)


def students(report: Report, one: served.Crowd, all_: served.Crowd) -> None:
    """One student's pace and that of several at once, and how each of those fared."""
    report.table("student, by the end", "sees first", "after, seconds", "first word", "whole answer", "tokens")
    for number, v in enumerate(all_.visits, 1):
        first = f"{v.ahead} ahead" if v.ahead is not None else "a sentence" if v.word else f"{v.ended} {v.why}"
        report.row(number, first, f"{v.first:.2f}", f"{v.word:.1f}", f"{v.end:.1f}", v.tokens)
    report.table(
        "students", "answers a minute", "tokens a second", "answers that tell their tokens", "longest/shortest"
    )
    for name, crowd in (("one after the other", one), ("at once", all_)):
        told = f"{sum(v.tokens > 0 for v in crowd.answered)} of {len(crowd.answered)}"
        paces = f"{crowd.answers_a_minute:.1f}", f"{crowd.tokens_a_second:.1f}"
        report.row(f"{len(crowd.visits)} {name}", *paces, told, f"{crowd.spread:.1f}")
    report.say(
        "", "The same questions, asked once before. At once they get"
        f" {all_.answers_a_minute / one.answers_a_minute:.2f} times the answers a minute. The last column is the wait"
        " for the end of an answer. An answer that is cut at its longest tells no tokens.",
    )  # fmt: skip


def _ratio(theirs: list[float], mine: list[float]) -> str:
    return f"{statistics.median(theirs) / statistics.median(mine):.1f}" if theirs and mine else "–"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true")
    quick = options.parse_args().quick
    report = Report()
    report.say(
        "# Speed, measured", "", f"Written by `make bench` on {machine()}.",
        "What counts are the ratios: both pipelines and the raw loop ran in turn, in one process.",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        env = served.own_home(Path(folder))
        warm(report, quick, Path(folder) / "states")
        if not quick:
            cold(report, REPEATS, env)
        lone_and_served(report, quick, env)
    if not quick:
        REPORT.write_text("\n".join(report.lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
