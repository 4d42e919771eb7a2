"""What the browser tests share: Chromium, the tutor's pages, and a course page at another site."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from conftest import SMALL
from web import Slow, make_tutor, opened, served

__all__ = ["axe", "browser", "course", "site", "visit"]  # the fixtures, for «import *»
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
OPENING = "Dropout slår av tilfeldige noder i hvert steg av treningen."
SAYS = "Under testing er alle nodene med. Andelen noder som slås av, kalles $p$."
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
WIDE, PHONE = {"width": 1200, "height": 850}, {"width": 360, "height": 700}
LEAVING = re.compile("AbortError|Connection errored out")
"""What Gradio's client says when a page is left in the middle of an answer."""
Open = Callable[..., Any]


def left_out(why: str) -> NoReturn:
    """Say what is left out; in CI nothing may be."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM:
        left_out("no chromium: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
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
    ours = (f"{site.url}/", "data:", "blob:")
    wrong: list[str] = []
    contexts = []

    def open_page(path: str = "/", size: dict[str, int] = WIDE, locale: str = "nb-NO", **options: Any) -> Any:
        context = browser.new_context(viewport=size, locale=locale, **options)
        contexts.append(context)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}") or dialog.dismiss())
        context.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        context.on("request", lambda r: None if r.url.startswith(ours) else wrong.append(f"foreign: {r.url}"))
        page = context.new_page()
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
        left_out("no npm, so axe-core cannot be fetched")
    done = subprocess.run([npm, "pack", "axe-core@4", "--silent"], cwd=folder, capture_output=True, timeout=120)
    if done.returncode:
        left_out("npm could not fetch axe-core")
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


def course_page(course: SimpleNamespace, body: str) -> str:
    name = f"{abs(hash(body))}.html"
    head = '<meta charset="utf-8"><title>Kurs</title><link rel="icon" href="data:,">'
    html = f'<!doctype html><html lang="nb">{head}<h1>Uke 4</h1>{body}</html>'
    (Path(course.folder) / name).write_text(html, encoding="utf-8")
    return f"{course.url}/{name}"
