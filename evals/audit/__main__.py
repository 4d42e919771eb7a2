"""``python -m evals.audit sample`` draws answers for people to label; ``score`` says what they found.

``sample`` takes the end-to-end answers that ``make eval`` wrote down (and gives those that are missing).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from evals.audit.sheet import agreement, drawn, read_labels, report, version_of, write_sheet
from evals.scorecard import AUDIT, REPORT, with_audit

SIZE, SEED = 150, 20261122


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m evals.audit", description=__doc__)
    parser.add_argument("what", choices=["sample", "score"])
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    parser.add_argument("--folder", type=Path, default=AUDIT.parent, help="where the sheet lies")
    options = parser.parse_args()
    if options.what == "sample":
        from evals.fidelity import cases_of, code_version, kept_in, run
        from tutor.settings import load_settings

        settings = load_settings()
        scored = run(cases_of(options.split), settings, kept_in(settings), sample=0, modes=("end to end",))
        trials = drawn([t for s in scored for t in s.trials], SIZE, SEED)
        count = write_sheet(trials, options.folder, code_version())
        print(f"{count} sentences of {len(trials)} answers in {options.folder}/answers.tsv")
        return 0
    try:
        text = report(read_labels(options.folder), version_of(options.folder), agreement(options.folder))
    except (FileNotFoundError, ValueError) as error:
        print(f"{error}. Draw a sheet with «python -m evals.audit sample», and label every line.", file=sys.stderr)
        return 2
    print(text)
    if options.folder == AUDIT.parent:
        AUDIT.write_text(text, encoding="utf-8")
        if REPORT.is_file():
            REPORT.write_text(with_audit(REPORT.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
