"""What hostile text can do in real Chromium (nothing), and what is stored there (the tab's own conversation)."""

from __future__ import annotations

from typing import Any

import pytest
from browser import *  # noqa: F403
from browser import Open, answered, ask
from web import SCRIPT

pytestmark = pytest.mark.real


PAYLOADS = [
    "<script>alert(1)</script>",
    SCRIPT,
    "[lenke](javascript:alert(1))",
    "[lenke](https://ond.example/)",
    "![bilde](https://ond.example/y.png)",
    "<a href=https://ond.example onclick=alert(1)>x</a><svg onload=alert(1)><iframe srcdoc='<b>x</b>'>",
    "${alert(1)} {{constructor.constructor('alert(1)')()}} @@title@@ {value}",
]
ALIVE = """() => [...document.querySelectorAll("main *, #log *")].filter((e) =>
    e.localName === "script" && (!e.src || new URL(e.src).origin !== location.origin)
    || /^(img|iframe|object|embed|link|style|base)$/.test(e.localName)
    || [...e.attributes].some(({ name }) => /^on|^(srcdoc|formaction|xlink:href)$/.test(name))
    || (e.localName !== "script" && e.hasAttribute("src"))
    || (e.hasAttribute("href") && new URL(e.getAttribute("href"), location).origin !== location.origin)
).map((e) => e.outerHTML.slice(0, 200))"""
"""What of the page could load, run or lead somewhere else."""


def inert(page: Any) -> None:
    """Nothing of what was written is alive. (A dialog or a request elsewhere fails the test by itself.)"""
    assert page.evaluate(ALIVE) == []


@pytest.mark.parametrize("path", ["/", "/widget/"])
def test_hostile_questions_are_inert(visit: Open, path: str) -> None:
    page = visit(path)
    for number, payload in enumerate(PAYLOADS, 1):
        ask(page, f"ond {payload}")
        assert payload in answered(page, number).locator(".asked").inner_text()
    for summary in page.locator(".sources summary").all():
        summary.click()
    inert(page)
    page.reload()
    page.wait_for_selector(".turn" if path == "/" else ".welcome .chips")
    inert(page)


@pytest.mark.parametrize(
    "path", ["/ordliste", "/ordliste/ond", "/ordliste/kart", "/ordliste?q=<script>alert(1)</script>"]
)
def test_a_hostile_entry_is_inert(visit: Open, path: str) -> None:
    page = visit(path)
    inert(page)
    if path == "/ordliste":
        for payload in (*PAYLOADS, "ond"):
            page.fill("#q", payload)
            page.wait_for_timeout(300)
        assert SCRIPT in page.inner_text("main")  # it is found, and only read
        inert(page)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_hostile_history_is_inert(visit: Open, payload: str) -> None:
    """The conversation as the browser keeps it, every field of it written by somebody else."""
    page = visit()
    source = {"marker": "1", "entry_id": "dropout", "term": payload, "quote": payload}
    said = {"text": f"{payload} [1]", "note": payload, "suggestions": [payload], "followups": [payload]}
    states = [{"state": "done"}, {"state": "done", "refused": True, "followups": []}, {"state": "writing"}]
    kept = [{"question": payload, "sources": [source], **said, **state} for state in states]
    page.evaluate("kept => sessionStorage.setItem('tutor:/', JSON.stringify(kept))", kept)
    page.reload()
    answered(page, 3)
    for summary in page.locator(".sources summary").all():
        summary.click()
    assert page.locator("#log").inner_text().count(payload) >= 3
    inert(page)
    with page.expect_download() as saved:
        page.click("#download")
    assert payload in saved.value.path().read_text(encoding="utf-8")


@pytest.mark.parametrize(("path", "kept"), [("/", ["tutor:/"]), ("/widget/", [])])
def test_only_the_tab_s_own_conversation_is_stored(visit: Open, path: str, kept: list[str]) -> None:
    page = visit(path)
    ask(page, "Hva er dropout?")
    answered(page)
    assert page.context.cookies() == []
    assert page.evaluate("Object.keys(localStorage)") == []
    assert page.evaluate("Object.keys(sessionStorage)") == kept
    if kept:
        page.click("#new")
        page.wait_for_selector(".welcome .chips")
        assert page.evaluate("Object.keys(sessionStorage)") == []


@pytest.mark.parametrize(
    "kept",
    ["{", "[5]", '[{"question": "<img src=x onerror=alert(1)>", "note": "<b>x</b>"}]', "[" + "1," * 200_000 + "1]"],
)
def test_a_conversation_that_was_tampered_with_is_inert(visit: Open, kept: str) -> None:
    page = visit()
    page.evaluate("kept => sessionStorage.setItem('tutor:/', kept)", kept)
    page.reload()
    page.wait_for_selector("#log .chips, #log .tools")
    assert page.locator("#log img, #log b").count() == 0
    ask(page, "Hva er dropout?")
    page.wait_for_selector(".turn.done")
