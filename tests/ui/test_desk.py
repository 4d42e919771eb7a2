"""The desk when several students come at once."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import SMALL
from web import Slow, make_tutor

from tutor.tutor import Tutor
from tutor.types import Answer, Delta
from ui.desk import Desk, Queued, Refused
from ui.settings import WebSettings

SAYS = "Da lærer nettet å ikke stole på enkelte nevroner."


class Team(Slow):
    """A model that writes several answers at once."""

    students: int = 2


def desk_over(model: Slow, **settings: Any) -> Desk:
    desk = Desk(lambda: make_tutor(SMALL, model), WebSettings(**{"questions_a_minute": 1000, **settings}))
    desk.start()
    return desk


async def events(desk: Desk, question: str) -> list[tuple[float, Any]]:
    """What a student sees, and when: seconds after asking."""
    began, seen = time.monotonic(), []
    async for event in desk.stream(question, [], "student"):
        seen.append((time.monotonic() - began, event))
    return seen


def ask_all(desk: Desk, questions: list[str]) -> list[Any]:
    async def together() -> list[Any]:
        return await asyncio.gather(*(events(desk, q) for q in questions), return_exceptions=True)

    return asyncio.run(together())


def test_every_one_sees_a_word_or_a_place_in_line_within_a_second() -> None:
    model = Team(says=SAYS, pause=0.02)
    seen = ask_all(desk_over(model), [f"Hva er dropout nummer {n}?" for n in range(8)])
    assert all(isinstance(s[-1][1], Answer) and s[0][0] < 1 for s in seen)
    assert all(isinstance(s[0][1], Delta) for s in seen[:2])
    assert [s[0][1] for s in seen[2:]] == [Queued(n) for n in range(2, 8)]
    assert len(model.asked) == 8


def test_who_waits_for_the_first_word_is_told_the_place_in_line() -> None:
    tutor = make_tutor(SMALL, Team(says=SAYS))

    def thoughtful(*asked: Any) -> Any:
        time.sleep(0.8)
        yield from Tutor.stream(tutor, *asked)

    desk = Desk(lambda: SimpleNamespace(llm=tutor.llm, stream=thoughtful), WebSettings())  # type: ignore[arg-type,return-value]
    desk.start()
    seen = ask_all(desk, ["Hva er dropout?", "Hva er regularisering?"])
    assert [s[0][1] for s in seen] == [Queued(0), Queued(1)]
    assert all(s[0][0] < 0.8 and isinstance(s[-1][1], Answer) for s in seen)


def test_the_model_reads_on_in_the_entry_while_the_student_reads() -> None:
    class Reader(Slow):
        read: list[str] = []  # noqa: RUF012 -- a pydantic field, copied for each

        def prepare(self, conversations: Any, question: bool, soon: bool) -> None:
            assert soon and not question
            self.read.extend(c[1].text for c in conversations)

    model = Reader(says=SAYS)
    tutor = make_tutor(SMALL, model)
    ask_all(desk_over(model), ["Hva er dropout?"])
    others = [s.text for s in tutor.retriever.entry("dropout").sections[1:]]
    end = time.monotonic() + 5
    while len(model.read) < len(others) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(model.read) == len(others) > 1
    assert all(text in read for text, read in zip(others, model.read, strict=True))


def test_those_who_ask_the_same_share_one_answer() -> None:
    model = Slow(says=SAYS, pause=0.02)
    seen = ask_all(desk_over(model), ["Hva er dropout?"] * 6 + ["Hva er regularisering?"])
    assert len(model.asked) == 2
    answers = [s[-1][1] for s in seen[:6]]
    assert all(a == answers[0] and isinstance(a, Answer) for a in answers)
    texts = {"".join(e.text for _, e in s if isinstance(e, Delta)) for s in seen[:6]}
    assert texts == {answers[0].text}


def test_one_of_them_may_leave_and_the_others_stay() -> None:
    desk = desk_over(Slow(says=SAYS, pause=0.02))

    async def first_leaves() -> list[tuple[float, Any]]:
        leaving = desk.stream("Hva er dropout?", [], "a")
        await anext(leaving)
        staying = asyncio.create_task(events(desk, "Hva er dropout?"))
        await asyncio.sleep(0.05)
        await leaving.aclose()
        return await staying

    assert isinstance(asyncio.run(first_leaves())[-1][1], Answer)


def test_when_the_last_leaves_the_next_gets_an_answer_of_its_own() -> None:
    model = Slow(says=SAYS, pause=0.02)
    desk = desk_over(model)

    async def asked_again() -> list[tuple[float, Any]]:
        leaving = desk.stream("Hva er dropout?", [], "a")
        for _ in "ab":  # both sentences of the opening; then the model is asked
            await anext(leaving)
        await leaving.aclose()
        return await events(desk, "Hva er dropout?")

    assert isinstance(asyncio.run(asked_again())[-1][1], Answer)
    assert len(model.asked) == 2


@pytest.mark.parametrize("longest_queue", [5, 60])
def test_fifty_at_once_are_answered_or_refused(longest_queue: int) -> None:
    questions = [f"Hva er dropout nummer {n}?" for n in range(50)]
    seen = ask_all(desk_over(Team(says=SAYS), longest_queue=longest_queue), questions)
    refused = [s for s in seen if isinstance(s, Refused) and s.kind == "queue"]
    answered = [s for s in seen if isinstance(s, list) and isinstance(s[-1][1], Answer)]
    assert len(answered) == min(50, longest_queue)
    assert len(refused) == 50 - len(answered)
