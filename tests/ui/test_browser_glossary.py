"""Glossary pages and concept map in real Chromium."""

from __future__ import annotations

import pytest
from browser import *  # noqa: F403
from browser import OPENING, PHONE, Open, answered

pytestmark = pytest.mark.real


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


def test_the_map_with_the_mouse(visit: Open) -> None:
    page = visit("/ordliste/kart")
    node = page.locator("#kart-dropout")
    node.locator("rect").hover()
    assert page.locator("svg a.near").evaluate_all("all => all.map(a => a.dataset.node).sort()") == [
        "dropout", "regularization", "weight-decay"
    ]  # fmt: skip
    width = page.locator("svg").bounding_box()["width"]
    page.get_by_role("button", name="Større").click()
    assert page.locator("svg").bounding_box()["width"] > width
    node.click()
    page.wait_for_url("**/ordliste/dropout")
    page.get_by_role("link", name="Vis i begrepskartet").click()
    page.wait_for_url("**/ordliste/kart#kart-dropout")
    assert page.locator("svg.chosen").count() == 1


def test_dragging_the_map_moves_it_and_opens_nothing(visit: Open) -> None:
    page = visit("/ordliste/kart", size=PHONE)
    sheet = page.locator(".sheet")
    for _ in range(3):
        page.get_by_role("button", name="Større").click()
    sheet.evaluate("s => s.scrollTo(50, 50)")
    box = page.locator("#kart-dropout rect").bounding_box()
    before = sheet.evaluate("s => [s.scrollLeft, s.scrollTop]")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 10, steps=4)
    page.mouse.up()
    assert sheet.evaluate("s => [s.scrollLeft, s.scrollTop]") != before
    assert page.url.endswith("/ordliste/kart")


def test_the_map_with_the_keyboard_and_without_script(visit: Open) -> None:
    page = visit("/ordliste/kart")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "kart-dropout":
            break
    assert page.locator("svg.chosen a.near").count() == 3
    assert page.locator("#kart-dropout rect").evaluate("r => getComputedStyle(r).strokeWidth") == "3.5px"
    page.keyboard.press("Enter")
    page.wait_for_url("**/ordliste/dropout")
    plain = visit("/ordliste/kart", java_script_enabled=False)
    assert not plain.locator(".zoom").is_visible()
    plain.locator("#kart-dropout").click()
    plain.wait_for_url("**/ordliste/dropout")
