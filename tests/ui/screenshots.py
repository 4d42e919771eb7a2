"""Pictures of every page for the README, with the real model: python tests/ui/screenshots.py [folder/] [scene …].

Each scene is played once and taken four times: desktop and phone, light and dark.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from web import opened, served

from tutor.open import open_tutor

DOCS = Path(__file__).resolve().parents[2] / "docs" / "skjermbilder"
DESKTOP, PHONE = {"width": 1100, "height": 760}, {"width": 360, "height": 720}
COURSE = """<!doctype html><html lang="nb"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Uke 4</title>
<style>body { font: 17px/1.6 Georgia, serif; max-width: 38rem; margin: 3rem auto 3rem 3rem; padding-right: 1.5rem }
h1 { font-size: 1.9rem } @media (max-width: 30rem) { body { margin-left: 1.5rem } }</style>
<h1>Uke 4: Regularisering</h1>
<p>Denne uken ser vi på hva som skjer når en modell lærer treningsdataene utenat, og på tre måter å hindre det på.</p>
<p id="p">Vi begynner med <b>dropout</b>, som slår av tilfeldige nevroner mens modellen trener.</p>
<p>Deretter ser vi på weight decay og på å stoppe treningen i tide.</p>
<script src="TUTOR/widget.js" data-title="Spør ordlisten"></script></html>"""


def ask(page: Any, question: str) -> None:
    """Ask and wait for the whole answer."""
    turns = page.locator(".turn").count()
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    page.wait_for_function(
        f"document.querySelectorAll('.turn').length > {turns} && !document.querySelector('.turn[aria-busy=true]')",
        timeout=120_000,
    )
    page.wait_for_timeout(900)


def start(page: Any) -> None:
    page.wait_for_selector(".welcome .chips")


def chat(page: Any) -> None:
    start(page)
    ask(page, "Hva er weight decay?")
    ask(page, "Hva er forskjellen på L1 og L2?")


def citation(page: Any) -> None:
    start(page)
    ask(page, "Hvordan virker dropout?")
    page.click("button.cite >> nth=1")
    page.wait_for_timeout(600)


def refusal(page: Any) -> None:
    start(page)
    ask(page, "Hvem vant fotball-VM i 2014?")


def widget(page: Any) -> None:
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#p b'))")
    page.get_by_role("button", name="Spør ordlisten").click()
    page.frame_locator("iframe").locator(".turn.done").wait_for(timeout=120_000)
    page.wait_for_timeout(900)


def bring_into_view(page: Any) -> None:
    """The last question at the top of the window, or the chosen term in the middle of the map."""
    page.evaluate("""() => {
        scrollTo({ top: 0, behavior: "instant" });
        const last = [...document.querySelectorAll(".turn")].at(-1);
        if (last) scrollBy({ top: last.getBoundingClientRect().top - 8, behavior: "instant" });
        const sheet = document.querySelector(".sheet");
        if (sheet) centre(document.querySelector("#kart-overfitting"));
    }""")
    page.wait_for_timeout(200)


def nothing(page: Any) -> None:
    page.wait_for_timeout(300)


SCENES: dict[str, tuple[str, Callable[[Any], None]]] = {
    "start": ("/", start),
    "chat": ("/", chat),
    "kilde": ("/", citation),
    "avslag": ("/", refusal),
    "widget": ("course", widget),
    "ordliste": ("/ordliste", nothing),
    "oppslag": ("/ordliste/dropout", nothing),
    "kart": ("/ordliste/kart", nothing),
}


@contextmanager
def course(tutor: str) -> Iterator[str]:
    """A course page at another port, with the widget in it."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "index.html").write_text(COURSE.replace("TUTOR", tutor), encoding="utf-8")

        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

        with ThreadingHTTPServer(("127.0.0.1", 8765), partial(Quiet, directory=folder)) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield "http://127.0.0.1:8765/"
            server.shutdown()


def main(folder: Path, names: list[str]) -> None:
    """Play the scenes in ``names``, or all, and take the pictures."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    app = opened(open_tutor(), questions_a_minute=1000, allow_origins=("http://127.0.0.1:8765",))
    with served(app) as url, course(url) as course_url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scene, (path, play) in SCENES.items():
            if names and scene not in names:
                continue
            page = browser.new_page(viewport=DESKTOP, locale="nb-NO")
            page.goto(course_url if path == "course" else url + path)
            play(page)
            for device, size in (("", DESKTOP), ("-mobil", PHONE)):
                page.set_viewport_size(size)
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)
                    page.wait_for_timeout(300)
                    bring_into_view(page)
                    page.screenshot(path=folder / f"{scene}{device}{'-natt' if scheme == 'dark' else ''}.png")
            page.close()
            print(scene, flush=True)
        browser.close()


if __name__ == "__main__":
    chosen = sys.argv[1:]
    main(Path(chosen[0]) if chosen and "/" in chosen[0] else DOCS, [c for c in chosen if "/" not in c])
