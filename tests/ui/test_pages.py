"""Glossary pages, the chat's page, and what becomes of hostile text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from conftest import ROOT, SMALL
from fastapi.testclient import TestClient
from web import SCRIPT, Slow, client, make_tutor, opened

from tutor.errors import UsageError
from tutor.glossary import read_glossary
from tutor.types import Answer, Citation, Delta
from ui import render
from ui.page import TOKEN
from ui.settings import WebSettings
from ui.texts import LANGUAGES, TEXTS, negotiate, text
from ui.turns import Exchange, View, history, received, sent

CORPUS = ROOT / "corpus" / "dyp-laering"
HOSTILE = [
    SCRIPT,
    "<script>alert(1)</script>",
    "[lenke](javascript:alert(1))",
    "![bilde](https://ond.example/x.png)",
    "<https://ond.example>",
    "[a]: https://ond.example\n[a]",
    r"$\href{javascript:alert(1)}{x}$",
    r"$\text{<img src=x onerror=alert(1)>}$",
    r"$\style{background:url(https://ond.example)}{x}$",
    "`<b onclick=alert(1)>`",
    "\ue0000\ue001 \ue002",
    '" onmouseover="alert(1)',
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} @@title@@",
]


@pytest.fixture(scope="module")
def web() -> Iterator[TestClient]:
    with client(opened(make_tutor(SMALL, Slow()), questions_a_minute=1000)) as made:
        yield made


def assert_inert(html: str) -> None:
    """No element or attribute that loads or runs anything, other than our own."""
    tags = re.findall(r"<[a-z][^>]*>", html)
    for tag in tags:
        assert not re.match(r"<(script|img|iframe|object|embed|svg|base|form|link|style)\b", tag), tag
        bare = re.sub(r'"[^"]*"', '""', tag)
        assert not re.search(r"\s(on\w+|style|src)\s*=", bare), tag
        for href in re.findall(r'href="([^"]*)"', tag):
            assert href.startswith(("../ordliste/", "/ordliste", "./ordliste/")), tag


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_inert_wherever_it_stands(hostile: str) -> None:
    source = Citation("1", "dropout", hostile, hostile)
    exchange = Exchange(question=hostile, note=hostile)
    exchange.finish(Answer(hostile, f"{hostile} [1]", False, "nb", (source,), (hostile,)))
    assert_inert(render.block(hostile) + render.inline(hostile))
    assert_inert(View("nb", "../").conversation(received(sent([exchange]))))


def test_a_hostile_entry_is_inert(web: TestClient) -> None:
    for path in ("/ordliste/ond", "/ordliste?q=" + quote(SCRIPT), "/ordliste"):
        page = web.get(path).text
        assert "<img" not in page
        assert 'href="javascript' not in page
        assert "<b>" not in page
    assert "&lt;img" in web.get("/ordliste/ond").text


@pytest.mark.parametrize("content", [None, 5, "x", [5], [{}], {"a": 1}, [{"question": "x" * 5000}], [{"question": 1}]])
def test_a_conversation_that_we_did_not_send_is_forgotten(content: object) -> None:
    assert received(content) == []


def test_the_conversation_there_and_back() -> None:
    exchange = Exchange(question="Hva er dropout?")
    exchange.finish(Answer("Hva er dropout?", "Noder slås av. [1]", False, "nb", (Citation("1", "d", "D", "N"),)))
    assert received(sent([exchange])) == [exchange]
    assert [t.content for t in history([exchange, Exchange(question="og?")])] == ["Hva er dropout?", "Noder slås av."]


def test_an_answer_is_announced_once_it_is_whole() -> None:
    def spoken(exchange: Exchange) -> str:
        found = re.search(r'role="status"[^>]*>([^<]*)<', View("nb", "./").conversation([exchange]))
        assert found
        return found[1]

    exchange = Exchange(question="Hva?")
    assert spoken(exchange) == text("nb", "working")
    exchange.add(Delta("En setning. [1]", (Citation("1", "d", "D", "N"),)))
    assert spoken(exchange) == text("nb", "working")
    exchange.state = "done"
    assert spoken(exchange) == "En setning."


def test_every_formula_of_the_glossary_is_drawn() -> None:
    for entry in read_glossary(CORPUS).entries:
        for section in entry.sections:
            html = render.block(section.text)
            assert "<code>\\" not in html, (entry.slug, section.title)
            assert not re.search(r"[\ue000-\uf8ff]", html)


def test_a_decimal_comma_is_set_tight() -> None:
    assert "<mn>0,69</mn>" in render.inline(r"$-\ln 0{,}5 \approx 0{,}69$")


def test_every_sentence_of_the_glossary_can_be_marked() -> None:
    from tutor.verify import sentences

    for entry in read_glossary(CORPUS).entries:
        for section in entry.sections:
            for sentence in sentences(section.text):
                html = render.block(section.text, sentence)
                assert html.count('id="sitat"') == 1
                assert html.count("<mark") == html.count("</mark>")
                assert re.sub(r"</?(mark|span)[^>]*>|^<p><span[^>]*></span></p>\n", "", html) == render.block(
                    section.text
                )


def test_the_quote_is_marked_once_in_its_entry(web: TestClient) -> None:
    page = web.get("/ordliste/dropout", params={"sitat": "Under testing er alle nodene med."}).text
    assert page.count("<mark") == 1
    assert '<mark id="sitat">Under testing er alle nodene med.</mark>' in page


def test_an_entry_shows_all_it_has(web: TestClient) -> None:
    page = web.get("/ordliste/dropout").text
    assert "<h1>dropout</h1>" in page
    assert "utelatelse" in page
    assert "<h2>Hvordan det virker</h2>" in page
    assert 'href="/ordliste/weight-decay"' in page
    assert "#spor=Hva%20er%20dropout%3F" in page
    assert web.get("/ordliste/finnes-ikke").status_code == 404


def test_search(web: TestClient) -> None:
    def hits(query: str) -> list[str]:
        return re.findall(r'<li><a href="/ordliste/([^"]+)"', web.get("/ordliste", params={"q": query}).text)

    assert hits("") == ["dropout", "ond", "regularization", "weight-decay"]
    assert hits("DROP")[0] == "dropout"
    assert hits("vektforfall") == ["weight-decay"]
    assert hits("straffer store") == ["weight-decay"]
    assert hits("fotosyntese") == []


def test_every_text_is_there_in_three_languages() -> None:
    for key, words in TEXTS.items():
        assert len(words) == len(LANGUAGES) and all(words), key
        assert len({frozenset(re.findall(r"{\w+}", w)) for w in words}) == 1, key
    used = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "ui").rglob("*") if p.suffix in {".py", ".html"})
    for key in TEXTS:
        assert len(re.findall(rf"""["'@]{key}["'@]""", used)) > 1, f"{key} is not used"


@pytest.mark.parametrize(
    ("accept", "chosen", "language"),
    [
        ("", "", "nb"), ("nb-NO,nb;q=0.9,en;q=0.7", "", "nb"), ("no", "", "nb"), ("nn-NO", "", "nn"),
        ("en-US", "", "en"),
        ("de-DE,de;q=0.9,en;q=0.5", "", "en"), ("de", "", "nb"), ("en;q=0.1,nn;q=0.9", "", "nn"), ("en", "nn", "nn"),
        ("en", "klingon", "en"), (";;;q=,,", "", "nb"),
    ],
)  # fmt: skip
def test_the_language_of_the_page(accept: str, chosen: str, language: str) -> None:
    assert negotiate(accept, chosen) == language


@pytest.mark.parametrize("path", ["/", "/widget/"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_in_one_language_and_loads_nothing_foreign(web: TestClient, path: str, language: str) -> None:
    response = web.get(path, headers={"accept-language": language})
    page = response.text
    assert f'lang="{language}"' in page
    assert not TOKEN.search(page)
    assert text(language, "placeholder") in page.encode().decode("unicode_escape", "ignore") or language != "en"
    nonce = re.search(r"'nonce-([^']+)'", response.headers["content-security-policy"])
    assert nonce and page.count("<script") == page.count(f'<script nonce="{nonce[1]}"')
    assert not re.search(r'(?:src|href|content)="https?://', page)
    assert "no-store" in response.headers["cache-control"]


def test_a_chosen_language_goes_along(web: TestClient) -> None:
    assert 'href="/ordliste?lang=nn"' in web.get("/", params={"lang": "nn"}).text
    assert 'href="/ordliste"' in web.get("/", params={"lang": '"><script>'}).text


def test_text_in_another_language_than_the_page_s_is_marked_as_such() -> None:
    exchange = Exchange(question="What is dropout?")
    exchange.finish(Answer("?", "Noder slås av. [1]", False, "en", (Citation("1", "d", "D", "What it is for."),)))
    html = View("en", "./").conversation([exchange])
    assert '<div class="said" lang="nb">' in html and '<blockquote lang="en">' in html


def test_behind_a_proxy_every_address_has_the_root_path() -> None:
    with client(opened(make_tutor(SMALL, Slow())), root_path="/veileder") as web:
        for path in ("/veileder/", "/veileder/widget/", "/veileder/ordliste"):
            page = web.get(path).text
            assert '="/veileder/ui/base.css"' in page
            assert not re.search(r'(?:src|href)="/(?!veileder)', page)


@pytest.mark.parametrize(
    "wrong", [("x", 0, "", []), ("x", 80, "veileder", []), ("x", 80, "/../x y", []), ("x", 80, "", ["skolen.no"]),
              ("x", 80, "", ["https://a.no; script-src *"])],
)  # fmt: skip
def test_settings_that_cannot_be_used(wrong: tuple[str, int, str, list[str]]) -> None:
    with pytest.raises(UsageError):
        WebSettings.checked(*wrong)


def test_settings_are_tidied() -> None:
    made = WebSettings.checked("x", 80, "/veileder/", ["https://Skolen.instructure.com/"])
    assert (made.root_path, made.allow_origins) == ("/veileder", ("https://skolen.instructure.com",))
