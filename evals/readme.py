"""``make docs``: write the parts of README.md that code knows best (help texts, the settings table).

A test fails when they are stale, so the README cannot drift from the program.
"""

from __future__ import annotations

import re
import sys
from dataclasses import MISSING, fields
from pathlib import Path

from tutor.cli import parser
from tutor.settings import Settings

README = Path(__file__).parent.parent / "README.md"


def settings_table() -> str:
    """One row a setting, from the fields of ``Settings``."""
    rows = ["| `tutor.toml` | environment | default | what |", "|---|---|---|---|"]
    for f in fields(Settings):
        default = f.metadata.get("shown", "" if f.default is MISSING else f.default)
        shown = f"`{default}`" if str(default) else "none"
        key = "" if f.name == "home" else f"`{f.name}`"
        rows.append(f"| {key} | `TUTOR_{f.name.upper()}` | {shown} | {f.metadata['doc']} |")
    return "\n".join(rows)


def help_text() -> str:
    """``tutor --help``, as a code block."""
    top = parser()
    top.formatter_class = lambda prog: __import__("argparse").HelpFormatter(prog, width=96)
    return f"```text\n{top.format_help().strip()}\n```"


PARTS = {"settings": settings_table, "help": help_text}


def refreshed(text: str) -> str:
    """``text`` with every generated part written anew between its two comment lines."""
    for name, write in PARTS.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text = re.sub(pattern, lambda m, write=write: f"{m[1]}{write()}\n{m[2]}", text, flags=re.DOTALL)  # type: ignore[misc]
    return text


def main() -> int:
    text = README.read_text(encoding="utf-8")
    README.write_text(refreshed(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
