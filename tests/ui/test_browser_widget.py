"""The widget and the frame in real Chromium, in a course page of another site, third-party storage blocked."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from browser import *  # noqa: F403
from browser import PHONE, RULES, WIDE, course_page
from conftest import ROOT, SMALL
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


DENIED = """() => {
    const denied = (touch) => { try { return !touch(); } catch { return true; } };
    return {
        cookies: denied(() => (document.cookie = "x=1; SameSite=None; Secure", document.cookie)),
        localStorage: denied(() => (localStorage.x = 1)),
        sessionStorage: denied(() => (sessionStorage.x = 1)),
    };
}"""
"""What a page is denied in the way of cookies and storage."""


def test_an_iframe_as_canvas_has_it(browser: Any, site: SimpleNamespace, course: SimpleNamespace) -> None:
    """Another site's page without script, and third-party cookies and storage blocked, as this Chromium does."""
    page = browser.new_page(viewport=WIDE, locale="nb-NO")
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.goto(f"{site.url}/ordliste")
    assert not any(page.evaluate(DENIED).values())
    page.context.clear_cookies()
    page.goto(course_page(course, f'<iframe src="{site.url}/widget/" width="100%" height="600"></iframe>'))
    inside = page.frame_locator("iframe")
    inside.locator(".welcome .chips button").first.click()
    turn = inside.locator(".turn.done")
    turn.wait_for()
    assert all(page.frames[1].evaluate(DENIED).values())
    inside.locator("#question textarea").fill("Hvorfor dropout da?")
    inside.locator("#question textarea").press("Enter")
    turn.nth(1).wait_for()
    assert [t.role for t in site.shelf.histories[-1]] == ["user", "assistant"]
    turn.nth(1).get_by_role("button", name="Kopier").click()  # the frame may not use the clipboard by itself
    inside.get_by_role("button", name="Kopiert").wait_for()
    inside.locator("#question textarea").press("Control+V")
    pasted = inside.locator("#question textarea").input_value()
    assert "Dropout slår av tilfeldige noder" in pasted and "[1]" not in pasted
    inside.locator("button.cite").last.click()
    with page.expect_popup() as popup:
        inside.locator(".sources[open] li a").first.click()
    assert popup.value.locator("mark").count() == 1
    assert page.context.cookies() == []
    assert [w for w in wrong if "Clipboard" not in w] == []
    page.close()


def test_the_lines_that_teachers_paste_work(browser: Any, site: SimpleNamespace, course: SimpleNamespace) -> None:
    guide = (ROOT / "docs" / "for-laerere.md").read_text(encoding="utf-8")
    frame, script = re.findall(r"```html\n(.*?)\n```", guide, re.DOTALL)
    page = browser.new_page(viewport=WIDE, locale="nb-NO")
    for pasted in (frame, script):
        page.goto(course_page(course, pasted.replace("https://veileder.skolen.no", site.url)))
        if pasted == script:
            page.get_by_role("button", name="Spør ordlisten").click()
        page.frame_locator("iframe[title='Spør ordlisten']").locator(".welcome .chips").wait_for()
        assert page.locator("iframe").bounding_box()["height"] > 500
    page.close()


@pytest.mark.parametrize("how", ["iframe", "widget.js"])
def test_a_site_that_is_not_on_the_list_cannot_embed(browser: Any, course: SimpleNamespace, how: str) -> None:
    with served(opened(make_tutor(SMALL, Slow()), allow_origins=("https://skolen.instructure.com",))) as url:
        page = browser.new_page(viewport=WIDE)
        refused: list[str] = []
        page.on("console", lambda m: refused.append(m.text))
        if how == "iframe":
            page.goto(course_page(course, f'<iframe src="{url}/widget/"></iframe>'))
        else:
            page.goto(course_page(course, f'<script src="{url}/widget.js"></script>'))
            page.get_by_role("button", name="Spør ordlisten").click()
        for _ in range(100):
            if any("frame-ancestors" in line for line in refused):
                break
            page.wait_for_timeout(50)
        assert any("frame-ancestors" in line for line in refused)
        assert page.frame_locator("iframe").locator("#log, textarea").count() == 0
        page.close()


ASKING = """async ([url, credentials]) => {
    const body = JSON.stringify({ question: "Hva er dropout?" });
    const headers = { "Content-Type": "application/json" };
    const ask = { method: "POST", headers, body, credentials };
    return fetch(url, ask).then((r) => r.json()).then((said) => said.answer, () => "denied");
}"""


def test_a_script_of_another_site_may_ask_only_when_allowed_and_never_with_credentials(
    browser: Any, site: SimpleNamespace, course: SimpleNamespace
) -> None:
    page = browser.new_page()
    page.goto(course_page(course, ""))
    assert "slår av" in page.evaluate(ASKING, [f"{site.url}/api/ask", "omit"])
    assert page.evaluate(ASKING, [f"{site.url}/api/ask", "include"]) == "denied"
    with served(opened(make_tutor(SMALL, Slow()))) as url:
        assert page.evaluate(ASKING, [f"{url}/api/ask", "omit"]) == "denied"
        assert page.evaluate("url => fetch(url).then(() => 1, () => 'denied')", f"{url}/config") == "denied"
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_in_a_course_page_with_the_widget(
    browser: Any, site: SimpleNamespace, course: SimpleNamespace, axe: str, scheme: str, size: dict[str, int]
) -> None:
    page = browser.new_page(viewport=size, locale="nb-NO", color_scheme=scheme)
    page.goto(widget_page(course, site, 'data-color="#767676"'))

    def check() -> None:
        for frame in page.frames:
            frame.evaluate(axe)
        found = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
        assert [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found["violations"]] == []

    button = page.get_by_role("button", name="Spør ordlisten")
    button.wait_for()
    check()
    button.click()
    page.frame_locator("iframe").locator(".welcome .chips button").first.click()
    page.frame_locator("iframe").locator(".turn.done").wait_for()
    check()
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
    with pytest.raises(Exception, match="indexedDB"):
        page.frames[1].evaluate("indexedDB")
    assert wrong == []
    page.close()
