"""The conversation in real Chromium: a scripted model where only the page matters, the real one at the end."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from browser import *  # noqa: F403
from browser import OPENING, SAYS, Open, answered, ask
from conftest import SMALL
from web import Slow, make_tutor, opened, served

from ui.desk import Desk
from ui.settings import WebSettings
from ui.texts import text

pytestmark = pytest.mark.real


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
    page.click("[data-ask='Hva betyr dropout?']")
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


LONG = SAYS + " Tøv om fisk." * 100
"""What the model goes on saying for a while after the student has seen the first sentences."""


def writing(page: Any, site: SimpleNamespace, question: str = "Hva er dropout?") -> None:
    """In the middle of an answer that goes on for ten seconds."""
    site.model.says, site.model.pause = LONG, 0.025
    ask(page, question)
    page.wait_for_selector(".turn.writing")


def let_go(page: Any, model: Slow) -> None:
    """The model has stopped, and had more to say."""
    left = -1
    while left != model.unread:
        left = model.unread
        page.wait_for_timeout(300)
    assert left > 100


def test_stop_and_try_again(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    writing(page, site)
    page.click("#stop")
    turn = answered(page)
    assert text("nb", "stopped") in turn.inner_text()
    assert OPENING in turn.inner_text()
    let_go(page, site.model)
    site.model.says, site.model.pause = SAYS, 0
    try_again(page, without="stopped")


def test_a_question_sent_while_an_answer_is_being_written_waits_its_turn(visit: Open, site: SimpleNamespace) -> None:
    """The page is at work a moment longer than the answer looks it, so this is also who asks at once after one."""
    page = visit()
    writing(page, site)
    ask(page, "Hva er regularisering?")
    page.wait_for_timeout(300)
    assert page.locator(".turn").count() == 1
    site.model.says, site.model.pause = SAYS, 0
    page.click("#stop")
    assert "regularisering" in answered(page, 2).locator(".said").inner_text().lower()
    assert text("nb", "stopped") in page.locator(".turn").first.inner_text()
    assert page.input_value("#question textarea") == ""


def test_a_new_conversation_in_the_middle_of_an_answer(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    writing(page, site)
    page.click("#new")
    page.wait_for_selector(".welcome .chips")
    let_go(page, site.model)
    assert page.locator(".turn").count() == 0
    site.model.says, site.model.pause = SAYS, 0
    ask(page, "Hva er regularisering?")
    assert "regularisering" in answered(page).locator(".said").inner_text().lower()


@pytest.mark.parametrize("path", ["/", "/widget/"])
def test_a_reload_in_the_middle_of_an_answer(visit: Open, site: SimpleNamespace, path: str) -> None:
    page = visit(path)
    writing(page, site)
    page.reload()
    if path == "/":
        turn = answered(page)
        assert OPENING in turn.inner_text() and text("nb", "interrupted") in turn.inner_text()
    else:
        page.wait_for_selector(".welcome .chips")  # the widget keeps nothing
    let_go(page, site.model)
    site.model.says, site.model.pause = SAYS, 0
    if path == "/":
        try_again(page, without="interrupted")
    ask(page, "Hva er regularisering?")
    assert "regularisering" in answered(page, 2 if path == "/" else 1).locator(".said").inner_text().lower()


def test_a_reload_while_waiting_in_line(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    other = tab(page, site)
    writing(other, site)
    ask(page, "Hva er regularisering?")
    page.locator(".note", has_text=text("nb", "queued", n=2)).wait_for()
    page.reload()
    assert text("nb", "interrupted") in answered(page).inner_text()
    other.click("#stop")
    answered(other)
    site.model.says, site.model.pause = SAYS, 0
    try_again(page, without="interrupted")


def test_a_tab_that_is_closed_lets_the_model_go(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    other = tab(page, site)
    writing(other, site)
    other.close()
    let_go(page, site.model)


def tab(page: Any, site: SimpleNamespace) -> Any:
    """Another tab of the same browser."""
    made = page.context.new_page()
    made.goto(site.url)
    made.wait_for_selector(".welcome .chips")
    return made


def test_two_tabs_at_once_have_a_conversation_each(visit: Open, site: SimpleNamespace) -> None:
    one = visit()
    two = tab(one, site)
    site.model.pause = 0.05
    ask(one, "Hva er dropout?")
    ask(two, "Hva er weight decay?")
    one.wait_for_selector(".turn[aria-busy=true]")
    two.locator(".note", has_text=text("nb", "queued", n=2)).wait_for()
    for page, term in ((one, "dropout"), (two, "weight decay")):
        turn = answered(page)
        assert turn.locator(".asked").inner_text().endswith(f"{term}?")
        assert turn.locator(".said").inner_text().lower().startswith(term)
        before = turn.inner_text()
        page.reload()
        assert answered(page).inner_text() == before


def test_what_is_stopped_in_one_tab_goes_on_in_the_other(visit: Open, site: SimpleNamespace) -> None:
    one = visit()
    two = tab(one, site)
    site.model.says, site.model.pause = SAYS + " Tøv om fisk." * 20, 0.03
    for page in (one, two):
        ask(page, "Hva er dropout?")  # the very same: they share the answer
        page.wait_for_selector(".turn.writing")
    one.click("#stop")
    assert text("nb", "stopped") in answered(one).inner_text()
    assert "Under testing er alle nodene med." in answered(two).locator(".said").inner_text()
    assert two.locator(".turn.done").count() == 1


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


def test_a_question_to_go_on_with(visit: Open) -> None:
    page = visit()
    ask(page, "Hva er dropout?")
    chips = answered(page).locator(".chips button")
    assert chips.all_inner_texts() == [
        "Vis et eksempel på dropout",
        "Hva er forskjellen på dropout og weight decay?",
        "Hva betyr regularisering?",
    ]
    chips.nth(1).click()
    turn = answered(page, 2)
    assert turn.locator(".asked").inner_text().endswith("Hva er forskjellen på dropout og weight decay?")
    assert page.locator(".chips").count() == 1  # only under the last answer
    assert "Hva er forskjellen på dropout og weight decay?" not in turn.locator(".chips").inner_text()


def test_the_conversation_is_there_after_a_reload_until_a_new_one_is_begun(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    ask(page, "Hva er dropout?")
    before = answered(page).inner_text()
    page.reload()
    assert answered(page).inner_text() == before
    ask(page, "Hvorfor dropout da?")
    answered(page, 2)
    assert site.shelf.histories[-1][0].content == "Hva er dropout?"
    page.click("#new")
    page.wait_for_selector(".welcome .chips")
    page.reload()
    page.wait_for_selector(".welcome .chips")
    assert page.locator(".turn").count() == 0


def test_the_conversation_as_a_file(visit: Open) -> None:
    page = visit()
    assert not page.locator("#download").is_visible()
    ask(page, "Hva er dropout?")
    answered(page)
    with page.expect_download() as saved:
        page.click("#download")
    assert saved.value.suggested_filename.endswith(".md")
    written = saved.value.path().read_text(encoding="utf-8")
    assert "## Hva er dropout?" in written and f"{OPENING} [1]" in written
    assert f"1. **dropout**: {OPENING}" in written and "$p$" in written


def test_copy(visit: Open) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    ask(page, "Hva er dropout?")
    answered(page).locator("[data-copy]").click()
    page.get_by_role("button", name="Kopiert").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(OPENING) and "[1]" not in copied


def test_a_source_can_be_opened_while_the_answer_grows(visit: Open, site: SimpleNamespace) -> None:
    page = visit()
    writing(page, site)
    page.click(".turn.writing button.cite")
    assert page.locator("#k0-1").is_visible()
    assert page.locator(".turn.writing").count() == 1
    page.click("#stop")
    assert answered(page).locator(".sources li").count() >= 1


def test_thumbs_are_kept_only_where_the_teacher_has_turned_them_on(visit: Open, browser: Any, tmp_path: Path) -> None:
    page = visit()
    ask(page, "Hva er dropout?")
    assert answered(page).locator(".thumb").count() == 0
    file = tmp_path / "home" / "feedback.jsonl"
    with served(opened(make_tutor(SMALL, Slow(says=SAYS)), feedback=file)) as url:
        page = browser.new_page(locale="nb-NO")
        page.goto(url)
        page.wait_for_selector(".welcome .chips")
        assert text("nb", "notice_feedback") in page.inner_text("body")
        ask(page, "Hva er dropout?")
        answered(page)
        page.get_by_role("button", name="Ikke nyttig").click()
        page.get_by_text(text("nb", "thanks")).wait_for()
        page.get_by_label(text("nb", "why_verdict")).fill("For kort æøå")
        page.locator("[data-why]").click()
        while len(lines := file.read_text(encoding="utf-8").splitlines()) < 2:
            page.wait_for_timeout(50)
        ask(page, "Hva er regularisering?")
        answered(page, 2)
        assert page.locator(".thumb.down").first.get_attribute("aria-pressed") == "true"
        page.close()
    kept = [json.loads(line) for line in lines]
    assert [k["comment"] for k in kept] == ["", "For kort æøå"]
    assert (
        kept[1]["verdict"] == "down" and kept[1]["question"] == "Hva er dropout?" and kept[1]["entries"] == ["dropout"]
    )
    assert set(kept[1]) == {"time", "verdict", "question", "answer", "entries", "comment"}
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.timeout(600)
def test_the_real_model_in_the_page(browser: Any, ready: SimpleNamespace) -> None:
    """Ask, open a citation, follow up, stop, be refused: the shipped glossary and the default model."""
    from tutor.open import open_tutor
    from tutor.settings import Settings

    with served(opened(open_tutor(Settings(home=ready.home)))) as url:
        page = browser.new_page(locale="nb-NO")
        page.set_default_timeout(120_000)
        page.goto(url)
        page.wait_for_selector(".welcome .chips")
        ask(page, "Hva er weight decay?")
        turn = answered(page)
        assert "regulariseringsteknikk" in turn.locator(".said").inner_text()
        turn.locator("button.cite").first.click()
        quote = turn.locator(".sources li blockquote").first.inner_text()
        with page.expect_popup() as popup:
            turn.locator(".sources li a").first.click()
        assert popup.value.locator("mark").inner_text() == quote
        popup.value.close()
        ask(page, "Og dropout?")
        assert "dropout" in answered(page, 2).locator(".sources .terms").inner_text()
        ask(page, "Hvorfor hjelper batch normalization mot ustabil trening, og hvordan virker det?")
        page.wait_for_selector(".turn.writing")
        page.click("#stop")
        assert text("nb", "stopped") in answered(page, 3).inner_text()
        ask(page, "Hvem vant fotball-VM i 2014?")
        refused = answered(page, 4)
        assert "Det står ikke i ordlisten" in refused.inner_text() and refused.locator(".cite").count() == 0
        page.close()


def try_again(page: Any, without: str) -> None:
    """«Prøv igjen» gives a whole answer in the same turn, without the note of that name."""
    answered(page).get_by_role("button", name="Prøv igjen").click()
    page.wait_for_selector(".turn.done")
    assert page.locator(".turn").count() == 1
    assert text("nb", without) not in page.locator(".turn").inner_text()
