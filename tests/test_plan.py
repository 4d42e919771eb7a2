"""What an answer opens with: the right section, whole thoughts, and both sides of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tutor.lexical import stems
from tutor.plan import MISTAKE, WHOLE, Near, kind_of, plan_answer
from tutor.types import Entry, Section

SLEEP = Entry(
    "sovn",
    "søvn",
    (
        Section("", "Søvn er hvile for kroppen."),
        Section("Hvorfor og når", "Mange sover om natten. Uten søvn husker du dårlig. Da blir også humøret verre."),
        Section(MISTAKE, "Mange tror at hjernen er slått av i søvn. Det er feil. Hjernen rydder i minnene."),
    ),
)
NAP = Entry(
    "lur", "lur", (Section("", "En lur er kort søvn om dagen."), Section("Hvorfor og når", "En lur passer om dagen."))
)


def near(question: str) -> Near:
    asked = set(stems(question))

    def shared(texts: Sequence[str]) -> list[float]:
        return [len(asked & set(stems(t))) / len(asked) for t in texts]

    return shared


@pytest.mark.parametrize(
    ("question", "opening"),
    [
        ("hva er søvn?", ["Søvn er hvile for kroppen."]),
        ("hvorfor husker du dårlig?", ["Uten søvn husker du dårlig.", "Da blir også humøret verre."]),
        (
            "er det sant at hjernen rydder?",
            ["Mange tror at hjernen er slått av i søvn.", "Det er feil.", "Hjernen rydder i minnene."],
        ),
    ],
)
def test_the_opening_answers_what_is_asked(question: str, opening: list[str]) -> None:
    plan = plan_answer(question, [SLEEP], near(question))
    assert [q.text for q in plan.opening] == opening
    assert all(q.passage in plan.passages for q in plan.opening)
    assert len(plan.opening) + len(plan.rest) <= WHOLE


@pytest.mark.parametrize("question", ["hva er forskjellen på søvn og lur?", "bør jeg velge søvn eller lur?"])
def test_a_comparison_speaks_of_both(question: str) -> None:
    plan = plan_answer(question, [SLEEP, NAP], near(question))
    assert {q.passage.entry_id for q in plan.opening} == {"sovn", "lur"}


def test_a_glossary_without_sections_opens_with_its_definition() -> None:
    bare = Entry("lur", "lur", (Section("", "En lur er kort søvn om dagen."),))
    for question in ("hvorfor tar folk en lur?", "er en lur lang?", "gi et eksempel på en lur", "hva er en lur?"):
        assert plan_answer(question, [bare], near(question)).opening[0].text == bare.definition


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("hva er X?", "define"),
        ("kva er skilnaden på X og Y", "compare"),
        ("når bruker jeg X, og når Y?", "choose"),
        ("forklar X som om jeg er ti år", "simplify"),
        ("gi meg et bedre eksempel på X", "example"),
        ("hvorfor virker X", "why"),
        ("korleis verkar X", "how"),
        ("gjør X at vektene blir større?", "check"),
    ],
)
def test_kinds(question: str, kind: str) -> None:
    assert kind_of(question) == kind


def test_how_something_works_is_told_from_the_beginning() -> None:
    steps = ["Du legger deg.", "Pulsen synker.", "Musklene slappes.", "Du drømmer.", "Drømmen slutter.", "Du våkner."]
    sleep = Entry("sovn", "søvn", (SLEEP.sections[0], Section("Hvordan det virker", " ".join(steps))))
    plan = plan_answer("hvordan slutter drømmen?", [sleep], near("slutter drømmen"))
    assert [q.text for q in plan.opening] == steps[:2]
