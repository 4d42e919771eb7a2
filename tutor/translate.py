"""Verified sentences of the glossary's language in the form that the student asked in.

Nynorsk is Apertium's. English is the glossary's own: ``english.tsv`` beside its entries, a Norwegian sentence, a tab
and the same in English on each line. The small model that ships translates every other sentence wrongly, and nothing
that runs here can tell which (``evals/LOG.md``), so it is not asked to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from tutor import language, prompt
from tutor.glossary.files import read_text
from tutor.nynorsk import Nynorsk, mode_file
from tutor.types import Entry, Turn

ENGLISH = "english.tsv"


def read_english(glossary: Path) -> dict[str, str]:
    """English by Norwegian sentence, from the glossary's folder; empty where there is no such file.

    Raises:
        GlossaryError: the file is no text.
    """
    path = glossary / ENGLISH
    if not path.is_file():
        return {}
    pairs = (line.split("\t") for line in read_text(path).splitlines())
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


class Translator:
    """Renders sentences about one glossary. Whatever cannot be rendered faithfully stays as it was."""

    def __init__(self, entries: Sequence[Entry], english: Mapping[str, str]) -> None:
        self.entries, self.english = entries, english

    def render(self, sentence: str, spoken: str) -> str | None:
        """``sentence`` in ``spoken``, a language code; as it is where it is so already; None when it cannot be."""
        if spoken == "nb" or language.detect(sentence, default="nb") == spoken:
            return sentence
        return self._nynorsk.translate(sentence) if spoken == "nn" else self.english.get(sentence)

    @cached_property
    def _nynorsk(self) -> Nynorsk:
        return Nynorsk(self.entries)

    def note(self, spoken: str, left: int, shown: int, more: bool, history: Sequence[Turn]) -> str:
        """Why ``left`` of the ``shown`` sentences are not in ``spoken``, or that the glossary has ``more`` that is not.

        Empty where neither is so, and when the conversation has said it.
        """
        if not left and not more:
            return ""
        none_of_it = not mode_file() if spoken == "nn" else left == shown
        note = prompt.phrase(spoken, "untranslated" if none_of_it else "partly" if left else "more")
        return "" if any(note in turn.content for turn in history) else note
