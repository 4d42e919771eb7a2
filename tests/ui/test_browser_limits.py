"""What a student sees when too many ask, or when the tutor is not there: told in the page's language, and soon well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from browser import *  # noqa: F403
from browser import OPENING, PHONE, RULES, SAYS, answered, ask
from conftest import SMALL
from web import Slow, make_tutor, opened, served

from ui.texts import text

pytestmark = pytest.mark.real
LONG = SAYS + " Tøv om fisk." * 200
LOCALES = [("nb-NO", "nb"), ("nn-NO", "nn"), ("en-GB", "en")]


@pytest.fixture
def busy() -> Iterator[SimpleNamespace]:
    """The app with a line of two."""
    model = Slow(says=LONG, pause=0.03)
    app = opened(make_tutor(SMALL, model), longest_queue=2, questions_a_minute=4)
    with served(app) as url:
        yield SimpleNamespace(url=url, model=model, app=app)


@contextmanager
def asking(url: str, others: int) -> Iterator[None]:
    """So many other students ask, each from an address of their own, until the block is left."""
    held = []
    with ExitStack() as open_until_then:
        for number in range(others):
            way = httpx.HTTPTransport(local_address=f"127.0.1.{number + 1}")
            student = open_until_then.enter_context(httpx.Client(base_url=url, timeout=30, transport=way))
            body, headers = {"question": f"Hva er dropout nummer {number}?"}, {"accept": "text/event-stream"}
            stream = open_until_then.enter_context(student.stream("POST", "/api/ask", json=body, headers=headers))
            held.append(stream.iter_lines())
            assert next(held[-1]).startswith("event: ")
        yield


def start(browser: Any, url: str, locale: str, **options: Any) -> Any:
    page = browser.new_page(locale=locale, **options)
    page.goto(url)
    page.wait_for_selector(".welcome .chips")
    return page


@pytest.mark.parametrize(("locale", "language"), LOCALES)
def test_a_line_that_is_full(browser: Any, busy: SimpleNamespace, locale: str, language: str) -> None:
    page = start(browser, busy.url, locale)
    with asking(busy.url, 2):
        ask(page, "Hva er regularisering?")
        turn = answered(page)
        assert turn.locator(".note").inner_text() == text(language, "queue")
        assert page.locator("[role=status]", has_text=text(language, "queue")).count() == 1
    busy.model.says, busy.model.pause = SAYS, 0
    turn.get_by_role("button", name=text(language, "retry")).click()
    page.wait_for_selector(".turn.done")
    assert page.locator(".turn").count() == 1 and text(language, "queue") not in page.inner_text("#log")
    page.close()


def test_a_place_in_line(browser: Any, busy: SimpleNamespace) -> None:
    page = start(browser, busy.url, "nb-NO")
    with asking(busy.url, 1):
        ask(page, "Hva er dropout?")
        page.locator(".note", has_text=text("nb", "queued", n=2)).wait_for()
    busy.model.says, busy.model.pause = SAYS, 0
    assert OPENING in answered(page).inner_text()
    page.close()


def test_one_who_asks_too_often(browser: Any, busy: SimpleNamespace) -> None:
    page = start(browser, busy.url, "nb-NO")
    busy.model.says, busy.model.pause = SAYS, 0
    for number in range(1, 6):
        ask(page, f"Hva er dropout nummer {number}?")
        turn = answered(page, number)
    assert turn.locator(".note").inner_text() == text("nb", "rate")
    assert page.locator(".turn.done").count() == 4
    page.close()


def test_trying_again_too_often_keeps_the_answer(browser: Any, busy: SimpleNamespace) -> None:
    page = start(browser, busy.url, "nb-NO")
    busy.model.says, busy.model.pause = SAYS, 0
    for _ in range(3):
        assert httpx.post(f"{busy.url}/api/ask", json={"question": "Hva er dropout?"}, timeout=30).status_code == 200
    ask(page, "Hva er dropout?")
    answered(page).get_by_role("button", name=text("nb", "retry")).click()
    page.locator(".turns > .note", has_text=text("nb", "rate")).wait_for()
    assert OPENING in answered(page).locator(".said").inner_text()
    page.reload()
    assert OPENING in answered(page).locator(".said").inner_text()
    assert text("nb", "rate") not in page.inner_text("#log")
    page.close()


def test_a_question_cannot_be_typed_too_long(browser: Any, busy: SimpleNamespace) -> None:
    page = start(browser, busy.url, "nb-NO")
    page.click("#question textarea")
    page.keyboard.insert_text("dropout " * 100)
    assert len(page.input_value("#question textarea")) == 500
    page.close()


@pytest.mark.parametrize(("locale", "language"), LOCALES)
def test_gradio_s_own_refusal_is_not_in_gradio_s_words(
    browser: Any, busy: SimpleNamespace, axe: str, locale: str, language: str
) -> None:
    page = start(browser, busy.url, locale, viewport=PHONE, bypass_csp=True)
    for queue in queues(busy.app):
        queue.max_size = 0
    ask(page, "Hva er dropout?")
    trouble = page.get_by_role("alert")
    trouble.get_by_text(text(language, "trouble")).wait_for()
    shown = page.inner_text("body")
    assert "Error" not in shown and "busy" not in shown
    assert page.input_value("#question textarea") == "Hva er dropout?"
    page.evaluate(axe)
    assert page.evaluate("rules => axe.run({ runOnly: rules })", RULES)["violations"] == []
    page.close()


def queues(app: Any) -> list[Any]:
    """Gradio's own queue of each page. They are longer than a burst, so that it reaches the desk, which is kinder."""
    found = [r.app.blocks._queue for r in app.routes if hasattr(getattr(r, "app", None), "blocks")]
    assert len(found) == 2
    return found


def test_the_next_question_works_after_gradio_s_own_refusal(browser: Any, busy: SimpleNamespace) -> None:
    page = start(browser, busy.url, "nb-NO")
    most = [queue.max_size for queue in queues(busy.app)]
    assert min(most) >= 200
    for size in (0, most[0]):
        for queue in queues(busy.app):
            queue.max_size = size
        if not size:
            ask(page, "Hva er dropout?")
            page.get_by_role("alert").get_by_text(text("nb", "trouble")).wait_for()
    busy.model.says, busy.model.pause = SAYS, 0
    page.keyboard.press("Enter")
    assert OPENING in answered(page).inner_text()
    page.wait_for_function("document.querySelector('#trouble').textContent === ''")
    page.close()


def test_a_tutor_that_is_stopped_in_the_middle_of_an_answer_and_comes_back(browser: Any) -> None:
    with served(opened(make_tutor(SMALL, Slow(says=LONG, pause=0.03)))) as url:
        page = start(browser, url, "nn-NO")
        ask(page, "Hva er dropout?")
        page.wait_for_selector(".turn.writing")
    page.get_by_role("alert").get_by_text(text("nn", "trouble")).wait_for()
    with served(opened(make_tutor(SMALL, Slow(says=SAYS))), port=int(url.rpartition(":")[2])):
        page.get_by_role("button", name=text("nn", "reload")).click()
        turn = answered(page)
        assert OPENING in turn.inner_text() and text("nn", "interrupted") in turn.inner_text()
        ask(page, "Hva er regularisering?")
        assert answered(page, 2).locator(".said").count() == 1
    page.close()
