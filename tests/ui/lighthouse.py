"""What the page costs and how it is rated: python tests/ui/lighthouse.py [folder for npm's packages].

Starts ``tutor serve`` as a user does, and prints: seconds until the page is usable, requests and bytes of the
chat and the widget, and Lighthouse's marks for accessibility and best practices. Exits 1 below 100 and 95.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import Any

PATHS = ("/", "/widget/")
WANTED = {"accessibility": 100, "best-practices": 95}


@contextmanager
def serving() -> Iterator[str]:
    """``tutor serve`` in a process of its own."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, "-m", "tutor.cli", "serve", "--port", str(port)]) as process:
        try:
            yield f"http://localhost:{port}"
        finally:
            process.terminate()


def opened(browser: Any, address: str) -> tuple[Any, list[float]]:
    """The page, reloaded until it is usable, and the bytes of each request as they came over the wire."""
    while True:
        page = browser.new_page()
        sizes: list[float] = []
        wire = page.context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on("Network.loadingFinished", lambda event, into=sizes: into.append(event["encodedDataLength"]))
        try:
            page.goto(address)
        except Exception:  # nobody listens yet
            page.close()
            time.sleep(0.1)
            continue
        page.wait_for_selector(".welcome .chips", timeout=120_000)
        return page, sizes


def rated(address: str, folder: str) -> dict[str, tuple[float, list[str]]]:
    """Lighthouse's mark (0 to 100) for each category, and what it took points off for."""
    run = ["npm", "exec", "--yes", "--prefix", folder, "--", "lighthouse", address, "--output=json", "--quiet"]
    chrome = {"CHROME_PATH": shutil.which("chromium") or ""}
    done = subprocess.run(
        [*run, f"--only-categories={','.join(WANTED)}", "--chrome-flags=--headless --no-sandbox"],
        capture_output=True, encoding="utf-8", check=True, timeout=300, env={**os.environ, **chrome}, cwd=folder,
    )  # fmt: skip
    report = json.loads(done.stdout)
    marks = {}
    for name, category in report["categories"].items():
        audits = [report["audits"][a["id"]] for a in category["auditRefs"] if a["weight"]]
        failed = [a["title"] for a in audits if a["score"] is not None and a["score"] < 1]
        marks[name] = (100 * category["score"], failed)
    return marks


def main(folder: str) -> int:
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    good = True
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        start = time.monotonic()
        with serving() as url:
            opened(browser, url)
            print(f"from tutor serve to a usable page: {time.monotonic() - start:.1f} s", flush=True)
            for path in PATHS:
                page, sizes = opened(browser, url + path)
                page.wait_for_timeout(1500)
                print(f"{path}: {len(sizes)} requests, {sum(sizes) / 1000:.0f} kB", flush=True)
            browser.close()
            for path in PATHS:
                for name, (mark, failed) in rated(url + path, folder).items():
                    good &= mark >= WANTED[name]
                    print(f"{path}: {name} {mark:.0f}{''.join(f'; {f}' for f in failed)}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        sys.exit(main(str(Path(sys.argv[1] if sys.argv[1:] else scratch).resolve())))
