"""What an answer opens with: the right section, whole thoughts, and both sides of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tutor.lexical import stems
from tutor.plan import WHOLE, Near, Plan, kind_of, plan_answer
from tutor.types import Entry, Section
from tutor.verify import sentences
from tutor.weights import weights

SLEEP = Entry(
    "sovn",
    "søvn",
    (
        Section("", "Søvn er hvile for kroppen."),
        Section("Hvorfor og når", "Mange sover om natten. Uten søvn husker du dårlig. Da blir også humøret verre."),
        Section(
            "Vanlig misforståelse", "Mange tror at hjernen er slått av i søvn. Det er feil. Hjernen rydder i minnene."
        ),
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


def told(plan: Plan) -> list[str]:
    return [q.text for q in (*plan.opening, *plan.rest)]


def test_what_something_is_opens_with_its_definition() -> None:
    plan = plan_answer("hva er søvn?", [SLEEP], None)
    assert [q.text for q in plan.opening] == ["Søvn er hvile for kroppen."]


def test_the_nearest_sentence_is_told_first_and_none_without_the_one_it_leans_on() -> None:
    plan = plan_answer("hvorfor blir humøret verre?", [SLEEP], near("blir humøret verre"))
    first, *leading = SLEEP.sections[1].text.replace(". ", ".|").split("|")
    assert told(plan)[:3] == [*leading, first]
    assert {q.passage.section for q in plan.opening} == {"Hvorfor og når"}


def test_a_definition_and_what_is_asked_in_general_are_told_from_the_beginning() -> None:
    text = "En blund er kort søvn. Etter maten er den best."
    asked = near("etter maten")
    assert told(
        plan_answer("hvordan er det etter maten?", [Entry("blund", "blund", (Section("", text),))], asked)
    ) == sentences(text)
    blund = Entry("blund", "blund", (Section("", "Dette er hvile."), Section("Hvordan det virker", text)))
    assert told(plan_answer("hvordan er det etter maten?", [blund], asked))[:2] == sentences(text)[::-1]
    assert told(plan_answer("hvordan virker blund?", [blund], asked, True))[:2] == sentences(text)


def test_what_is_asked_in_general_is_answered_by_its_section_and_nothing_else() -> None:
    asked = near("hjernen er slått av i søvn")  # nearest to the mistake, which nobody asked about
    why = sentences(SLEEP.sections[1].text)
    for question in (
        "hvorfor er søvn viktig?",
        "når trenger man søvn?",
        "what is the point of sleep?",
        "hva brukes søvn til?",
    ):
        assert told(plan_answer(question, [SLEEP], asked, True)) == why
    assert told(plan_answer("hvordan virker søvn?", [SLEEP], asked, True))  # it has no such section


def test_a_list_is_not_told_after_its_first_point() -> None:
    steps = Section("Hvordan det virker", "Søvn begynner slik:\n\n1. Øynene lukkes.\n2. Drømmene kommer.")
    found = told(plan_answer("hvordan lukkes øynene?", [Entry("sovn", "søvn", (steps,))], near("øynene lukkes")))
    assert found == ["Søvn begynner slik:", "Øynene lukkes.", "Drømmene kommer."]


def test_a_mistake_is_told_from_the_start_and_never_without_what_mends_it() -> None:
    plan = plan_answer("er det sant at hjernen rydder i minnene?", [SLEEP], near("hjernen rydder i minnene"))
    assert [q.text for q in plan.opening] == sentences(SLEEP.sections[2].text)
    for question in ("mange tror hjernen er slått av", "hvorfor husker du dårlig om natten", "er humøret verre?"):
        found = told(plan_answer(question, [SLEEP], near(question)))
        assert ("Mange tror at hjernen er slått av i søvn." in found) == ("Det er feil." in found)


def test_an_answer_is_five_sentences_at_most_all_from_passages_that_support_them() -> None:
    steps = " ".join(f"Steg {n} i søvnen er rolig." for n in "abcdefgh")
    sleep = Entry("sovn", "søvn", (*SLEEP.sections, Section("Hvordan det virker", steps)))
    plan = plan_answer("hvordan er stegene i søvnen?", [sleep], near("steg i søvnen rolig"))
    assert len(told(plan)) == WHOLE == len(set(told(plan)))
    assert all(q.passage in plan.passages and q.text in q.passage.text for q in (*plan.opening, *plan.rest))


def test_a_long_table_is_told_from_its_beginning() -> None:
    rows = [f"| fase {n} | søvn |" for n in "abcdefg"]
    plan = plan_answer("hvordan er fase g?", [Entry("sovn", "søvn", (Section("", "\n\n".join(rows)),))], near("fase g"))
    assert told(plan) == rows[:WHOLE]


@pytest.mark.parametrize("question", ["hva er forskjellen på søvn og lur?", "bør jeg velge søvn eller lur?"])
def test_a_comparison_speaks_of_both(question: str) -> None:
    plan = plan_answer(question, [SLEEP, NAP], near(question))
    assert {q.passage.entry_id for q in plan.opening} == {"sovn", "lur"}


@pytest.mark.parametrize(
    "words", ["", "hjernen slått av", "mange hjernen", "hjernen humøret husker", "mange tror dagen"]
)
def test_a_comparison_never_leaves_a_mistake_standing(words: str) -> None:
    differ = Section("Forskjellen på søvn og lur", "Søvn er lang. En lur er kort.")
    sleep = Entry("sovn", "søvn", (*SLEEP.sections, differ))
    found = told(plan_answer(f"hva er forskjellen på søvn og lur? {words}", [sleep, NAP], near(words or "søvn")))
    assert len(found) <= WHOLE and len(set(found)) == len(found)
    assert ("Mange tror at hjernen er slått av i søvn." in found) == ("Det er feil." in found)


def test_a_glossary_without_sections_opens_with_its_definition() -> None:
    bare = Entry("lur", "lur", (Section("", "En lur er kort søvn om dagen."),))
    for question in ("hvorfor tar folk en lur?", "er en lur lang?", "gi et eksempel på en lur", "hva er en lur?"):
        assert plan_answer(question, [bare], near(question)).opening[0].text == bare.definition


def test_an_entry_without_a_definition_opens_with_what_it_has() -> None:
    lur = Entry("lur", "lur", (Section("Eksempel", "Bestefar tar en lur etter middag."),))
    assert told(plan_answer("hva er en lur?", [lur], None)) == [lur.sections[0].text]
    assert told(plan_answer("forklar lur enkelt", [lur], near("lur"))) == [lur.sections[0].text]


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
        ("hvordan regner jeg ut X når jeg har Y?", "compute"),
        ("kva er formelen for X", "compute"),
        ("how do I calculate X?", "compute"),
        ("hvorfor regnes det som X?", "why"),
        ("what is computer vision?", "define"),
        ("gjør X at vektene blir større?", "check"),
    ],
)
def test_kinds(question: str, kind: str) -> None:
    assert kind_of(question) == kind


def test_a_question_for_a_formula_gets_it_after_its_lead_in(monkeypatch: pytest.MonkeyPatch) -> None:
    how = "Finn feilen for hvert hus. Rund av til hele kroner. Ta gjennomsnittet av feilene:\n\n$$m = \\sum e$$"
    why = "Bruk snittet når ingen feil er mye større enn de andre. Bruk det ellers ikke. Feilen er i kroner."
    sections = Section("", "Snittet er et mål."), Section("Hvordan det virker", how), Section("Hvorfor og når", why)
    snitt, question = Entry("snitt", "snitt", sections), "hva er formelen for snittet?"
    asked = near("bruk ellers større andre ingen by land vann")  # nearer to the other section
    answer = told(plan_answer(question, [snitt], asked))
    assert answer[answer.index("$$m = \\sum e$$") - 1] == "Ta gjennomsnittet av feilene:"
    monkeypatch.setitem(weights()["sentences"], "formula", 0.0)
    assert "$$m = \\sum e$$" not in told(plan_answer(question, [snitt], asked))
