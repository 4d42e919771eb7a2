"""200 questions at once, by the API and the page's own way in: answered or refused politely; the next one works."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from conftest import SMALL
from web import Slow, make_tutor, opened, served

from ui.texts import text

SAYS = "Under testing er alle nodene med."
BURSTS = [({"questions_a_minute": 1000, "longest_queue": 5}, "queue"), ({}, "rate")]
"""Many students, and one address; each with what the most of them are told."""


@pytest.mark.parametrize(("settings", "told"), BURSTS, ids=["many", "one"])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_burst_is_queued_or_refused_politely_and_the_next_one_works(
    settings: dict[str, int], told: str, accept: str
) -> None:
    def asked(number: int) -> httpx.Response:
        return web.post("/api/ask", json={"question": f"Hva er dropout nummer {number}?"}, headers={"accept": accept})

    everyone = httpx.Limits(max_connections=200)
    with served(opened(make_tutor(SMALL, Slow(says=SAYS, pause=0.01)), **settings)) as url:
        with httpx.Client(base_url=url, timeout=120, limits=everyone) as web, ThreadPoolExecutor(200) as pool:
            answers = list(pool.map(asked, range(200)))
        answered = [a for a in answers if a.status_code == 200]
        refused = [a for a in answers if a.status_code in (429, 503)]
        assert len(answered) >= 5 and len(refused) >= 150 and len(answered) + len(refused) == 200
        assert all("slår av tilfeldige noder" in a.text for a in answered)
        assert {a.json()["kind"] for a in refused} == {told}
        assert all(a.json()["error"] == text("nb", told) and int(a.headers["retry-after"]) > 0 for a in refused)
        with httpx.Client(base_url=url, timeout=30, transport=httpx.HTTPTransport(local_address="127.0.0.2")) as web:
            assert asked(200).status_code == 200


def through_gradio(url: str, number: int, asks: int, address: str = "127.0.0.1") -> str:
    """Everything that Gradio sends to one page that asks once."""
    name = f"tab{number}"
    data = [f"Hva er dropout nummer {number}?", [], "nb"]
    wanted = {"fn_index": asks, "session_hash": name, "data": data, "event_data": None}
    with httpx.Client(base_url=url, timeout=120, transport=httpx.HTTPTransport(local_address=address)) as page:
        joined = page.post("/gradio_api/queue/join", json=wanted)
        assert joined.status_code == 200, joined.text
        said = ""
        with page.stream("GET", "/gradio_api/queue/data", params={"session_hash": name}) as events:
            for line in events.iter_lines():
                said += line
                if '"process_completed"' in line or '"close_stream"' in line:
                    break
        return said


@pytest.mark.parametrize(("settings", "told"), BURSTS, ids=["many", "one"])
def test_a_burst_through_the_page_is_answered_or_refused_politely_and_the_next_one_works(
    settings: dict[str, int], told: str
) -> None:
    with served(opened(make_tutor(SMALL, Slow(says=SAYS, pause=0.002)), **settings)) as url:
        steps = httpx.get(f"{url}/config").json()["dependencies"]
        asks = next(d["id"] for d in steps if len(d["inputs"]) == 3)
        with ThreadPoolExecutor(200) as pool:
            said = list(pool.map(lambda n: through_gradio(url, n, asks), range(200)))
        answered = [s for s in said if "slår av tilfeldige noder" in s]
        refused = [s for s in said if text("nb", told) in s]
        assert len(answered) >= 5 and len(refused) >= 150 and len(answered) + len(refused) == 200
        assert "slår av tilfeldige noder" in through_gradio(url, 200, asks, "127.0.0.2")
