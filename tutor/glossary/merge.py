"""From what the readers found to a glossary that holds together.

A reader makes one ``Draft`` each time a term is explained. Here drafts of the same term become
one entry, slugs become unique, and names and references are checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tutor.glossary.names import Aliases, headword_aliases, is_question, name_key, slugify
from tutor.types import DEFINITION, Entry, Glossary, Oddity, Section


@dataclass
class Draft:
    """A term as one place in a source explains it.

    ``sections`` are (title, text) pairs, the definition's title being empty. ``part_of`` and
    ``related`` may be slugs, terms or aliases. ``slug`` is set only where the source fixes it.
    """

    term: str
    line: int
    file: str = ""
    slug: str = ""
    sections: list[tuple[str, str]] = field(default_factory=list)
    aliases: Aliases = field(default_factory=dict)
    part_of: str = ""
    related: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    source: str = ""

    def odd(self, message: str) -> Oddity:
        """An oddity at the place of this draft."""
        return Oddity(self.line, message, self.file)


class _Names:
    """Which entry (by slug) a name belongs to; the first to claim a name keeps it."""

    def __init__(self, slugs: Iterable[str]) -> None:
        self._slugs = frozenset(slugs)
        self._owners: dict[str, str] = {}

    def claim(self, name: str, slug: str) -> str:
        """The slug that owns ``name`` once ``slug`` has asked for it."""
        return self._owners.setdefault(name_key(name), slug)

    def find(self, reference: str) -> str | None:
        """The slug that a slug, headword or alias stands for."""
        if reference in self._slugs:
            return reference
        slug = slugify(reference)
        return self._owners.get(name_key(reference)) or (slug if slug in self._slugs else None)


def assemble(drafts: Iterable[Draft], oddities: Iterable[Oddity] = ()) -> Glossary:
    """One entry for each term, in the order of the source.

    Nothing is raised: what does not fit (an alias that two terms claim, a reference to nothing)
    is left out and told as an oddity.
    """
    notes = list(oddities)
    by_slug = _with_slugs(_merged(drafts, notes), notes)
    names = _Names(by_slug)
    _claim_headwords(by_slug, names, notes)
    _claim_aliases(by_slug, names, notes)
    parents = _parents(by_slug, names, notes)
    notes += [draft.odd(f"«{draft.term}» mangler forklaring") for draft in by_slug.values() if not _sections(draft)]
    entries = tuple(
        Entry(
            slug=slug,
            term=draft.term,
            sections=_sections(draft),
            aliases={language: tuple(group) for language, group in draft.aliases.items() if group},
            part_of=parents.get(slug),
            related=tuple(_resolved(slug, draft, draft.related, names, notes)),
            questions=tuple(dict.fromkeys(draft.questions)),
            source=draft.source,
        )
        for slug, draft in by_slug.items()
    )
    return Glossary(entries, tuple(sorted(notes, key=lambda note: (note.file, note.line))))


def _merged(drafts: Iterable[Draft], notes: list[Oddity]) -> list[Draft]:
    """Drafts of one term joined into the first of them. A draft with a slug of its own stays as it is."""
    merged: list[Draft] = []
    firsts: dict[str, Draft] = {}
    for draft in drafts:
        if is_question(draft.term):
            draft.questions.append(draft.term)
        _add_aliases(draft, headword_aliases(draft.term))
        first = draft if draft.slug else firsts.setdefault(name_key(draft.term), draft)
        if first is draft:
            merged.append(draft)
            continue
        notes.append(
            draft.odd(
                f"«{draft.term}» er forklart før, på linje {first.line}; tekstene er slått sammen til ett oppslag"
            )
        )
        first.sections += draft.sections
        first.part_of = first.part_of or draft.part_of
        first.related += draft.related
        first.questions += draft.questions
        _add_aliases(first, draft.aliases)
    return merged


def _add_aliases(draft: Draft, more: Aliases) -> None:
    """Add the aliases that the draft does not have in any language yet."""
    known = {name.casefold() for group in draft.aliases.values() for name in group}
    for language, names in more.items():
        draft.aliases.setdefault(language, []).extend(name for name in names if name.casefold() not in known)


def _sections(draft: Draft) -> tuple[Section, ...]:
    """Sections of the same title become one, the definition comes first, and no text stands twice."""
    texts: dict[str, dict[str, None]] = {DEFINITION: {}}
    for title, text in draft.sections:
        if text.strip():
            texts.setdefault(title, {})[text.strip()] = None
    return tuple(Section(title, "\n\n".join(group)) for title, group in texts.items() if group)


def _with_slugs(drafts: Iterable[Draft], notes: list[Oddity]) -> dict[str, Draft]:
    """The drafts by slug. Of several that want the same one, the later get -2, -3 and so on."""
    drafts = list(drafts)
    reserved = {draft.slug for draft in drafts if draft.slug}
    wishes: Counter[str] = Counter()
    by_slug: dict[str, Draft] = {}
    for draft in drafts:
        wanted = slug = draft.slug or slugify(draft.term)
        while slug in by_slug or (slug in reserved and slug != draft.slug):
            wishes[wanted] += 1
            slug = f"{wanted}-{wishes[wanted] + 1}"
        if draft.slug and slug != wanted:
            notes.append(draft.odd(f"flere har id-en «{wanted}»; denne får «{slug}». Gi den et annet navn"))
        by_slug[slug] = draft
    return by_slug


def _claim_headwords(by_slug: dict[str, Draft], names: _Names, notes: list[Oddity]) -> None:
    for slug, draft in by_slug.items():
        owner = names.claim(draft.term, slug)
        if owner != slug:
            notes.append(
                draft.odd(f"«{draft.term}» er også begrepet i «{owner}»; slå dem sammen eller gi det ene et annet navn")
            )


def _claim_aliases(by_slug: dict[str, Draft], names: _Names, notes: list[Oddity]) -> None:
    for slug, draft in by_slug.items():
        for language, group in draft.aliases.items():
            kept: list[str] = []
            for alias in dict.fromkeys(group):
                owner = names.claim(alias, slug)
                if owner == slug:
                    kept.append(alias)
                else:
                    notes.append(
                        draft.odd(f"«{alias}» er alt navn på «{owner}»; det er strøket som synonym for «{draft.term}»")
                    )
            draft.aliases[language] = kept


def _parents(by_slug: dict[str, Draft], names: _Names, notes: list[Oddity]) -> dict[str, str]:
    """Each slug's parent; a reference that would make a term part of itself is dropped."""
    parents: dict[str, str] = {}
    for slug, draft in by_slug.items():
        if draft.part_of:
            parents.update((slug, parent) for parent in _resolved(slug, draft, [draft.part_of], names, notes))
    settled: set[str] = set()
    for slug in by_slug:
        path = list(_upwards(slug, parents, settled))
        if path and parents.get(path[-1]) in path:
            last = by_slug[path[-1]]
            parent = parents.pop(path[-1])
            notes.append(last.odd(f"«{last.term}» ville blitt en del av seg selv; overbegrepet «{parent}» er strøket"))
        settled.update(path)
    return parents


def _upwards(slug: str | None, parents: dict[str, str], settled: set[str]) -> Iterator[str]:
    seen: set[str] = set()
    while slug is not None and slug not in seen and slug not in settled:
        seen.add(slug)
        yield slug
        slug = parents.get(slug)


def _resolved(slug: str, draft: Draft, references: Iterable[str], names: _Names, notes: list[Oddity]) -> Iterator[str]:
    """The slugs that the references stand for, each once; those that stand for nothing become oddities."""
    seen = {slug}
    for reference in references:
        target = names.find(reference)
        if target is None:
            notes.append(draft.odd(f"«{draft.term}» viser til «{reference}», som ikke finnes; henvisningen er strøket"))
        elif target not in seen:
            seen.add(target)
            yield target
