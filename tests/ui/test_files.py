"""No file but those the page needs can be fetched, however its path is written.

Paths go over the wire letter for letter: httpx would tidy the dots away before they reached the server.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from conftest import ROOT, SMALL
from web import Slow, make_tutor, opened, served

SECRET = "hemmelig-" + uuid.uuid4().hex
NAMED = [  # as the issue lists them, and what else takes a name in this Gradio or took one in an older
    "/gradio_api/file={}", "/gradio_api/file/{}", "/file={}", "/file/{}", "/static/{}", "/assets/{}", "/svelte/{}",
    "/theme.css/{}", "/theme.css?x={}", "/upload/{}", "/gradio_api/upload/{}", "/gradio_api/upload?upload_id={}",
    "/gradio_api/upload_progress?upload_id={}", "/gradio_api/proxy={}", "/gradio_api/proxy=http://localhost/{}",
    "/gradio_api/stream/{}", "/gradio_api/custom_component/x/client/component/{}", "/pwa_icon/{}",
    "/gradio_api/deep_link?session_hash={}", "/?deep_link={}", "/config?deep_link={}", "/?page={}", "/config?page={}",
    "/ui/{}", "/ordliste/{}", "/ordliste?q={}", "/widget.js/{}", "/{}",
]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The app, and files that nobody shall see: the system's, ours, Gradio's, and one where Gradio keeps uploads."""
    import gradio
    from gradio.utils import get_upload_folder

    app = opened(make_tutor(SMALL, Slow()))
    kept = Path(get_upload_folder()) / uuid.uuid4().hex / "secret.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text(SECRET, encoding="utf-8")
    theirs = Path(gradio.__file__).parent
    there = [Path("/etc/passwd"), kept, ROOT / "ui" / "app.py", ROOT / "pyproject.toml", theirs / "routes.py"]
    with served(app) as url:
        yield SimpleNamespace(url=url.removeprefix("http://"), app=app, files=[f for f in there if f.is_file()])
    kept.unlink()
    kept.parent.rmdir()


def fetch(connection: HTTPConnection, path: str, method: str = "GET") -> tuple[int, str]:
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, response.read().decode("utf-8", "replace")


def spelled(file: Path) -> Iterator[str]:
    """Every way to write the path of ``file`` that some server has fallen for."""
    bare = str(file).lstrip("/")
    yield from (f"/{bare}", f"//{bare}", f"%2f{quote(bare, safe='')}", f"file:///{bare}", bare)
    for path in ("../" * 12 + bare, f"../{file.name}"):
        yield path
        yield path.replace("../", "..%2f").replace("/", "%2f")
        yield path.replace("..", "%2e%2e")
        yield quote(path, safe="").replace(".", "%2e")
        yield path.replace("..", "%252e%252e")
        yield path.replace("..", "..;")
        yield path.replace("/", "%5c")
        yield path.replace("../", "....//")
        yield path.replace("..", "%c0%ae%c0%ae")
        yield f"{path}%00.css"
        yield f"map.js/{path}"


def routes(app: Any, before: str = "") -> Iterator[str]:
    """Each route of the app, Gradio's inside it included, that takes a part of its path from the client."""
    for route in app.routes:
        path = before + getattr(route, "path", "")
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if hasattr(inner, "routes"):
            yield from routes(inner, path)
        elif "{" in path:
            yield path
        elif type(route).__name__ == "Mount":  # a folder of files
            yield f"{path}/{{path}}"


def open_to(site: SimpleNamespace) -> list[str]:
    """The routes with «{}» where the client's part goes; the last, where there are more."""
    found = {re.sub(r"\{[^}]*\}(?=.*\{)", "x", route) for route in routes(site.app)}
    named = {re.sub(r"\{[^}]*\}", "{}", route) for route in found}
    return sorted({*named, *NAMED, *(f"/widget{path}" for path in NAMED)})


def test_the_routes_that_take_a_path_are_known(site: SimpleNamespace) -> None:
    walked = set(routes(site.app))
    assert {"/ui/{path}", "/ordliste/{slug}", "/assets/{path:path}"} <= walked
    assert {"/gradio_api/file={path_or_url:path}", "/widget/gradio_api/file={path_or_url:path}"} <= walked


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_way_to_write_a_path_leads_out(site: SimpleNamespace, method: str) -> None:
    connection = HTTPConnection(site.url, timeout=30)
    for route in open_to(site):
        folder = re.search(r"/(ui|assets|static|ordliste)/{}", route)  # the ones that are there
        for file in site.files if folder and method == "GET" else site.files[:2]:
            begins = file.read_text(encoding="utf-8").splitlines()[0]
            for path in spelled(file):
                asked = route.replace("{}", path)
                status, said = fetch(connection, asked, method)
                assert begins not in said, (method, asked)
                assert status in (404, 405) or ("?" in asked and status < 500), (method, asked, status)


def test_what_the_page_needs_is_there(site: SimpleNamespace) -> None:
    connection = HTTPConnection(site.url, timeout=30)
    for path in ("/ui/base.css", "/theme.css", "/widget/theme.css", "/widget.js", "/ordliste/dropout"):
        assert fetch(connection, path)[0] == 200
    scripts = re.findall(r'src="\./(assets/[^"]+)"', fetch(connection, "/")[1])
    assert scripts and all(fetch(connection, f"{at}/{s}")[0] == 200 for s in scripts for at in ("", "/widget"))


def test_a_file_cannot_be_left_here(site: SimpleNamespace) -> None:
    from gradio.utils import get_upload_folder

    def there() -> set[Path]:
        return set(Path(get_upload_folder()).rglob("*"))

    before = there()
    body = f'--x\r\nContent-Disposition: form-data; name="files"; filename="../ond.html"\r\n\r\n{SECRET}\r\n--x--\r\n'
    for path in ("/upload", "/gradio_api/upload", "/widget/gradio_api/upload", "/gradio_api/upload?upload_id=x"):
        connection = HTTPConnection(site.url, timeout=30)
        connection.request("POST", path, body, {"Content-Type": "multipart/form-data; boundary=x"})
        assert connection.getresponse().status == 404
        connection.close()
    assert there() == before
