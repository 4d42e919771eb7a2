"""For every student in real Chromium: keyboard, screen reader, phone, dark, language, WCAG."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from browser import *  # noqa: F403
from browser import OPENING, PHONE, RULES, SAYS, Open, answered, ask

from ui.texts import text

pytestmark = pytest.mark.real


def test_the_keyboard_is_enough(visit: Open) -> None:
    page = visit()

    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", f"{selector} shows no focus"
                return
        raise AssertionError(f"{selector} is not reached")

    page.evaluate("document.activeElement.blur()")
    tab_to("#question textarea")
    page.keyboard.type("Hva er dropout?")
    page.keyboard.press("Enter")
    answered(page)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    tab_to("button.cite")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "k0-1"
    tab_to(".sources a")
    tab_to("[data-copy]")
    tab_to("#new")
    page.keyboard.press("Enter")
    page.wait_for_selector(".welcome .chips")
    in_the_box(page)


def in_the_box(page: Any) -> None:
    """The focus is where the next question is written, and not lost with a button that is gone."""
    page.wait_for_function("document.activeElement === document.querySelector('#question textarea')")


def test_the_focus_is_not_lost_with_the_button_that_had_it(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    site.model.says, site.model.pause = SAYS + " Tøv om fisk." * 60, 0.03
    page.keyboard.type("Hva er dropout?")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "send"
    page.keyboard.press("Space")
    page.wait_for_selector(".turn.writing")
    in_the_box(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "stop"
    page.keyboard.press("Space")
    answered(page)
    in_the_box(page)
    site.model.says, site.model.pause = SAYS, 0.0
    page.get_by_role("button", name=text("nb", "retry")).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn.done")
    in_the_box(page)


SPOKEN = """() => {
    window.spoken = [];
    const LIVE = "[role=status], [role=alert], [aria-live=polite], [aria-live=assertive]";
    const there = new WeakSet(document.querySelectorAll(LIVE)); // a region that comes with its text is not read
    const said = new WeakMap();
    new MutationObserver((changes) => {
        const places = changes.map(({ target }) => (target.closest ? target : target.parentElement));
        for (const region of new Set(places.map((place) => place?.closest(LIVE)))) {
            const text = region?.textContent.trim();
            if (text && there.has(region) && said.get(region) !== text) spoken.push(text);
            if (region) said.set(region, text);
        }
        for (const region of document.querySelectorAll(LIVE)) there.add(region);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
"""Notes what a screen reader would say: changes of text in a live region that was there before the change."""


@pytest.mark.parametrize("path", ["/", "/widget/"])
def test_an_answer_is_spoken_once(visit: Open, site: SimpleNamespace, path: str) -> None:
    page = visit(path)
    site.model.pause = 0.005
    page.evaluate(SPOKEN)
    for number, (question, opening) in enumerate(
        (("Hva er dropout?", OPENING), ("Hva er fotosyntese?", "Det står ikke i ordlisten"), ("Dropout?", OPENING)), 1
    ):
        ask(page, question)
        answered(page, number)
        begun, *answers = page.evaluate("spoken.splice(0)")
        assert begun == text("nb", "working")
        assert len(answers) == 1 and answers[0].startswith(opening)


def test_a_stop_is_spoken(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    page.evaluate(SPOKEN)
    site.model.says, site.model.pause = SAYS + " Tøv om fisk." * 60, 0.03
    ask(page, "Hva er dropout?")
    page.wait_for_selector(".turn.writing")
    page.click("#stop")
    answered(page)
    assert page.evaluate("spoken")[-1].endswith(text("nb", "stopped"))


@pytest.mark.parametrize("path", ["/", "/widget/", "/ordliste", "/ordliste/dropout?sitat=Med#sitat", "/ordliste/kart"])
def test_a_phone_scrolls_one_way_only(visit: Open, path: str) -> None:
    page = visit(path, size=PHONE)
    if path in ("/", "/widget/"):
        ask(page, "Hva er dropout? " + "x" * 80)
        answered(page)
        page.click(".sources summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("path", ["/", "/widget/"])
def test_the_question_box_is_always_in_sight(visit: Open, path: str) -> None:
    page = visit(path, size=PHONE)
    for number, term in enumerate(("dropout", "regularisering", "weight decay"), 1):
        ask(page, f"Hva er {term}?")
        answered(page, number)
    page.wait_for_timeout(600)  # the page is still gliding to the end
    page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    box = page.locator("#question").bounding_box()
    assert page.evaluate("document.documentElement.scrollHeight - innerHeight - scrollY") > 200
    assert 0 < box["y"] < PHONE["height"] - box["height"]


@pytest.mark.parametrize("path", ["/", "/widget/", "/ordliste", "/ordliste/dropout", "/ordliste/kart"])
def test_dark(visit: Open, path: str) -> None:
    def lightness(scheme: str) -> int:
        colour = visit(path, color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(n) for n in re.findall(r"\d+", colour)[:3])

    assert lightness("dark") < 120 < 700 < lightness("light")


@pytest.mark.parametrize(("locale", "language"), [("nb-NO", "nb"), ("nn-NO", "nn"), ("en-GB", "en"), ("fi-FI", "nb")])
def test_the_interface_is_in_the_browser_s_language(visit: Open, locale: str, language: str) -> None:
    page = visit(locale=locale)
    assert page.get_attribute("html", "lang") == language
    assert page.get_attribute("#question textarea", "placeholder") == text(language, "placeholder")
    assert page.title() == text(language, "page_title")
    words = page.inner_text("body")
    assert text(language, "welcome") in words and text(language, "notice") in words


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    ["/", "/widget/", "/ordliste", "/ordliste/kart", "/ordliste/dropout?sitat=Under testing er alle nodene med."],
)
def test_axe_finds_nothing(visit: Open, axe: str, path: str, scheme: str) -> None:
    page = visit(path, color_scheme=scheme, bypass_csp=True)

    def check() -> None:
        page.evaluate(axe)
        found = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
        assert [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found["violations"]] == []

    check()
    if path in ("/", "/widget/"):
        ask(page, "Hva er dropout?")
        answered(page)
        page.click(".sources summary")
        ask(page, "Hva er fotosyntese?")
        answered(page, 2)
        check()
