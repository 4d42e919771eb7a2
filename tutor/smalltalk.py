"""Greetings, thanks and «hvem er du?» get a short friendly answer, not a refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tutor import prompt
from tutor.lexical import words

FILLER = frozenset(
    "så mye tusen skal du ha meg deg for det dere alle sammen der på så veldig very much so you there hjelpa hjelpen "
    "svaret the help a lot all dykk masse da nå no idag i dag kjære tutor bot robot veileder ja ok flott bra fint supert "
    "mykje og and en ein mvh vennlig hilsen".split()
)
PATTERNS = (
    (
        "who",
        r"\b(hvem|kven|who) (er|are) (du|you|dette|this)\b|\b(hva|kva) (heter|heiter|er) du\b|\bwhat('s| is) your name\b"
        r"|\b(hva|kva) kan du( gjøre| gjere| hjelpe meg med| svare på)?( for noe)?\W*$|\bwhat can you do\b"
        r"|\ber du (en |ein |et |eit )?(ki|ai|robot|bot|menneske|chatbot|chatgpt)\b|\bare you (an? )?(ai|bot|human|robot)\b",
    ),
)
WORDS = {
    "thanks": frozenset("takk tusentakk takker takkar thanks thank thx ty".split()),
    "bye": frozenset("hade hadet farvel bye goodbye snakkes snakkast adjø".split()),
    "hello": frozenset("hei heia hallo halla hello hi hey heisann hoi god morgen dag kveld good morning evening morn".split()),
}


def reply(question: str, language: str, starters: Sequence[str]) -> str | None:
    """The friendly answer, or None when ``question`` is about something."""
    for name, pattern in PATTERNS:
        if re.search(pattern, question.lower()):
            return prompt.phrase(language, name)
    tokens = words(question)
    if re.fullmatch(r"\W*ha (det|de)( bra| fint)?\W*", question.lower()):
        return prompt.phrase(language, "bye")
    if re.fullmatch(r"\W*((hei|hallo|hi|hello)\W+)?(hvordan går det|korleis går det|how are you|går det bra)( med deg)?( i dag)?\W*", question.lower()):
        return prompt.phrase(language, "hello", terms=prompt.listed(language, starters))
    for name, known in WORDS.items():
        if any(t in known for t in tokens) and all(t in known or t in FILLER for t in tokens):
            return prompt.phrase(language, name, terms=prompt.listed(language, starters))
    return None
