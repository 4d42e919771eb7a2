"""``make bench``: what a cold command costs, in whole processes on a machine that is set up.

``tutor search`` is everything that ``tutor ask`` does except loading the language model and
generating, so its time is the program's own. Each command runs ``REPEATS`` times after a warm-up;
medians and ranges go to ``evals/BENCH.md`` with the machine described.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tutor.llm import physical_cores

REPORT = Path(__file__).parent / "BENCH.md"
REPEATS = 5
QUESTION = "hvorfor hjelper dropout mot overtilpasning?"
EMPTY = [sys.executable, "-c", "pass"]


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


def row(name: str, command: list[str]) -> tuple[str, float]:
    """A line of the table, and the median."""
    timed(command)
    seconds = [timed(command)[0] for _ in range(REPEATS)]
    median = statistics.median(seconds)
    spread = f"{min(seconds):.2f}–{max(seconds):.2f}"
    return f"| {name} | {median:.2f} | {spread} | {peak_mb(command):.0f} |", median


def main() -> int:
    tutor = [sys.executable, "-m", "tutor.cli"]
    lines = [
        "# Cold commands, measured",
        "",
        f"Written by `make bench` on {platform.machine()}, {physical_cores()} cores, {platform.system()},",
        f"Python {platform.python_version()}. Whole processes, warm disk cache; median of {REPEATS} after a warm-up.",
        "",
        "| command | seconds | range | peak memory, MB |",
        "|---|---|---|---|",
    ]
    for name, command in (
        ("an empty Python", EMPTY),
        ("`tutor --help`", [*tutor, "--help"]),
        ("`tutor search` (all but the language model)", [*tutor, "search", QUESTION]),
        ("`tutor ask`", [*tutor, "ask", QUESTION]),
    ):
        line, _ = row(name, command)
        lines.append(line)
        print(line)
    _, printed = timed([*tutor, "ask", "--json", QUESTION])
    timings = json.loads(printed)["timings"]
    lines += ["", f"The `timings` of that answer: `{json.dumps(timings)}`."]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
