"""The pages in real Chromium: a scripted model where only the page matters, the real one at the end."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import SMALL
from web import SCRIPT, Slow, make_tutor, opened, served

from ui.desk import Desk
from ui.settings import WebSettings
from ui.texts import text

pytestmark = pytest.mark.real
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
OPENING = "Dropout slår av tilfeldige noder i hvert steg av treningen."
SAYS = "Under testing er alle nodene med. Andelen noder som slås av, kalles $p$."
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
WIDE, PHONE = {"width": 1200, "height": 850}, {"width": 360, "height": 700}
LEAVING = re.compile("AbortError|Connection errored out")
"""What Gradio's client says when a page is left in the middle of an answer."""
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("no chromium: apt-get install chromium")
    # Third-party storage is blocked throughout, as it is in a Canvas page in most browsers.
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--test-third-party-cookie-phaseout"]
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield made
        made.close()


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A page of a course at another site than the tutor's."""
    folder = tmp_path_factory.mktemp("course")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(folder=folder, url=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.fixture(scope="module")
def site(course: SimpleNamespace) -> Iterator[SimpleNamespace]:
    model = Slow(name="manus", says=SAYS)
    tutor = make_tutor(SMALL, model)
    with served(opened(tutor, questions_a_minute=1000, allow_origins=(course.url,))) as url:
        yield SimpleNamespace(url=url, model=model, shelf=tutor.retriever)


@pytest.fixture
def visit(browser: Any, site: SimpleNamespace) -> Iterator[Open]:
    """Opens a page and waits until it is usable. Whatever goes wrong in it, or leaves the origin, fails the test."""
    site.model.pause, site.model.says = 0.0, SAYS
    wrong: list[str] = []
    contexts = []

    def open_page(path: str = "/", size: dict[str, int] = WIDE, locale: str = "nb-NO", **options: Any) -> Any:
        context = browser.new_context(viewport=size, locale=locale, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}") or dialog.dismiss())
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on(
            "request",
            lambda r: None if r.url.startswith((site.url, "data:", "blob:")) else wrong.append(f"foreign: {r.url}"),
        )
        page.goto(site.url + path)
        if path in ("/", "/widget/"):
            page.wait_for_selector(".welcome .chips")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [w for w in wrong if not LEAVING.search(w)] == []


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("no npm, so axe-core cannot be fetched")
    done = subprocess.run([npm, "pack", "axe-core@4", "--silent"], cwd=folder, capture_output=True, timeout=120)
    if done.returncode:
        pytest.skip("npm could not fetch axe-core")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member
        return member.read().decode()


def ask(page: Any, question: str) -> None:
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")


def answered(page: Any, turns: int = 1) -> Any:
    page.wait_for_function(
        f"document.querySelectorAll('.turn').length === {turns} && !document.querySelector('.turn[aria-busy=true]')"
    )
    return page.locator(".turn").last


def test_ask_and_follow_up(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    ask(page, "Hva er dropout?")
    turn = answered(page)
    assert turn.locator(".asked").inner_text().endswith("Hva er dropout?")
    assert OPENING in turn.locator(".said").inner_text()
    assert turn.locator(".said math").count() == 1
    assert page.input_value("#question textarea") == ""
    ask(page, "Hvorfor dropout da?")
    answered(page, 2)
    assert [t.role for t in site.shelf.histories[-1]] == ["user", "assistant"]
    assert "[1]" not in site.shelf.histories[-1][1].content
    page.click("#new")
    page.wait_for_selector(".welcome .chips")
    assert page.locator(".turn").count() == 0


def test_a_citation_opens_its_source_and_the_entry(visit: Open) -> None:
    page = visit()
    page.click("[data-ask='Hva er dropout?']")
    answered(page)
    page.click("button.cite >> nth=0")
    source = page.locator("#k0-1")
    assert source.is_visible() and OPENING in source.inner_text()
    assert page.evaluate("document.activeElement.id") == "k0-1"
    with page.expect_popup() as popup:
        source.locator("a").click()
    assert popup.value.locator("mark").inner_text() == OPENING
    assert popup.value.url.endswith("#sitat")


def test_opened_sources_stay_open(visit: Open) -> None:
    page = visit()
    ask(page, "Hva er dropout?")
    answered(page)
    page.click(".sources summary")
    ask(page, "Hva er regularisering?")
    answered(page, 2)
    assert page.locator("details").evaluate_all("all => all.map(d => d.open)") == [True, False]


def test_a_refusal_offers_the_nearest_terms(visit: Open) -> None:
    page = visit()
    ask(page, "Hva er fotosyntese?")
    turn = answered(page)
    assert "Det står ikke i ordlisten" in turn.inner_text()
    assert turn.locator(".sources").count() == 0
    turn.locator(".chips button").first.click()
    assert answered(page, 2).locator(".asked").inner_text().endswith("Hva er dropout?")


def test_stop_and_try_again(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    site.model.says, site.model.pause = SAYS + " Tøv om fisk." * 60, 0.03
    ask(page, "Hva er dropout?")
    page.wait_for_selector(".turn.writing")
    page.click("#stop")
    turn = answered(page)
    assert text("nb", "stopped") in turn.inner_text()
    assert OPENING in turn.inner_text()
    site.model.says, site.model.pause = SAYS, 0
    turn.get_by_role("button", name="Prøv igjen").click()
    page.wait_for_selector(".turn.done")
    assert page.locator(".turn").count() == 1
    assert text("nb", "stopped") not in page.locator(".turn").inner_text()


def test_reload_mid_answer_and_two_tabs(visit: Open, site: SimpleNamespace) -> None:
    one, two = visit(), visit()
    site.model.pause = 0.02
    ask(one, "Hva er dropout?")
    one.wait_for_selector(".turn")
    one.reload()
    one.wait_for_selector(".welcome .chips")
    ask(one, "Hva er dropout?")
    ask(two, "Hva er regularisering?")
    assert answered(one).locator(".asked").inner_text().endswith("dropout?")
    assert answered(two).locator(".asked").inner_text().endswith("regularisering?")


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


def test_an_answer_is_spoken_once(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    site.model.pause = 0.005
    page.evaluate(
        """() => {
            window.spoken = [];
            const read = () => {
                for (const e of document.querySelectorAll("[role=status], [aria-live=polite], [aria-live=assertive]")) {
                    const said = e.textContent.trim();
                    if (said && said !== spoken.at(-1)) spoken.push(said);
                }
            };
            new MutationObserver(read).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    ask(page, "Hva er dropout?")
    answered(page)
    spoken = page.evaluate("spoken")
    assert spoken[0] == text("nb", "working")
    assert len(spoken) == 2 and spoken[1].startswith(OPENING)


@pytest.mark.parametrize("path", ["/", "/widget/", "/ordliste", "/ordliste/dropout?sitat=Med#sitat"])
def test_a_phone_scrolls_one_way_only(visit: Open, path: str) -> None:
    page = visit(path, size=PHONE)
    if path in ("/", "/widget/"):
        ask(page, "Hva er dropout? " + "x" * 80)
        answered(page)
        page.click(".sources summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("path", ["/", "/ordliste"])
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


def test_search_as_you_type_and_without_script(visit: Open) -> None:
    page = visit("/ordliste")
    page.keyboard.press("Tab")
    page.fill("#q", "vektforfall")
    page.get_by_text("1 oppslag", exact=True).wait_for()
    assert page.locator(".entries li").count() == 1
    plain = visit("/ordliste", java_script_enabled=False)
    plain.fill("#q", "vektforfall")
    plain.keyboard.press("Enter")
    plain.wait_for_url("**/ordliste?q=vektforfall")
    assert plain.locator(".entries li").count() == 1


def test_ask_about_an_entry(visit: Open) -> None:
    page = visit("/ordliste/dropout")
    page.click("a.button")
    page.wait_for_selector(".turn")
    assert OPENING in answered(page).inner_text()
    assert "#" not in page.url


def test_hostile_questions_and_entries_are_inert(visit: Open) -> None:
    page = visit()
    for number, question in enumerate(
        (f"ond {SCRIPT}", "ond ![x](https://ond.example/y.png) <script>alert(1)</script>")
    ):
        ask(page, question)
        assert question in answered(page, number + 1).locator(".asked").inner_text()
    page.click(".sources summary >> nth=0")
    assert page.locator("#log img, #log script, #log [onerror]").count() == 0
    assert visit("/ordliste/ond").locator("main img").count() == 0


def test_nothing_is_stored_in_the_browser(visit: Open) -> None:
    page = visit()
    ask(page, "Hva er dropout?")
    answered(page)
    assert page.context.cookies() == []
    assert page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]") == []


def course_page(course: SimpleNamespace, body: str) -> str:
    name = f"{abs(hash(body))}.html"
    head = '<meta charset="utf-8"><title>Kurs</title><link rel="icon" href="data:,">'
    html = f'<!doctype html><html lang="nb">{head}<h1>Uke 4</h1>{body}</html>'
    (Path(course.folder) / name).write_text(html, encoding="utf-8")
    return f"{course.url}/{name}"


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


def test_the_page_says_that_it_is_warming_up(browser: Any) -> None:
    gate, settings = threading.Event(), WebSettings()

    def open_tutor() -> Any:
        gate.wait(30)
        return make_tutor(SMALL, Slow(says=SAYS))

    from ui.app import make_app

    desk = Desk(open_tutor, settings)
    desk.start()
    with served(make_app(desk, settings)) as url:
        page = browser.new_page(locale="nb-NO")
        page.goto(url)
        page.get_by_text(text("nb", "warming")).wait_for()
        gate.set()
        page.wait_for_selector(".welcome .chips")
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/", "/widget/", "/ordliste", "/ordliste/dropout?sitat=Under testing er alle nodene med."]
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


@pytest.mark.timeout(600)
def test_the_real_model_in_the_page(browser: Any, ready: SimpleNamespace) -> None:
    from tutor.open import open_tutor
    from tutor.settings import Settings

    tutor = open_tutor(Settings(home=ready.home))
    with served(opened(tutor)) as url:
        page = browser.new_page(locale="nb-NO")
        page.goto(url)
        page.wait_for_selector(".welcome .chips")
        ask(page, "Hva er weight decay?")
        page.wait_for_selector(".turn.done", timeout=120_000)
        assert "regulariseringsteknikk" in page.inner_text(".said")
        assert page.locator(".sources").count() == 1
        page.close()
