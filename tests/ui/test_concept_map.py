"""The concept map: everything related is there, every name can be read, and hostile names are inert."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from conftest import ROOT, SMALL
from web import NASTY, Slow, client, make_tutor, opened

from tutor.glossary import read_glossary
from tutor.types import Entry
from ui.concept_map import MOST_NODES, draw

SHIPPED = read_glossary(ROOT / "corpus" / "dyp-laering").entries
LONELY = Entry("alene", "alene", ())


def test_every_relation_is_drawn_once() -> None:
    drawn = draw(SHIPPED)
    slugs = {e.slug for e in SHIPPED}
    wanted = {frozenset((e.slug, o)) for e in SHIPPED for o in (*e.related, e.part_of) if o in slugs and o != e.slug}
    pairs = [frozenset((e.a.entry.slug, e.b.entry.slug)) for e in drawn.edges]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == wanted
    assert {n.entry.slug for n in drawn.nodes} == set().union(*wanted)
    assert sum(e.part for e in drawn.edges) == sum(e.part_of in slugs for e in SHIPPED)


@pytest.mark.parametrize(
    "entries",
    [
        SHIPPED,
        read_glossary(SMALL).entries,
        [Entry(f"n{i}", "et ganske langt navn " * (1 + i % 3), (), related=("n0",)) for i in range(MOST_NODES)],
        [Entry(f"n{i}", "x", (), related=(f"n{i ^ 1}",)) for i in range(60)],
    ],
    ids=["shipped", "small", "star", "pairs"],
)
def test_no_two_names_overlap_and_all_are_inside(entries: list[Entry]) -> None:
    drawn = draw(entries)
    for one, two in combinations(drawn.nodes, 2):
        assert abs(one.x - two.x) > (one.width + two.width) / 2 or abs(one.y - two.y) > (one.height + two.height) / 2, (
            one.entry.slug,
            two.entry.slug,
        )
    for node in drawn.nodes:
        assert node.width / 2 < node.x < drawn.width - node.width / 2
        assert node.height / 2 < node.y < drawn.height - node.height / 2


def test_what_is_related_stands_nearer() -> None:
    drawn = draw(SHIPPED)

    def length(pairs: list[tuple[float, float]]) -> float:
        return sum(x * x + y * y for x, y in pairs) ** 0.5 / len(pairs) ** 0.5

    related = [(e.a.x - e.b.x, e.a.y - e.b.y) for e in drawn.edges]
    anyone = [(a.x - b.x, a.y - b.y) for a, b in combinations(drawn.nodes, 2)]
    assert length(related) < 0.6 * length(anyone)


def test_the_same_map_every_time() -> None:
    assert draw(SHIPPED) == draw(SHIPPED)


@pytest.mark.parametrize(
    "entries", [[], [LONELY], [Entry("a", "a", (), part_of="a", related=("a", "borte"))],
                [Entry(f"n{i}", "x", (), related=("n0",)) for i in range(MOST_NODES + 2)]]
)  # fmt: skip
def test_nothing_is_drawn_where_there_is_nothing_to_see(entries: list[Entry]) -> None:
    assert draw(entries).nodes == ()


def test_the_page_has_the_map_and_the_same_as_a_list() -> None:
    with client(opened(make_tutor(SMALL, Slow()))) as web:
        page = web.get("/ordliste/kart").text
        drawing, as_list = page.split('<section id="liste">')
        assert set(re.findall(r'data-node="([^"]+)"', drawing)) == {"dropout", "regularization", "weight-decay"}
        assert '<dt><a href="/ordliste/ond">' in as_list  # without relations, yet not forgotten
        assert re.search(r">weight decay</a></dt>\s*<dd><span lang=\"nb\">Del av</span> regularisering</dd>", as_list)
        assert "<img" not in page and NASTY.term not in page
        assert 'href="/ordliste/kart"' in web.get("/ordliste").text
        assert 'href="/ordliste/kart#kart-dropout"' in web.get("/ordliste/dropout").text


def test_an_entry_called_kart_goes_before_the_map(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "kart.md").write_text("---\nterm: kart\n---\nEt kart viser et sted ovenfra.\n", encoding="utf-8")
    with client(opened(make_tutor(tmp_path, Slow()))) as web:
        assert "Et kart viser et sted ovenfra." in web.get("/ordliste/kart").text
        assert 'href="/ordliste/kart">Se' not in web.get("/ordliste").text
