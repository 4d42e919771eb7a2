"""Replicas of ``tutor serve`` behind nginx as docs/nginx.conf has it, with one server for the language model.

Students are told apart by their addresses: 127.0.0.2, 127.0.0.3, …
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from conftest import ROOT, SMALL, environment, tutor_command
from web import Slow, make_tutor, opened

from tutor.llm import physical_cores
from tutor.models import DEFAULT_LLM, model_path

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has loopback addresses to spare"),
    pytest.mark.skipif(not NGINX, reason="no nginx: apt-get install nginx-light"),
    pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate: apt-get install openssl"),
]
NAMES = ("kopi-1", "kopi-2")
QUESTION = "hva er weight decay?"
AROUND = """
daemon off; user root; pid {0}/pid; error_log stderr;
events {{}}
http {{
    client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;
    uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
    include {0}/veileder.conf;
}}
"""
"""What the distribution's own nginx.conf is to ours, without its folders."""


@dataclass(frozen=True)
class Proxy:
    """nginx at ``url`` (https) and ``plain`` (http), with a certificate that ``trust`` accepts."""

    url: str
    plain: str
    trust: ssl.SSLContext

    @contextmanager
    def student(self, number: int) -> Iterator[httpx.Client]:
        """A client at 127.0.0.``number``."""
        from_there = httpx.HTTPTransport(local_address=f"127.0.0.{number}", verify=self.trust)
        with httpx.Client(base_url=self.url, transport=from_there, timeout=180) as client:
            yield client

    def ask(self, number: int, question: str, **headers: str) -> httpx.Response:
        with self.student(number) as client:
            return client.post("/api/ask", json={"question": question}, headers=headers)


@dataclass(frozen=True)
class Service:
    """Everything that runs. ``students`` has a number whose questions go to the replica of that name."""

    proxy: Proxy
    engine: subprocess.Popen[bytes]
    replicas: dict[str, subprocess.Popen[bytes]]
    direct: dict[str, str]
    students: dict[str, int]

    @contextmanager
    def silent(self) -> Iterator[None]:
        """The language model says nothing meanwhile, so that no answer can be whole."""
        self.engine.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.engine.send_signal(signal.SIGCONT)


@contextmanager
def proxied(folder: Path, first: int, second: int, under: str = "") -> Iterator[Proxy]:
    """docs/nginx.conf with our own ports and certificate. ``under`` a path, it is changed as it says itself."""
    http, https = free_ports(2)
    ours = (ROOT / "docs" / "nginx.conf").read_text(encoding="utf-8")
    changes = {
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ssl": f"listen 127.0.0.1:{https} ssl",
        "127.0.0.1:7861": f"127.0.0.1:{first}",
        "127.0.0.1:7862": f"127.0.0.1:{second}",
        "/etc/letsencrypt/live/veileder.skolen.no": str(folder),
    }
    for old, new in changes.items():
        assert old in ours
        ours = ours.replace(old, new)
    if under:
        root = re.search(r"    location / \{\n.*?\n    \}\n", ours, re.DOTALL)
        commented = re.search(rf"    # location {under}/ \{{\n.*?# \}}\n", ours, re.DOTALL)
        assert root and commented
        ours = ours.replace(root[0], "").replace(commented[0], commented[0].replace("# ", ""))
    (folder / "veileder.conf").write_text(ours, encoding="utf-8")
    (folder / "nginx.conf").write_text(AROUND.format(folder), encoding="utf-8")
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=veileder"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run([*make, "-addext", "subjectAltName=IP:127.0.0.1", *files], check=True, capture_output=True)
    trust = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    with running([str(NGINX), "-e", "stderr", "-c", str(folder / "nginx.conf")]):
        wait_for(f"http://127.0.0.1:{http}/", 301)
        yield Proxy(f"https://127.0.0.1:{https}{under}", f"http://127.0.0.1:{http}", trust)


@contextmanager
def running(command: list[str], env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which is gone when the block is left."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [s.getsockname()[1] for s in sockets]


def wait_for(url: str, status: int = 200, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if httpx.get(url, timeout=5).status_code == status:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise TimeoutError(url)


@pytest.fixture(scope="module")
def service(ready: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    llm, *ports = free_ports(3)
    weights = str(model_path(ready.home, DEFAULT_LLM))
    serve = [sys.executable, "-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", str(llm), "--model", weights]
    serve += ["--n_ctx", "4096", "--n_threads", str(physical_cores()), "--interrupt_requests", "false"]
    model = f"http://127.0.0.1:{llm}/v1"
    direct = {name: f"http://127.0.0.1:{port}" for name, port in zip(NAMES, ports, strict=True)}
    with ExitStack() as stack:
        engine = stack.enter_context(running(serve, environment(ready.home)))
        replicas = {}
        for name, port in zip(NAMES, ports, strict=True):
            env = environment(ready.home, TUTOR_LLM_URL=model, TUTOR_MODEL=name)
            replicas[name] = stack.enter_context(running(tutor_command("serve", "--port", str(port)), env))
        proxy = stack.enter_context(proxied(tmp_path_factory.mktemp("nginx"), ports[0], ports[1]))
        wait_for(f"{model}/models")
        names = {}
        for name in NAMES:
            wait_for(f"{direct[name]}/readyz")
            names[app_id(httpx.Client(base_url=direct[name]))] = name
        students: dict[str, int] = {}
        for number in range(2, 40):
            with proxy.student(number) as client:
                students.setdefault(names[app_id(client)], number)
        yield Service(proxy, engine, replicas, direct, students)


def app_id(client: httpx.Client) -> int:
    """The number that Gradio gives a process."""
    return int(client.get("/config").json()["app_id"])


def chat(page: httpx.Client, question: str) -> Iterator[dict[str, Any]]:
    """What Gradio sends to a page where ``question`` is asked."""
    steps = page.get("/config").json()["dependencies"]
    asks = next(s["id"] for s in steps if len(s["inputs"]) == 3)
    wanted = {"fn_index": asks, "session_hash": "fane", "data": [question, [], "nb"], "event_data": None}
    page.post("/gradio_api/queue/join", json=wanted).raise_for_status()
    with page.stream("GET", "/gradio_api/queue/data", params={"session_hash": "fane"}) as events:
        for line in events.iter_lines():
            if line.startswith("data:"):
                event = json.loads(line[5:])
                yield event
                if event["msg"] in ("process_completed", "unexpected_error"):
                    return


def test_every_student_has_a_replica_and_each_replica_answers_with_citations(
    service: Service, ready: SimpleNamespace
) -> None:
    assert set(service.students) == set(NAMES)
    with ThreadPoolExecutor() as pool:
        asked = {name: pool.submit(service.proxy.ask, service.students[name], QUESTION) for name in NAMES}
    for name in NAMES:
        answer = asked[name].result().json()
        assert answer["model"] == name
        assert not answer["refused"]
        assert answer["citations"][0]["entry_id"] == "weight-decay"
        for citation in answer["citations"]:
            assert citation["quote"] in ready.retriever.entry(citation["entry_id"]).text
            assert f"[{citation['marker']}]" in answer["answer"]


def test_the_first_sentence_is_there_before_the_model_has_said_a_word(service: Service) -> None:
    with (
        service.proxy.student(service.students["kopi-1"]) as client,
        client.stream(
            "POST", "/api/ask", json={"question": QUESTION}, headers={"accept": "text/event-stream"}
        ) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        with service.silent():
            assert "event: delta" in lines
        assert "event: answer" in lines


@pytest.mark.parametrize("name", NAMES)
def test_so_it_is_in_the_chat(service: Service, name: str) -> None:
    with service.proxy.student(service.students[name]) as page:
        events = chat(page, QUESTION)
        with service.silent():
            assert any("vektforfall" in json.dumps(event.get("output")) for event in events)


def test_the_limit_is_each_student_s_own_and_cannot_be_talked_away(service: Service) -> None:
    """Of a student nginx tells the address; of one who comes past nginx, the connection does."""
    statuses = [service.proxy.ask(40, "Hei!", **{"x-forwarded-for": f"10.0.0.{n}"}).status_code for n in range(21)]
    assert statuses == [200] * 20 + [429]
    assert service.proxy.ask(41, "Hei!").status_code == 200
    with httpx.Client(
        base_url=service.direct["kopi-1"], transport=httpx.HTTPTransport(local_address="127.0.0.42")
    ) as client:
        replies = [
            client.post("/api/ask", json={"question": "Hei!"}, headers={"x-forwarded-for": f"10.0.0.{n}"})
            for n in range(21)
        ]
    assert [reply.status_code for reply in replies] == [200] * 20 + [429]


def test_a_replica_that_dies_in_the_middle_of_an_answer_is_replaced(service: Service) -> None:
    student = service.students["kopi-1"]
    with ThreadPoolExecutor() as pool:
        with service.silent():
            asked = pool.submit(service.proxy.ask, student, QUESTION)
            time.sleep(1)
            service.replicas["kopi-1"].kill()
        answer = asked.result().json()
    assert answer["model"] == "kopi-2"
    assert answer["citations"]
    with service.proxy.student(student) as page:
        last = [*chat(page, QUESTION)][-1]
    assert (last["msg"], last["success"]) == ("process_completed", True)


@pytest.fixture
def under_a_path(tmp_path: Path) -> Iterator[Proxy]:
    """A tutor with a scripted model at /veileder/."""
    (port,) = free_ports(1)
    app = opened(make_tutor(SMALL, Slow(name="manus", says="Under testing er alle nodene med.")))
    server = uvicorn.Server(uvicorn.Config(app, port=port, root_path="/veileder", log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        with proxied(tmp_path, port, port, under="/veileder") as proxy:
            yield proxy
    finally:
        server.should_exit = True
        thread.join(10)


def test_under_a_path_and_with_https_every_address_is_the_proxy_s(under_a_path: Proxy) -> None:
    with under_a_path.student(2) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert not re.search(r'(?:src|href)="(?:http:|/(?!veileder/))', page.text)
        assert client.get("/config").json()["root"] == under_a_path.url
        assert client.get("/widget").headers["location"] == "/veileder/widget/"
        assert "slår av tilfeldige noder" in json.dumps([*chat(client, "Hva er dropout?")][-1], ensure_ascii=False)
    moved = httpx.get(f"{under_a_path.plain}/veileder/ordliste")
    assert (moved.status_code, moved.headers["location"]) == (301, "https://127.0.0.1/veileder/ordliste")
