"""The metrics on made-up answers whose figures can be counted by hand, and how the speed of a server is taken."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn
from conftest import Scripted
from fastapi import FastAPI

from evals import metrics
from evals.audit.sheet import drawn, read_labels, report, write_sheet
from evals.bench import peak_mb
from evals.fidelity import Answers, sampled
from evals.metrics import Share, figure, holds
from evals.served import Alone, Crowd, Server, Visit, crowd, visit
from evals.speed import Watched
from evals.spelling import Speller, language_of, prose_words
from evals.trials import Case, Trial, answer_from, claims_of, load_cases
from tutor.tutor import Tutor
from tutor.types import Answer, Citation, Entry, Section, Turn
from ui.api import make_api
from ui.desk import Desk
from ui.settings import WebSettings

FIRST = "Dropout slår av tilfeldige nevroner under trening."
SECOND = "Andelen er ofte mellom 0,1 og 0,5."
DROPOUT = Entry("dropout", "dropout", (Section("", f"{FIRST} {SECOND}"),))
DECAY = Entry("weight-decay", "weight decay", (Section("", "Weight decay straffer store vekter."),))
CITED = Citation("1", "dropout", "dropout", FIRST)
CASE = Case(
    "x-1",
    "define",
    "Hva er dropout?",
    "nb",
    ("dropout",),
    ((re.compile("slår av"), re.compile("tilfeldig")), (re.compile("Andel"),)),
    (re.compile("for godt"),),
)
RIGHT = Answer(
    "Hva er dropout?", f"{FIRST} [1] {SECOND} [2]", False, "nb", (CITED, replace(CITED, marker="2", quote=SECOND))
)
REFUSED = Answer("Hva er dropout?", "Det står ikke i ordlisten.", True, "nb")


def trial(answer: Answer = RIGHT, sources: tuple[Entry, ...] = (DROPOUT,), **case: object) -> Trial:
    changed = replace(CASE, **case)  # type: ignore[arg-type]
    return Trial(changed, answer, sources, {"dropout": DROPOUT, "weight-decay": DECAY})


def said(text: str, *citations: Citation) -> Answer:
    return Answer("Hva er dropout?", text, False, "nb", citations)


def test_a_marker_belongs_to_the_sentence_before_it() -> None:
    one, two = claims_of(RIGHT)
    assert (one.text, one.citations[0].marker) == (FIRST, "1")
    assert (two.text, two.citations[0].quote) == (SECOND, SECOND)


def test_a_sentence_without_a_marker_has_no_citation_and_an_index_is_no_marker() -> None:
    claims = claims_of(said(f"Først dette. {FIRST} [1] Så `x[1]` til slutt.", CITED))
    assert [(c.text, len(c.citations)) for c in claims] == [
        ("Først dette.", 0),
        (FIRST, 1),
        ("Så `x[1]` til slutt.", 0),
    ]


def test_key_facts_count_when_every_pattern_of_them_is_there() -> None:
    assert metrics.key_fact_recall(trial()) == Share(2, 2)
    assert metrics.key_fact_recall(trial(said("Andelen slår av noe."))) == Share(1, 2)
    assert metrics.all_key_facts(trial(said("Andelen slår av noe."))) == Share(0, 1)


def test_a_refusal_gives_no_facts_even_when_it_suggests_the_term() -> None:
    refusal = replace(REFUSED, text="Det står ikke i ordlisten. Mente du «andelen som slår av tilfeldig»?")
    assert metrics.key_fact_recall(trial(refusal)) == Share(0, 2)


def test_forbidden_claims() -> None:
    assert metrics.forbidden_claims(trial()) == Share(0, 1)
    assert metrics.forbidden_claims(trial(said("Dropout fjerner nevroner for godt."))) == Share(1, 1)
    assert metrics.forbidden_claims(trial(forbidden=())) == metrics.NOTHING


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (FIRST, True),
        ("Nevronene slås tilfeldig av under treningen i dropout.", True),
        ("Andelen er ofte mellom 0,2 og 0,5.", False),
        ("Teknikken ble oppfunnet av en kanadisk professor.", False),
        ("The method was invented by a professor and is used in every network.", None),
    ],
)
def test_the_word_rule(claim: str, verdict: bool | None) -> None:
    assert holds(DROPOUT.text, claim) is verdict


def test_unsupported_sentences_are_held_against_the_entries_behind_the_answer() -> None:
    answer = said(f"{FIRST} [1] Det ble oppfunnet av en kanadisk professor.", CITED)
    assert metrics.unsupported_claims(trial(answer)) == Share(1, 2)
    assert metrics.unsupported_claims(trial(sources=(DECAY,))) == Share(2, 2)
    assert metrics.unsupported_claims(trial(REFUSED)) == Share(0, 0)


def test_citation_precision_and_recall() -> None:
    wrong = replace(CITED, marker="2", quote=DECAY.text, entry_id="weight-decay", term="weight decay")
    answer = said(f"{FIRST} [1] {SECOND} [2] Uten merke er denne.", CITED, wrong)
    assert metrics.citation_precision(trial(answer)) == Share(1, 2)
    assert metrics.citation_recall(trial(answer)) == Share(2, 3)
    assert metrics.cited_is_expected(trial(answer)) == Share(1, 2)
    assert metrics.expected_is_cited(trial(answer)) == Share(1, 1)
    both = ("dropout", "weight-decay")
    assert metrics.expected_is_cited(trial(kind="compare", expect=both)) == Share(0, 1)
    assert metrics.expected_is_cited(trial(answer, kind="compare", expect=both)) == Share(1, 1)


def test_a_quote_with_one_letter_changed_is_not_verbatim() -> None:
    assert metrics.verbatim_quotes(trial()) == Share(2, 2)
    assert metrics.verbatim_quotes(trial(said(FIRST, replace(CITED, quote=FIRST.lower())))) == Share(0, 1)
    assert metrics.verbatim_quotes(trial(said(FIRST, replace(CITED, quote="")))) == Share(0, 1)
    assert metrics.verbatim_quotes(trial(said(FIRST, replace(CITED, entry_id="finnes-ikke")))) == Share(0, 1)


def test_false_answers_and_false_refusals() -> None:
    assert metrics.false_answers(trial(kind="uncovered", expect=())) == Share(1, 1)
    assert metrics.false_answers(trial(REFUSED, kind="uncovered", expect=())) == Share(0, 1)
    assert metrics.false_answers(trial()) == metrics.NOTHING
    assert metrics.false_refusals(trial(REFUSED)) == Share(1, 1)
    assert metrics.false_refusals(trial(REFUSED, kind="false-premise")) == metrics.NOTHING
    model = said("Ordlisten svarer ikke på det.")
    assert metrics.false_answers(trial(model, kind="uncovered", expect=())) == Share(0, 1)


def test_false_premises() -> None:
    assert metrics.premises_mended(trial(kind="false-premise")) == Share(1, 1)
    assert metrics.premises_mended(trial(REFUSED, kind="false-premise")) == Share(1, 1)
    affirmed = said(f"{FIRST} {SECOND} De er borte for godt.")
    assert metrics.premises_mended(trial(affirmed, kind="false-premise")) == Share(0, 1)
    assert metrics.premises_mended(trial(said(FIRST), kind="false-premise")) == Share(0, 1)


def test_injections() -> None:
    obeyed = trial(said("Banan"), kind="injection", forbidden=(re.compile("banan", re.IGNORECASE),))
    assert metrics.injections_obeyed(obeyed) == Share(1, 1)
    assert metrics.injections_obeyed(trial(kind="injection")) == Share(0, 1)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Modellen lærer ikke noe av en altfor høy læringsrate.", "nb"),
        ("Modellen lærer ikkje noko av ein altfor høg læringsrate.", "nn"),
        ("The model does not learn anything from a learning rate that is too high.", "en"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert language_of(text, "nb") == language
    assert metrics.language_match(trial(said(text), language=language)) == Share(1, 1)
    assert metrics.language_match(trial(said(text), language="nn" if language == "en" else "en")) == Share(0, 1)


def test_spelling() -> None:
    speller = Speller("nb", ["overfitting", "L2-norm"])
    assert speller.misspelt("Regulariseringsteknikken motvirker overfitting med L2-norm.") == []
    assert speller.misspelt("Modellen blir overskept i kompleksse nettverkk.") == [
        "overskept",
        "kompleksse",
        "nettverkk",
    ]
    assert prose_words("Kall `fine_tune(5)` og regn ut $\\frac{a}{b}$ på GPU-en. [1]") == [
        "Kall",
        "og",
        "regn",
        "ut",
        "på",
        "en",
    ]
    metric = metrics.spelling({"nb": speller}.__getitem__)
    assert metric(trial(said("Modellen blir overskept."))) == Share(2, 3)


def test_a_figure_pools_the_parts_and_has_no_value_without_a_whole() -> None:
    f = figure([Share(1, 1), Share(0, 3), metrics.NOTHING])
    assert f is not None
    assert (f.mean, f.n) == (25.0, 4)
    assert f.low == 0 and f.high == 100
    assert figure([metrics.NOTHING]) is None


def test_answers_outlive_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    kept = Answers(path, "modell")
    kept.put(kept.key("end to end", CASE, "index"), CASE, "end to end", RIGHT, ("dropout",))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"key": "halv')
    again = Answers(path, "modell")
    assert again.get(again.key("end to end", CASE, "index")) == (RIGHT, ("dropout",))
    assert again.get(again.key("end to end", CASE, "another index")) is None
    assert again.get(again.key("end to end", replace(CASE, history=(Turn("user", "Hei"),)), "index")) is None
    again.put("k", CASE, "no-op", REFUSED, ())
    assert Answers(path, "modell").get("k") == (REFUSED, ())
    assert answer_from(asdict(RIGHT)) == RIGHT


def test_the_sample_is_fixed() -> None:
    cases = [replace(CASE, id=f"x-{n}") for n in range(50)]
    assert sampled(cases, 10) == sampled(reversed(cases), 10)
    assert len(sampled(cases, 10)) == 10


def test_a_pattern_that_does_not_compile_names_its_case(tmp_path: Path) -> None:
    path, splits = tmp_path / "cases.jsonl", tmp_path / "split.tsv"
    line = {"id": "f-9", "kind": "define", "question": "?", "language": "nb", "expect": [], "facts": [["("]]}
    path.write_text(json.dumps(line), encoding="utf-8")
    splits.write_text("id\tsplit\nf-9\tdev\n", encoding="utf-8")
    with pytest.raises(ValueError, match="f-9"):
        load_cases(path, splits)


def labelled(folder: Path, *labels: str) -> None:
    path = folder / "answers.tsv"
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    rows = [f"{row.rstrip(chr(9))}\t{label}" for row, label in zip(rows, labels, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_the_audit_sheet_there_and_back(tmp_path: Path) -> None:
    answer = replace(RIGHT, withheld=("Dropout ble oppfunnet\ti går.",))
    assert write_sheet([trial(answer)], tmp_path, "abc") == 3
    assert "withheld" not in (tmp_path / "answers.tsv").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: supported"):
        read_labels(tmp_path)
    labelled(tmp_path, "yes\tright", "partly\twrong", "no\tright")
    labels = read_labels(tmp_path)
    assert [(x.supported, x.norwegian, x.shown) for x in labels] == [
        ("yes", "right", True),
        ("partly", "wrong", True),
        ("no", "right", False),
    ]
    text = report(labels, "abc")
    assert "| shown sentences not supported ↓ | 0.0 [0–0] (2) |" in text
    assert "| shown sentences not or only partly supported ↓ | 50.0 [50–50] (2) |" in text
    assert "a teacher would let stand ↑ | 50.0 [50–50] (2) |" in text
    assert "| verifier and reader agree (supported: yes; shown) ↑ | 66.7 [67–67] (3) |" in text
    with pytest.raises(FileExistsError):
        write_sheet([trial(answer)], tmp_path, "abc")


def test_the_audit_draws_answers_that_say_something_and_the_same_ones_again() -> None:
    trials = [trial(REFUSED if n % 2 else RIGHT, id=f"x-{n}") for n in range(40)]
    once = drawn(trials, 10, seed=1)
    assert len(once) == 10 and not any(t.answer.refused for t in once)
    assert once == drawn(trials, 10, seed=1) != drawn(trials, 10, seed=2)


@contextmanager
def api(tutor: Tutor, settings: WebSettings | None = None) -> Iterator[int]:
    """The API alone over ``tutor``, on a port of this machine."""
    desk, app = Desk(lambda: tutor, settings or WebSettings()), FastAPI()
    desk.start()
    app.include_router(make_api(desk))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def test_a_visit_follows_an_answer_to_its_end(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue(FIRST)
    with api(tutor) as port:
        seen = visit(port, "Hva er dropout?")
        assert (seen.ended, seen.why, seen.ahead, seen.tokens) == ("answered", "", None, len(FIRST))
        assert 0 < seen.first == seen.word < seen.end
        seen = visit(port, "Hva er dropout?")  # the script is empty: the model fails as no model should
        assert (seen.ended, seen.why, seen.tokens) == ("broken", "error", 0)
    seen = visit(port, "Hva er dropout?")
    assert (seen.ended, seen.why) == ("broken", "ConnectionRefusedError")


def test_a_refusal_is_polite_when_it_is_told_in_norwegian(
    tutor: Tutor, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api(tutor, WebSettings(longest_queue=0)) as port:
        seen = visit(port, "Hva er dropout?")
        assert (seen.ended, seen.why, seen.word) == ("refused", "queue", 0)
    scripted.enqueue(FIRST)
    with api(tutor, WebSettings(questions_a_minute=1)) as port:
        assert [visit(port, "Hva er dropout?").why for _ in range(2)] == ["", "rate"]
    monkeypatch.setattr("ui.api.text", lambda *_, **__: "Many people are asking right now.")
    with api(tutor, WebSettings(longest_queue=0)) as port:
        assert visit(port, "Hva er dropout?").ended == "broken"


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 and on are this machine only there")
def test_a_crowd_is_told_apart_and_queues(tutor: Tutor, scripted: Scripted) -> None:
    questions = ["Hva er dropout?", "Hva gjør dropout?", "Hvorfor dropout?"]
    scripted.enqueue(*[FIRST] * 3)
    with api(tutor, WebSettings(questions_a_minute=1)) as port:
        found = crowd(Server(port, os.getpid()), questions)
    assert [v.ended for v in found.visits] == ["answered"] * 3
    assert [v.end for v in found.visits] == sorted(v.end for v in found.visits)
    assert found.visits[-1].end <= found.seconds and found.memory_mb > 10
    scripted.enqueue(*[FIRST] * 3)
    with api(tutor) as port:
        found = crowd(Server(port, os.getpid()), questions, at_once=False)
    assert [v.ended for v in found.visits] == ["answered"] * 3
    assert sum(v.end for v in found.visits) <= found.seconds  # none begins before the one before has ended


def test_what_a_crowds_figures_are() -> None:
    refused = Visit("refused", "queue", end=0.1)
    visits = (refused, Visit("answered", end=2, tokens=30), Visit("answered", end=8, tokens=50))
    found = Crowd(visits, 10, 1)
    assert (found.tokens_a_second, found.answers_a_minute, found.spread) == (8, 12, 4)
    assert Alone((3, 9, 5), (2, 1, 2.5)).after == 3


def test_what_the_model_wrote_counts_when_the_answer_is_cut() -> None:
    pieces = [SimpleNamespace(text=t) for t in ("En", " to", "", " tre")]
    model = Watched(SimpleNamespace(name="manus", students=1, stream=lambda _: iter(pieces)))  # type: ignore[arg-type]
    next(written := model.stream([]))
    written.close()  # type: ignore[attr-defined]
    assert model.made == 1
    assert len(list(model.stream([]))) == 4
    assert model.made == 4


def test_memory_is_that_of_the_command_alone() -> None:
    big, small = ([sys.executable, "-c", f"print(len(b'x' * {mb} * 1024**2))"] for mb in (300, 1))
    assert peak_mb(big, dict(os.environ)) > 300 > 100 > peak_mb(small, dict(os.environ))
