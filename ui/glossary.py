"""``/ordliste``: every entry readable and searchable, without script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from tutor.language import detect
from tutor.types import Entry
from tutor.verify import sentences
from ui import concept_map, render
from ui.desk import Desk, Refused
from ui.texts import LANGUAGES, negotiate, text

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_SEARCH = 100
MAP = "kart"
"""The last part of the map's address; an entry of that name goes before it."""


def make_glossary(desk: Desk) -> APIRouter:
    """The pages over the glossary of ``desk``'s tutor."""
    pages = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)
    templates = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    templates.globals.update(block=_block, teaser=_teaser, language_of=detect)

    def show(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
        chosen = request.query_params.get("lang", "")
        language = negotiate(request.headers.get("accept-language", ""), chosen)
        page = templates.get_template(template).render(
            lang=language,
            languages=LANGUAGES,
            keep=f"lang={chosen}" if chosen in LANGUAGES else "",
            root=request.scope.get("root_path", ""),
            t=lambda key, **more: text(language, key, **more),
            **values,
        )
        return HTMLResponse(page, status, headers={"Vary": "Accept-Language"})

    def entries() -> Sequence[Entry]:
        return desk.tutor.entries

    @pages.get("/ordliste")
    def overview(request: Request, q: str = "") -> HTMLResponse:
        try:
            found, map_open = search(entries(), q), all(e.slug != MAP for e in entries())
        except Refused as refused:
            return show(request, "message.html", 503, title="glossary", message=refused.kind)
        return show(request, "overview.html", found=found, q=q[:LONGEST_SEARCH], map_open=map_open)

    @pages.get("/ordliste/{slug}")
    def entry(request: Request, slug: str, sitat: str = "") -> HTMLResponse:
        try:
            by_slug = {e.slug: e for e in entries()}
        except Refused as refused:
            return show(request, "message.html", 503, title="glossary", message=refused.kind)
        if slug not in by_slug and slug == MAP:
            return concepts(request)
        if slug not in by_slug:
            return show(request, "message.html", 404, title="not_found", message="not_found_more")
        return show(request, "entry.html", entry=by_slug[slug], quote=sitat, **_kin(by_slug[slug], by_slug))

    drawn: list[tuple[Sequence[Entry], concept_map.Map]] = []

    def concepts(request: Request) -> HTMLResponse:
        """The map; it is laid out once for each glossary that the tutor reads."""
        shown = entries()
        if not drawn or drawn[0][0] is not shown:
            drawn[:] = [(shown, concept_map.draw(shown))]
        by_slug = {e.slug: e for e in shown}
        rows = [{"entry": e, "kin": _kin_listed(e, by_slug)} for e in sorted(shown, key=lambda e: e.term.lower())]
        return show(request, "map.html", map=drawn[0][1], rows=rows)

    return pages


def search(entries: Sequence[Entry], query: str) -> list[Entry]:
    """The entries that hold every word of ``query``: those named so first, then alphabetically."""
    words = query[:LONGEST_SEARCH].lower().split()
    found: list[tuple[int, str, Entry]] = []
    for entry in entries:
        names = " ".join(entry.names).lower()
        everything = f"{names} {entry.text.lower()}"
        if all(w in everything for w in words):
            whole = " ".join(words)
            best = min((_rank(name.lower(), whole) for name in entry.names), default=3)
            found.append((best, entry.term.lower(), entry))
    return [entry for *_, entry in sorted(found, key=lambda f: f[:2])]


def _kin(entry: Entry, by_slug: Mapping[str, Entry]) -> dict[str, Any]:
    """What ``entry`` is a part of, its parts, and the others it is related to."""
    whole = by_slug.get(entry.part_of or "")
    parts = [e for e in by_slug.values() if e.part_of == entry.slug]
    related = [by_slug[s] for s in entry.related if s in by_slug and by_slug[s] not in (whole, *parts)]
    return {"whole": whole, "parts": parts, "related": related}


def _kin_listed(entry: Entry, by_slug: Mapping[str, Entry]) -> list[tuple[str, list[Entry]]]:
    """The same as (key of the heading, entries), without those that are empty."""
    kin = _kin(entry, by_slug)
    listed = [("part_of", [kin["whole"]] if kin["whole"] else []), ("parts", kin["parts"]), ("related", kin["related"])]
    return [(key, found) for key, found in listed if found]


def _rank(name: str, query: str) -> int:
    """0 for the name itself, 1 for its beginning, 2 for a part of it, 3 for none."""
    return 0 if name == query else 1 if name.startswith(query) else 2 if query in name else 3


def _block(source: str, quote: str = "") -> Markup:
    return Markup(render.block(source, quote))


def _teaser(entry: Entry) -> Markup:
    """The first sentence of the definition."""
    first = sentences(entry.definition)[:1]
    return Markup(render.inline(first[0] if first else ""))
