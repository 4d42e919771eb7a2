"""Greetings, thanks and «hvem er du?» get a short friendly answer, not a refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tutor import prompt
from tutor.lexical import words

FILLER = frozenset(
    [
        "så",
        "mye",
        "mykje",
        "tusen",
        "skal",
        "du",
        "ha",
        "hadde",
        "meg",
        "deg",
        "jeg",
        "eg",
        "for",
        "det",
        "den",
        "dette",
        "dere",
        "alle",
        "sammen",
        "der",
        "på",
        "i",
        "til",
        "var",
        "er",
        "veldig",
        "very",
        "much",
        "much",
        "so",
        "you",
        "there",
        "hjalp",
        "hjelpa",
        "hjelpen",
        "hjelpe",
        "masse",
        "svaret",
        "the",
        "help",
        "a",
        "lot",
        "all",
        "dykk",
        "da",
        "nå",
        "no",
        "idag",
        "dag",
        "kveld",
        "morgen",
        "morning",
        "natt",
        "kjære",
        "tutor",
        "bot",
        "robot",
        "veileder",
        "ja",
        "nei",
        "and",
        "og",
        "en",
        "ein",
        "et",
        "mvh",
        "vennlig",
        "hilsen",
        "skrev",
        "skreiv",
        "feil",
        "mente",
        "mer",
        "that",
        "was",
        "it",
    ]
)
WORDS = {
    "thanks": frozenset(["takk", "tusentakk", "takker", "takkar", "thanks", "thank", "thx", "ty"]),
    "bye": frozenset(["hade", "hadet", "farvel", "bye", "goodbye", "snakkes", "snakkast", "adjø", "natt", "night"]),
    "hello": frozenset(
        ["hei", "heia", "hallo", "halla", "hello", "hi", "hey", "heisann", "hoi", "morn", "god", "good"]
    ),
    "okay": frozenset(
        [
            "ok",
            "okei",
            "okay",
            "oki",
            "greit",
            "skjønner",
            "skjønar",
            "forstår",
            "forstod",
            "flott",
            "supert",
            "fint",
            "bra",
            "kult",
            "perfekt",
            "topp",
            "nydelig",
            "haha",
            "hehe",
            "lol",
            "god",
            "cool",
            "great",
            "nice",
            "perfect",
            "beklager",
            "orsak",
            "unnskyld",
            "sorry",
        ]
    ),
}
PATTERNS = {
    "who": r"\b(hvem|kven|who) (er|are) (du|you|dette|this)\b|\b(hva|kva) (heter|heiter|er) du\b|\bwhat('s| is) your name\b"
    r"|\b(hva|kva) kan du( gjøre| gjere| hjelpe meg med| svare på)?( for noe)?\W*$|\bwhat can you do\b"
    r"|\ber du (en |ein |et |eit )?(ki|ai|robot|bot|menneske|chatbot|chatgpt)\b|\bare you (an? )?(ai|bot|human|robot)\b",
    "bye": r"^\W*ha (det|de)( bra| fint)?\W*$",
    "hello": r"^\W*((hei|hallo|hi|hello)\W+)?(hvordan går det|korleis går det|how are you|går det bra|er du der)"
    r"( med deg)?( i dag)?\W*$",
}


INTENTS = {
    "greeting": "hello",
    "how-are-you": "hello",
    "thanks": "thanks",
    "praise": "thanks",
    "goodbye": "bye",
    "who-are-you": "who",
    "what-can-you-do": "can",
    "complaint": "sorry",
}
"""What answers which intent (``tutor/intents.py``)."""
SURE = 0.5


def meant(intents: Mapping[str, float], language: str, starters: Sequence[str]) -> str | None:
    """The friendly answer to what no entry answers, when it is probably small talk; None otherwise."""
    small = {name: p for name, p in intents.items() if name in INTENTS}
    if sum(small.values()) < SURE:
        return None
    kind = INTENTS[max(small, key=small.__getitem__)]
    return prompt.phrase(language, kind, terms=prompt.listed(language, starters))


def reply(question: str, language: str, starters: Sequence[str]) -> str | None:
    """The friendly answer, or None when ``question`` is about something."""
    kind = _kind(question)
    return kind and prompt.phrase(language, kind, terms=prompt.listed(language, starters))


def _kind(question: str) -> str | None:
    for kind, pattern in PATTERNS.items():
        if re.search(pattern, question.lower()):
            return kind
    tokens = words(question)
    polite = frozenset().union(*WORDS.values())
    if not all(t in polite or t in FILLER for t in tokens):
        return None
    return next((kind for kind, known in WORDS.items() if any(t in known for t in tokens)), None)
