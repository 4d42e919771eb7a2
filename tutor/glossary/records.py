"""Fields with names (a table's row, a YAML object, front matter) made into a draft."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tutor.glossary.merge import Draft
from tutor.glossary.names import DEFAULT_LANGUAGE, name_key, slugify
from tutor.types import DEFINITION, Oddity


class Fields(list[tuple[str, object]]):
    """An object's keys and values in the order of the source; a key may stand twice.

    A value is text, a list of values or ``Fields``. ``lines`` holds each key's line, counted from 1.
    """

    def __init__(self, pairs: Iterable[tuple[str, object]] = (), lines: Iterable[int] = ()) -> None:
        super().__init__(pairs)
        self.lines = list(lines) or [1] * len(self)

    @property
    def line(self) -> int:
        """The line where the object begins."""
        return self.lines[0] if self.lines else 1


_FIELDS = {
    "term": "term begrep ord oppslag oppslagsord uttrykk faguttrykk fagterm headword word concept",
    "definition": "definition definisjon forklaring tekst innhold betydning beskrivelse description meaning",
    "aliases": "aliases alias synonymer synonym synonyms",
    "questions": "questions question spørsmål spørsmal",
    "part_of": "part_of partof parent overbegrep del_av",
    "related": "related relatert relaterte beslektet se_også sjå_også see_also",
    "slug": "slug",
    "sections": "sections deler",
    "nb": "nb bokmål",
    "nn": "nn nynorsk",
    "en": "en engelsk english",
    "ignored": "nr nummer no number id #",
}
_FIELD_OF = {name_key(name): field for field, names in _FIELDS.items() for name in names.split()}
_LANGUAGES = {
    "nb": "nb",
    "bokmål": "nb",
    "no": "nb",
    "norsk": "nb",
    "nn": "nn",
    "nynorsk": "nn",
    "en": "en",
    "engelsk": "en",
}


def field_of(name: str) -> str | None:
    """The field that a column or key stands for, or None for one of the teacher's own."""
    return _FIELD_OF.get(name_key(name))


def draft_of(fields: Fields, *, file: str = "", source: str = "", strict: bool = False) -> tuple[Draft, list[Oddity]]:
    """A draft and what looked wrong. The draft's ``term`` is empty when the fields name none.

    Keys that are not known become sections, or with ``strict`` oddities.
    """
    draft = Draft("", fields.line, file=file, source=source)
    oddities: list[Oddity] = []
    for (key, value), line in zip(fields, fields.lines, strict=True):
        field = field_of(key)
        if field is None and strict:
            oddities.append(Oddity(line, f"ukjent felt «{key}»; det er ikke tatt med", file))
        elif isinstance(value, Fields) and field not in ("aliases", "sections", None):
            oddities.append(Oddity(line, f"feltet «{key}» skal være tekst eller en liste; det er ikke tatt med", file))
        else:
            _set(draft, field, key, value)
    if draft.slug:
        draft.slug = slugify(draft.slug)
    return draft, oddities


def _set(draft: Draft, field: str | None, key: str, value: object) -> None:
    if field == "term":
        draft.term = draft.term or " ".join(text_of(value).split())
    elif field == "definition":
        draft.sections.append((DEFINITION, text_of(value)))
    elif field == "aliases":
        groups = value if isinstance(value, Fields) else [(DEFAULT_LANGUAGE, value)]
        for language, names in groups:
            _add_names(draft, _LANGUAGES.get(name_key(language), language), names)
    elif field in ("nb", "nn", "en"):
        _add_names(draft, field, value)
    elif field == "questions":
        draft.questions += _split(value, r"[;|\n]+|(?<=\?)\s+")
    elif field == "related":
        draft.related += _names(value)
    elif field in ("part_of", "slug"):
        setattr(draft, field, text_of(value))
    elif field != "ignored":
        parts = value if isinstance(value, Fields) else [(key, value)]
        draft.sections += [(" ".join(title.split()) or key, text_of(part)) for title, part in parts]


def text_of(value: object) -> str:
    """A value as text: a list gives one bulleted line an item; what is nested deeper is left out."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Fields):
        return "\n".join(f"- {key}: {part.strip()}" for key, part in value if isinstance(part, str))
    texts = [item.strip() for item in value if isinstance(item, str)] if isinstance(value, list) else []
    return texts[0] if len(texts) == 1 else "\n".join(f"- {text}" for text in texts)


def _add_names(draft: Draft, language: str, value: object) -> None:
    draft.aliases.setdefault(language, []).extend(_names(value))


def _names(value: object) -> list[str]:
    separators = r"[;|\n]" if isinstance(value, str) and re.search(r"[;|\n]", value) else ","
    return _split(value, separators)


def _split(value: object, pattern: str) -> list[str]:
    """The parts of a text, or the texts of a list as they are."""
    parts: Iterable[object] = (
        re.split(pattern, value) if isinstance(value, str) else value if isinstance(value, list) else ()
    )
    return [stripped for part in parts if isinstance(part, str) and (stripped := " ".join(part.split()))]
