"""Headwords: their stable id (slug) and the other names that are written into them."""

from __future__ import annotations

import hashlib
import re
import unicodedata

DEFAULT_LANGUAGE = "nb"
MAX_SLUG = 80
MAX_ALIAS_WORDS = 6
MAX_HEADWORD = 200

Aliases = dict[str, list[str]]

_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "å": "a", "ð": "d", "þ": "th", "ß": "ss", "ł": "l", "œ": "oe"})
_PARENTHESIS = re.compile(r"\s*\(([^()]*)\)")
_CALL = re.compile(r"\b(\w[\w.]*)\(\)")
_LANGUAGE = re.compile(
    r"(?:på )?(eng(?:elsk)?|en|nb|bokmål|norsk|nn|nynorsk)(?:\s*[.:]+\s*|\s+(?=\w+$))", re.IGNORECASE
)
_QUESTION = re.compile(
    r"(?:hva|kva|what)(?:\s+(?:er|is|are|betyr|menes med)|['’]s)\s+(?:(?:en|et|ei|ein|eit|a|an|the)\s+)?([^?]+)\?",
    re.IGNORECASE,
)


def slugify(term: str) -> str:
    """The stable ascii kebab-case id of a term.

    «fine_tune() method in fastai» gives ``fine-tune-method-in-fastai``. A term without any
    latin letter or digit gets an id made from its hash. Two terms may share a slug; whoever
    collects entries makes them unique.
    """
    folded = unicodedata.normalize("NFKC", term).casefold().translate(_LETTERS)
    plain = unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(slug) > MAX_SLUG:
        slug = slug[:MAX_SLUG].rpartition("-")[0] or slug[:MAX_SLUG]
    return slug or "begrep-" + hashlib.sha256(term.encode("utf-8", "replace")).hexdigest()[:8]


def name_key(name: str) -> str:
    """What two spellings of one name have in common: case, spaces, hyphens and underscores are ignored."""
    return re.sub(r"[\s_‐‑–-]+", " ", unicodedata.normalize("NFKC", name)).strip().casefold()


def headword_aliases(term: str) -> Aliases:
    """Other names that a headword holds, by language code.

    «L1 (Lasso)» holds L1 and Lasso, «item_tfms()» holds item_tfms, «metrikk / mål» both halves,
    «læringsrate (eng.: learning rate)» an English one, and a question «What is a latent factor?»
    holds what it asks about.
    """
    if len(term) > MAX_HEADWORD:
        return {}
    outside = _PARENTHESIS.sub(lambda found: "" if found[1].strip() else "()", term).strip()
    found = [(DEFAULT_LANGUAGE, outside)]
    for inside in _PARENTHESIS.findall(term):
        found += [_with_language(part) for part in re.split(r"\s*[,;/]\s*", inside)]
    for call in _CALL.findall(term):
        found += [(DEFAULT_LANGUAGE, f"{call}()"), (DEFAULT_LANGUAGE, call)]
    if " / " in outside:
        found += [(DEFAULT_LANGUAGE, half) for half in outside.split(" / ")]
    if question := _QUESTION.match(term):
        found.append((DEFAULT_LANGUAGE, question[1].strip()))
    return _distinct(term, found)


def is_question(term: str) -> bool:
    """Whether the headword is a question, and so worth indexing as one."""
    return term.rstrip().endswith("?")


def _with_language(name: str) -> tuple[str, str]:
    marked = _LANGUAGE.match(name)
    if not marked:
        return DEFAULT_LANGUAGE, name
    language = {"e": "en", "nn": "nn", "ny": "nn"}.get(marked[1].casefold()[:2].replace("en", "e"), "nb")
    return language, name[marked.end() :]


def _distinct(term: str, found: list[tuple[str, str]]) -> Aliases:
    seen = {term.casefold()}
    aliases: Aliases = {}
    for language, raw in found:
        name = raw.strip(" .,:;")
        usable = any(c.isalpha() for c in name) and len(name.split()) <= MAX_ALIAS_WORDS and "?" not in name
        if usable and name.casefold() not in seen:
            seen.add(name.casefold())
            aliases.setdefault(language, []).append(name)
    return aliases
