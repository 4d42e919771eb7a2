"""Bokmål, nynorsk or English? And in which of them is the answer wanted?

Everyday words decide: course terms are English in every one of the three, so letter statistics and trained
identifiers mistake «hva er weight decay» for English. The words are data, in ``prompts/languages.toml``;
``evals/languages.py`` measures how well they do.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from tutor.lexical import words

FUNCTION_WORDS = {
    "nb": "i hva hvordan hvorfor hvilken hvilke hvem hvor jeg ikke noe noen en et det er og som på å av til med for "
    "i forskjellen mellom mellem skjer brukes gjør blir kan man den de dette hvis når bør sier mer hei takk deg meg",
    "nn": "i kva korleis kvifor kven kvar kor eg ikkje noko nokon ein ei eit det er og som på å av til med for skilnaden "
    "mellom skjer skil brukar brukast gjer vert blir kan ein den dei dette viss når bør seier meir frå hei takk deg meg òg",
    "en": "what how why which who where i not some a an it is are and as on to of with for the difference between "
    "happens use used does do becomes can one this if when should my you me hi thanks hello explain tell",
}
STOPWORDS = frozenset(" ".join(FUNCTION_WORDS.values()).split())
"""Words that say nothing of the subject. The weights of retrieval were fitted with just these."""
NO_PROSE = re.compile(r"\$\$.+?\$\$|\$[^$]+\$|`[^`]+`|\w+(?:-\w+)+", re.DOTALL)
"""Formulas, code, and compounds such as «one-hot-vektor»."""
FORMS = ("nn", "nb", "en")
DATA = Path(__file__).parent / "prompts" / "languages.toml"


def detect(text: str, default: str = "nb") -> str:
    """``nb``, ``nn`` or ``en``; ``default`` where nothing speaks for one of them."""
    tokens = words(NO_PROSE.sub(" ", text))
    scores = {
        language: sum(t in known or (len(t) > 5 and bool(ending.search(t))) for t in tokens)
        for language, (known, ending) in _vocabulary().items()
    }
    best = max(scores.values())
    if best == 0:
        return default
    return next(language for language in (default, "nb", "nn", "en") if scores[language] == best)


def asked_for(question: str) -> str | None:
    """The form that ``question`` asks its answer in («svar på nynorsk: hva er dropout?»), or None."""
    asked = _data()["asked"]
    patterns = {code: rf"{asked['verbs']}{asked[code]}\b" for code in FORMS}
    said = next((code for code in FORMS if re.search(patterns[code], question.lower())), None)
    return only_asks_for(question) or said


def only_asks_for(question: str) -> str | None:
    """The same where ``question`` holds nothing else («på nynorsk, takk»): then the last answer is wanted again."""
    asked, text = _data()["asked"], question.lower()
    code = next((code for code in FORMS if re.search(rf"\b{asked[code]}\b", text)), None)
    rest = words(re.sub(asked[code], " ", text)) if code else []
    return code if set(rest) <= set(asked["around"].split()) else None


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(DATA.read_text(encoding="utf-8"))


@cache
def _vocabulary() -> dict[str, tuple[frozenset[str], re.Pattern[str]]]:
    """The known words of each language, and the endings that speak for it."""
    lists = _data()["words"]
    never = "(?!)"
    return {
        language: (
            frozenset(f"{FUNCTION_WORDS[language]} {lists[language]} {shared}".split()),
            re.compile(lists.get(f"{language}_ending", never)),
        )
        for language, shared in (("nb", lists["norwegian"]), ("nn", lists["norwegian"]), ("en", ""))
    }
