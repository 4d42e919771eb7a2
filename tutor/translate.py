"""Verified sentences of the glossary's language in the form that the student asked in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from tutor import language, prompt
from tutor.nynorsk import Nynorsk, mode_file
from tutor.types import Entry, Turn


class Translator:
    """Renders sentences about one glossary. Whatever cannot be rendered faithfully stays as it was."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries

    def render(self, sentence: str, spoken: str) -> str | None:
        """``sentence`` in ``spoken``, a language code; as it is where it is so already; None when it cannot be."""
        if spoken == "nb" or language.detect(sentence, default=spoken) == spoken:
            return sentence
        return self._nynorsk.translate(sentence) if spoken == "nn" else None

    @cached_property
    def _nynorsk(self) -> Nynorsk:
        return Nynorsk(self.entries)

    def note(self, spoken: str, left: int, shown: int, history: Sequence[Turn]) -> str:
        """Why ``left`` of the ``shown`` sentences are not in ``spoken``; empty if none, or if it was said before."""
        if not left:
            return ""
        none_of_it = not mode_file() if spoken == "nn" else left == shown
        note = prompt.phrase(spoken, "untranslated" if none_of_it else "partly")
        return "" if any(note in turn.content for turn in history) else note
