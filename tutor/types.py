"""The frozen dataclasses that travel between the steps from question to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFINITION = ""
"""The section title of an entry's defining text (it stands before the first heading)."""


@dataclass(frozen=True)
class Section:
    """One part of an entry. ``title`` is ``DEFINITION`` for the defining text."""

    title: str
    text: str


@dataclass(frozen=True)
class Entry:
    """One term of a glossary.

    ``slug`` is the stable id that citations point to. ``sections[0]`` is the definition when
    there is one; a term without any text (a bare heading in the source) has no sections.
    ``aliases`` maps a language code (``nb``, ``nn``, ``en``) to other names of the term.
    ``part_of`` and ``related`` hold slugs.
    """

    slug: str
    term: str
    sections: tuple[Section, ...]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    part_of: str | None = None
    related: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    source: str = ""

    @property
    def definition(self) -> str:
        """The defining text, or what stands first where there is none; empty for a bare heading."""
        return self.sections[0].text if self.sections else ""

    @property
    def names(self) -> tuple[str, ...]:
        """The headword first, then every alias once, in any language."""
        return tuple(dict.fromkeys((self.term, *(a for group in self.aliases.values() for a in group))))

    @property
    def text(self) -> str:
        """Everything a student can read of the entry, headings included. Quotes are verbatim in this."""
        return "\n\n".join(f"## {s.title}\n{s.text}" if s.title else s.text for s in self.sections)


@dataclass(frozen=True)
class Oddity:
    """Something in a glossary that was understood but looks wrong; ``line`` counts from 1."""

    line: int
    message: str
    file: str = ""


@dataclass(frozen=True)
class Glossary:
    """What a reader made of a file or folder."""

    entries: tuple[Entry, ...]
    oddities: tuple[Oddity, ...] = ()


@dataclass(frozen=True)
class Passage:
    """The unit that is indexed and cited: one section of one entry."""

    id: str
    entry_id: str
    term: str
    section: str
    text: str


@dataclass(frozen=True)
class Turn:
    """One message of the conversation so far; ``role`` is ``user`` or ``assistant``."""

    role: str
    content: str


@dataclass(frozen=True)
class Hit:
    """A retrieved passage. ``score`` is comparable within one question only."""

    passage: Passage
    score: float


@dataclass(frozen=True)
class Retrieval:
    """What the glossary has on a question: best entry first, one hit an entry.

    ``confidence`` is the estimated probability in [0, 1] that the glossary covers the question.
    """

    hits: tuple[Hit, ...]
    confidence: float
    covered: bool


@dataclass(frozen=True)
class Citation:
    """A quote that stands, character for character, in the entry it points to."""

    marker: str
    entry_id: str
    term: str
    quote: str


@dataclass(frozen=True)
class Timings:
    """Milliseconds and token counts of one answer."""

    retrieve_ms: float = 0.0
    first_token_ms: float = 0.0
    total_ms: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Answer:
    """The whole answer, as the ``--json`` output gives it."""

    question: str
    text: str
    refused: bool
    language: str
    citations: tuple[Citation, ...] = ()
    suggestions: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    model: str = ""
    timings: Timings = Timings()


@dataclass(frozen=True)
class Delta:
    """A piece of the answer that may be shown at once, with the citations its markers point to."""

    text: str
    citations: tuple[Citation, ...] = ()


Event = Delta | Answer
"""What ``Tutor.stream`` yields: any number of ``Delta``, then exactly one ``Answer``."""
