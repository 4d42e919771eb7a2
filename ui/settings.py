"""What `tutor serve` can be told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tutor.errors import UsageError

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class WebSettings:
    """Address, who may embed the tutor, and how much one client may ask.

    ``root_path`` is the path a reverse proxy serves the tutor under and strips («/veileder»).
    ``allow_origins`` may embed the widget and call the API from scripts; the own origin always may.
    ``feedback`` is the file that students' thumbs are kept in; None keeps none and asks for none.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    root_path: str = ""
    allow_origins: tuple[str, ...] = ()
    feedback: Path | None = None
    longest_question: int = 500
    longest_history: int = 20
    questions_a_minute: int = 20
    longest_queue: int = 20
    largest_request: int = 256 * 1024

    @classmethod
    def checked(
        cls, host: str, port: int, root_path: str, allow_origins: list[str], feedback: Path | None = None
    ) -> Self:
        """Settings from the command line.

        Raises:
            UsageError: a value cannot be used as written.
        """
        if not 0 < port < 65536:
            raise UsageError(f"--port må være et tall fra 1 til 65535, ikke {port}.")
        if root_path and not re.fullmatch(r"(/[\w.~-]+)+/?", root_path):
            raise UsageError(f"--root-path må se ut som /veileder, ikke «{root_path}».")
        for origin in allow_origins:
            if not ORIGIN.fullmatch(origin.rstrip("/")):
                raise UsageError(f"--allow-origin må se ut som https://skolen.instructure.com, ikke «{origin}».")
        origins = tuple(o.rstrip("/").lower() for o in allow_origins)
        return cls(host=host, port=port, root_path=root_path.rstrip("/"), allow_origins=origins, feedback=feedback)
