"""The widget and the frame in real Chromium, in a course page of another site, third-party storage blocked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from browser import *  # noqa: F403
from browser import PHONE, WIDE, course_page
from conftest import SMALL
from web import Slow, make_tutor, opened, served

pytestmark = pytest.mark.real


def test_the_widget_in_a_course_page(browser: Any, site: SimpleNamespace, course: SimpleNamespace) -> None:
    address = course_page(
        course, f'<script src="{site.url}/widget.js" data-title="Spør meg" data-color="#fc0"></script>'
    )
    page = browser.new_page(viewport=WIDE, locale="nb-NO")
    requests: list[str] = []
    page.on("request", lambda r: requests.append(r.url))
    page.goto(address)
    button = page.get_by_role("button", name="Spør meg")
    assert button.evaluate("b => [getComputedStyle(b).backgroundColor, getComputedStyle(b).color]") == [
        "rgb(255, 204, 0)", "rgb(0, 0, 0)"
    ]  # fmt: skip
    assert [r for r in requests if r.startswith(site.url)] == [f"{site.url}/widget.js"]
    button.focus()
    page.keyboard.press("Enter")
    inside = page.frame_locator("iframe")
    inside.locator(".welcome .chips").wait_for()
    assert page.get_by_role("dialog", name="Spør meg").is_visible()
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.tagName") == "IFRAME"
    inside.locator("#question textarea").fill("Hva er dropout?")
    inside.locator("#question textarea").press("Enter")
    inside.locator(".turn.done").wait_for()
    inside.locator("#question textarea").press("Escape")
    button.wait_for()
    assert not page.get_by_role("dialog").is_visible()
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.className") == "open"
    button.click()
    inside.locator(".turn.done").wait_for()  # the conversation is still there
    page.get_by_role("button", name="Lukk").click()
    assert all(r.startswith((site.url, course.url, "data:")) for r in requests)
    assert page.context.cookies() == []
    page.close()


def test_an_iframe_as_canvas_has_it(browser: Any, site: SimpleNamespace, course: SimpleNamespace) -> None:
    page = browser.new_page(viewport=WIDE, locale="nb-NO")
    page.goto(course_page(course, f'<iframe src="{site.url}/widget/" width="100%" height="600"></iframe>'))
    inside = page.frame_locator("iframe")
    inside.locator(".welcome .chips button").first.click()
    inside.locator(".turn.done").wait_for()
    page.close()


def test_a_site_that_is_not_on_the_list_cannot_embed(browser: Any, course: SimpleNamespace) -> None:
    with served(opened(make_tutor(SMALL, Slow()))) as url:
        page = browser.new_page()
        refused: list[str] = []
        page.on("console", lambda m: refused.append(m.text))
        page.goto(course_page(course, f'<iframe src="{url}/widget/"></iframe>'))
        page.wait_for_timeout(500)
        assert any("frame-ancestors" in line for line in refused)
        page.close()


def widget_page(course: SimpleNamespace, site: SimpleNamespace, more: str = "") -> str:
    text = '<p>Uke 4 handler om <b id="b">dropout</b> og annet.</p><p id="p">Et helt avsnitt.<br>To linjer.</p>'
    return course_page(course, f'{text}<script src="{site.url}/widget.js" {more}></script>')


def test_a_term_that_is_marked_becomes_the_question(
    browser: Any, site: SimpleNamespace, course: SimpleNamespace
) -> None:
    page = browser.new_page(viewport=WIDE, locale="nb-NO")
    page.goto(widget_page(course, site))
    inside = page.frame_locator("iframe")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#b'))")
    page.get_by_role("button", name="Spør ordlisten").click()
    inside.locator(".turn.done").wait_for()
    assert inside.locator(".asked").inner_text().endswith("Hva er dropout?")
    page.get_by_role("button", name="Lukk").click()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#p'))")  # more than a term: no question
    page.get_by_role("button", name="Spør ordlisten").click()
    page.wait_for_timeout(300)
    assert inside.locator(".turn").count() == 1
    page.get_by_role("button", name="Lukk").click()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#b'))")  # the conversation goes on
    page.get_by_role("button", name="Spør ordlisten").click()
    inside.locator(".turn.done").wait_for()
    page.close()


def test_an_open_dialog_is_remembered_without_taking_the_focus(
    browser: Any, site: SimpleNamespace, course: SimpleNamespace
) -> None:
    context = browser.new_context(viewport=WIDE, locale="nb-NO")
    page = context.new_page()
    address = widget_page(course, site)
    page.goto(address)
    page.get_by_role("button", name="Spør ordlisten").click()
    page.frame_locator("iframe").locator(".welcome .chips").wait_for()
    page.reload()
    page.frame_locator("iframe").locator(".welcome .chips").wait_for()
    assert page.get_by_role("dialog").is_visible()
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    page.get_by_role("button", name="Lukk").click()
    page.reload()
    page.get_by_role("button", name="Spør ordlisten").wait_for()
    assert not page.get_by_role("dialog").is_visible()
    assert context.cookies() == []
    context.close()


@pytest.mark.parametrize("denied", ["sessionStorage", "getSelection"])
def test_it_works_where_the_page_is_denied_things(
    browser: Any, site: SimpleNamespace, course: SimpleNamespace, denied: str
) -> None:
    page = browser.new_page(viewport=WIDE, locale="nb-NO")
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('', 'SecurityError'); } })"
        if denied == "sessionStorage"
        else "window.getSelection = () => null"
    )
    page.goto(widget_page(course, site))
    page.get_by_role("button", name="Spør ordlisten").click()
    page.frame_locator("iframe").locator(".welcome .chips").wait_for()
    page.get_by_role("button", name="Lukk").click()
    assert wrong == []
    page.close()


def test_on_a_phone_the_dialog_covers_the_page_and_holds_the_focus(
    browser: Any, site: SimpleNamespace, course: SimpleNamespace
) -> None:
    page = browser.new_page(viewport=PHONE, locale="nb-NO")
    page.goto(widget_page(course, site, 'data-lang="nn" data-side="left" data-color="red;}"'))
    button = page.get_by_role("button", name="Spør ordlista")
    assert button.evaluate("b => getComputedStyle(b).backgroundColor") == "rgb(31, 95, 115)"  # not a colour: the usual
    assert button.bounding_box()["x"] < 40
    button.click()
    page.frame_locator("iframe").locator(".welcome .chips").wait_for()
    assert page.evaluate("document.querySelector('div').shadowRoot.querySelector('dialog').matches(':modal')")
    box = page.get_by_role("dialog").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 360, 700)
    page.get_by_role("button", name="Lukk").focus()
    page.keyboard.press("Escape")
    button.wait_for()
    assert not page.get_by_role("dialog").is_visible()
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.className") == "open"
    page.close()


def test_a_frame_that_is_denied_storage_keeps_the_conversation_in_memory(
    browser: Any, site: SimpleNamespace, course: SimpleNamespace
) -> None:
    """What a browser does to a third-party frame at its strictest: any touch of storage throws."""
    page = browser.new_page(viewport=WIDE, locale="nb-NO")
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.add_init_script(
        """if (window !== top) for (const name of ["sessionStorage", "localStorage", "indexedDB", "caches"])
            Object.defineProperty(window, name, { get() { throw new DOMException(name, "SecurityError"); } });"""
    )
    page.goto(course_page(course, f'<iframe src="{site.url}/widget/" width="100%" height="600"></iframe>'))
    inside = page.frame_locator("iframe")
    for number in (1, 2):
        inside.locator("#question textarea").fill("Hva er dropout?" if number == 1 else "Hva er regularisering?")
        inside.locator("#question textarea").press("Enter")
        inside.locator(f".turn.done >> nth={number - 1}").wait_for()
    assert wrong == []
    page.close()
