"""The API, its limits and the headers, with a scripted model."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import SMALL
from fastapi.testclient import TestClient
from web import Slow, client, make_tutor, opened, served

from tutor.errors import ModelError
from tutor.tutor import Tutor
from ui.app import make_app
from ui.desk import Desk
from ui.settings import WebSettings

OPENING = "Dropout slår av tilfeldige noder i hvert steg av treningen."
COURSE = "https://skolen.instructure.com"
SECOND = "Andelen noder som slås av, kalles $p$."
SAYS = "Under testing er alle nodene med."
ASKED = ("/api/ask", "/api/feedback", "/gradio_api/queue/join", "/widget/gradio_api/queue/join", "/gradio_api/cancel")
READ = ("/", "/config", "/theme.css", "/gradio_api/startup-events", "/ordliste", "/healthz")


@pytest.fixture(scope="module")
def web() -> Iterator[TestClient]:
    tutor = make_tutor(SMALL, Slow(name="manus", says=SAYS))
    with client(opened(tutor, allow_origins=(COURSE,), questions_a_minute=1000)) as made:
        yield made


def ask(web: TestClient, question: str = "Hva er dropout?", **headers: str):  # type: ignore[no-untyped-def]
    return web.post("/api/ask", json={"question": question}, headers=headers)


def test_an_answer_as_json(web: TestClient) -> None:
    answer = web.post("/api/ask", json={"question": "Hva er dropout?", "id": 7}).json()
    assert answer["answer"] == f"{OPENING} [1] {SECOND} [2] {SAYS} [3]"
    assert (answer["id"], answer["refused"], answer["model"]) == (7, False, "manus")
    assert answer["citations"][0] == {"marker": "1", "entry_id": "dropout", "term": "dropout", "quote": OPENING}
    assert set(answer) == {
        "id", "question", "answer", "refused", "language", "citations", "suggestions", "withheld", "model", "timings"
    }  # fmt: skip


def test_an_answer_as_server_sent_events(web: TestClient) -> None:
    response = ask(web, accept="text/event-stream")
    assert response.headers["content-type"].startswith("text/event-stream")
    events = re.findall(r"event: (\w+)\ndata: (.*)\n\n", response.text)
    assert [name for name, _ in events] == ["delta", "delta", "delta", "answer"]
    said = "".join(json.loads(data)["text"] for name, data in events if name == "delta")
    assert said == json.loads(events[-1][1])["answer"]


def test_history_reaches_the_tutor() -> None:
    tutor = make_tutor(SMALL, Slow(says=SAYS))
    with client(opened(tutor)) as web:
        before = [{"role": "user", "content": "Hva er dropout?"}, {"role": "assistant", "content": OPENING}]
        web.post("/api/ask", json={"question": "Hvorfor dropout?", "history": before})
    assert [t.content for t in tutor.retriever.histories[-1]] == ["Hva er dropout?", OPENING]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"question": "x" * 501}, "for langt"),
        ({"question": " ?! "}, "med ord"),
        ({"question": 5}, "kan ikke leses"),
        ({}, "kan ikke leses"),
        ({"question": "a", "history": [{"role": "system", "content": "x"}]}, "kan ikke leses"),
    ],
)
def test_what_cannot_be_answered_is_told_kindly(web: TestClient, content: object, says: str) -> None:
    response = web.post("/api/ask", json=content)
    assert response.status_code == 422
    assert says in response.json()["error"]


def test_messages_are_in_the_reader_s_language(web: TestClient) -> None:
    assert "teikn" in ask(web, "x" * 501, **{"accept-language": "nn-NO,nb;q=0.8"}).json()["error"]
    assert "characters" in ask(web, "x" * 501, **{"accept-language": "en-GB"}).json()["error"]
    assert "tegn" in ask(web, "x" * 501, **{"accept-language": "de;q=bogus,fi"}).json()["error"]


def test_a_body_that_is_too_large(web: TestClient) -> None:
    assert web.post("/api/ask", content=b"x" * 300_000).status_code == 413
    chunks = (b"x" * 10_000 for _ in range(40))
    assert web.post("/api/ask", content=chunks, headers={"content-type": "application/json"}).status_code >= 400


def test_too_many_questions_a_minute() -> None:
    with client(opened(make_tutor(SMALL, Slow(says=SAYS)), questions_a_minute=2)) as web:
        assert [ask(web).status_code for _ in range(3)] == [200, 200, 429]
        refused = ask(web)
    assert refused.json()["kind"] == "rate"
    assert 0 < int(refused.headers["retry-after"]) <= 60


def test_a_client_that_leaves_frees_the_model() -> None:
    slow = Slow(says=f"{SAYS} " + "Dette er tøv om fisk. " * 40, pause=0.01)
    with served(opened(make_tutor(SMALL, slow))) as url:
        with httpx.stream(
            "POST", f"{url}/api/ask", json={"question": "Hva er dropout?"}, headers={"accept": "text/event-stream"}
        ) as response:
            next(response.iter_lines())
        slow.says, slow.pause = SAYS, 0
        assert httpx.post(f"{url}/api/ask", json={"question": "Hva er dropout?"}, timeout=30).status_code == 200


def test_not_ready_while_the_model_loads() -> None:
    gate = threading.Event()
    settings = WebSettings()

    def open_tutor() -> Tutor:
        gate.wait(10)
        return make_tutor(SMALL, Slow(says=SAYS))

    desk = Desk(open_tutor, settings)
    desk.start()
    with client(make_app(desk, settings)) as web:
        assert web.get("/healthz").status_code == 200
        assert web.get("/readyz").json() == {"status": "warming"}
        assert web.get("/readyz").status_code == 503
        assert ask(web).status_code == 503
        assert web.get("/ordliste").status_code == 503
        gate.set()
        while web.get("/readyz").status_code != 200:
            pass
        assert ask(web).status_code == 200


def test_a_tutor_that_cannot_be_opened() -> None:
    def broken() -> Tutor:
        raise ModelError("Modellen mangler.")

    told = threading.Event()
    desk = Desk(broken, WebSettings())
    desk.start(failed=told.set)
    assert told.wait(5)
    with client(make_app(desk, WebSettings())) as web:
        assert web.get("/readyz").json() == {"status": "failed"}
        assert ask(web).json()["kind"] == "failed"


@pytest.mark.parametrize("path", ["/", "/widget/", "/ordliste", "/ordliste/dropout", "/api/ask", "/nei", "/widget.js"])
def test_every_answer_carries_the_headers(web: TestClient, path: str) -> None:
    headers = web.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == f"'self' {COURSE}"
    assert policy["default-src"] == "'none'"
    assert "'unsafe-inline'" not in policy["script-src"]
    assert ("'unsafe-eval'" in policy["script-src"]) == (path in ("/", "/widget/"))
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_only_the_own_origin_may_embed_unless_told_otherwise() -> None:
    with client(opened(make_tutor(SMALL, Slow()))) as web:
        assert "frame-ancestors 'self'" in web.get("/widget/").headers["content-security-policy"]
        assert COURSE not in web.get("/widget/").headers["content-security-policy"]
        assert ask(web, origin=COURSE).status_code == 403


@pytest.mark.parametrize("host", ["localhost:7860", "veileder.skolen.no"])  # Gradio trusts anyone where it is not local
@pytest.mark.parametrize("origin", ["https://ond.example", "null", f"{COURSE}.ond.example", "https://localhost"])
def test_a_foreign_origin_gets_nothing(web: TestClient, host: str, origin: str) -> None:
    foreign = {"origin": origin, "host": host}
    preflight = {**foreign, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    refused = [web.post(path, json={"question": "Hva er dropout?"}, headers=foreign) for path in ASKED]
    assert {r.status_code for r in refused} == {403}
    asked = [web.options(path, headers=preflight) for path in ASKED]
    read = [web.get(path, headers=foreign) for path in READ]
    for response in (*refused, *asked, *read):
        assert "access-control-allow-origin" not in response.headers, response.url
        assert "access-control-allow-credentials" not in response.headers, response.url


def test_an_allowed_origin_and_our_own_may_ask(web: TestClient) -> None:
    allowed = ask(web, origin=COURSE)
    assert allowed.headers["access-control-allow-origin"] == COURSE
    assert "access-control-allow-credentials" not in allowed.headers
    assert ask(web, origin="http://localhost:7860").status_code == 200
    behind_a_proxy = {"origin": "https://veileder.skolen.no", "x-forwarded-host": "veileder.skolen.no"}
    assert ask(web, **behind_a_proxy).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring", "/monitoring/summary", "/gradio_api/upload", "/gradio_api/file=/etc/passwd", "/login",
        "/gradio_api/proxy=https://ond.example", "/gradio_api/run/ask", "/gradio_api/call/ask", "/docs", "/robots.txt",
        "/gradio_api/stream/x", "/gradio_api/vibe-code", "/gradio_api/runs", "/widget/monitoring", "/ui/", "/assets/",
    ],
)  # fmt: skip
def test_paths_that_are_not_there(web: TestClient, path: str) -> None:
    for method in ("GET", "POST"):
        assert web.request(method, path).status_code in (404, 405)


def test_nothing_of_a_question_is_logged(
    web: TestClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        ask(web, "Hva er dropout hemmeligord?")
        ask(web, "hemmeligord " * 100)
    out, err = capfd.readouterr()
    ours = [r for r in caplog.records if not r.name.startswith("httpx")]
    assert "hemmeligord" not in out + err + "".join(r.getMessage() for r in ours)


def test_the_api_is_described(web: TestClient) -> None:
    paths = web.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/api/ask", "/healthz", "/readyz"}
    assert "text/event-stream" in paths["/api/ask"]["post"]["responses"]["200"]["content"]


@pytest.mark.parametrize(
    ("path", "origin"), [("/gradio_api/queue/join", "https://ond.example"), ("/api/feedback", "null")]
)
def test_a_foreign_page_reaches_no_route_that_does_anything(web: TestClient, path: str, origin: str) -> None:
    assert web.post(path, json={}, headers={"origin": origin}).status_code == 403


def test_thumbs_are_kept_only_when_turned_on_and_never_without_end(
    web: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumb = {"verdict": "up", "question": "Hva?", "answer": "Noe. [1]", "entries": ["dropout"], "comment": ""}
    assert web.post("/api/feedback", json=thumb).status_code == 404
    file = tmp_path / "ny" / "feedback.jsonl"
    with client(opened(make_tutor(SMALL, Slow()), feedback=file)) as on:
        assert on.post("/api/feedback", json={**thumb, "comment": "bra æøå"}).status_code == 200
        for wrong in ({"verdict": "kanskje"}, {"comment": "x" * 1001}, {"question": None}):
            assert on.post("/api/feedback", json={**thumb, "comment": "", **wrong}).status_code == 422
        monkeypatch.setattr("ui.feedback.LARGEST", 10)
        assert on.post("/api/feedback", json={**thumb, "comment": ""}).status_code == 507
    (line,) = file.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["comment"] == "bra æøå"
    assert file.stat().st_mode & 0o777 == 0o600
