"""Numbered text and its relatives, with the faults that real lists have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tutor.glossary import read_glossary
from tutor.types import Entry, Glossary

FAULTY = Path(__file__).parent / "data" / "glossary" / "feil.txt"
ORIGINAL = Path(__file__).parents[2] / "shared" / "ordliste-original.txt"


@pytest.fixture(scope="module")
def faulty() -> Glossary:
    return read_glossary(FAULTY)


def entry(glossary: Glossary, slug: str) -> Entry:
    return next(e for e in glossary.entries if e.slug == slug)


def read(tmp_path: Path, text: str) -> Glossary:
    path = tmp_path / "ordliste.txt"
    path.write_text(text)
    return read_glossary(path)


def outline(glossary: Glossary) -> list[tuple[str, str | None, str]]:
    return [(e.term, e.part_of, e.definition) for e in glossary.entries]


def test_every_headword_and_named_item_is_an_entry(faulty: Glossary) -> None:
    assert [(e.term, e.part_of) for e in faulty.entries] == [
        ("Deig", None),
        ("Steking", None),
        ("Ovn (baking)", "steking"),
        ("Panne (fritering)", "steking"),
        ("Heving", None),
        ("Blanding", "heving"),
        ("Gassing", "heving"),
        ("tid_min", "heving"),
        ("Mål", None),
        ("Salthet", "mal"),
        ("Sødme (sukker)", "mal"),
        ("Farge", "mal"),
        ("Glans", "mal"),
        ("Vekt", "mal"),
        ("knead()", None),
        ("rør() metode i bakemaskin", None),
        ("Pisking vs. Røring", None),
        ("Luft", "pisking-vs-roring"),
        ("Fart", "pisking-vs-roring"),
        ('Hva er surdeig? Hvorfor er den "sur"?', None),
        ("Gluten", None),
    ]


def test_headings_become_sections_that_list_their_items(faulty: Glossary) -> None:
    assert [s.title for s in entry(faulty, "heving").sections] == ["", "Hva som skjer", "Viktigste mål"]
    assert entry(faulty, "steking").sections[1].text == (
        "1. Ovn (baking): Varm luft rundt maten.\n2. Panne (fritering): Varmt fett under maten."
    )
    assert [(s.title, s.text) for s in entry(faulty, "mal").sections[1:]] == [
        (
            "Oppgaver og deres mål",
            "1. Smak: Salthet, Sødme (sukker)\n"
            "2. Utseende, spesielt på fest: Farge, Glans\n"
            "3. Mengde (hvor mye det ble): Vekt",
        ),
        ("Smak", "- Salthet: Hvor salt maten er.\n- Sødme (sukker): Hvor søt maten er."),
        ("Utseende, spesielt på fest", "- Farge og glans: Farge, Glans"),
        ("Farge og glans", "- Farge: Hvor brun skorpen er.\n- Glans: Hvor blank glasuren er."),
        ("Mengde (hvor mye det ble)", "- Vekt: Gram på vekta."),
    ]


def test_a_list_straight_below_a_headword_is_its_definition(faulty: Glossary) -> None:
    versus = entry(faulty, "pisking-vs-roring")
    assert versus.definition == "- Luft: Pisking gir mer luft.\n- Fart: Røring går saktere."


def test_a_long_list_is_given_by_name(tmp_path: Path) -> None:
    items = "".join(f"    {n}. Type{n}: {'lang tekst ' * 30}\n" for n in (1, 2, 3))
    glossary = read(tmp_path, f"1. A: a\n    - Typer\n{items}2. B: b\n")
    assert entry(glossary, "a").sections[1].text == "1. Type1\n2. Type2\n3. Type3"


def test_questions_and_parentheses_give_other_names(faulty: Glossary) -> None:
    sourdough = entry(faulty, "hva-er-surdeig-hvorfor-er-den-sur")
    assert sourdough.aliases == {"nb": ("surdeig",)}
    assert sourdough.questions == (sourdough.term,)
    assert entry(faulty, "ovn-baking").aliases == {"nb": ("Ovn", "baking")}
    assert entry(faulty, "ror-metode-i-bakemaskin").aliases == {"nb": ("rør()", "rør")}


def test_every_fault_is_told_with_its_line(faulty: Glossary) -> None:
    expected = {
        (1, "hører ikke til noe begrep"),
        (14, "hopper fra 1 til 3"),
        (14, "tallet «2.» står inne i en setning"),
        (21, "«Smak» har ingen forklaring"),
        (24, "«Utseende, spesielt på fest» har ingen forklaring"),
        (25, "«Farge og glans» har ingen forklaring"),
        (28, "«Mengde (hvor mye det ble)» har ingen forklaring"),
        (31, "nummer 4 er brukt før, på linje 18"),
        (33, "«Deig» er forklart før, på linje 3"),
        (35, "nummer 4 er brukt før"),
        (37, "har ingen definisjon, bare en liste"),
        (43, "«Gluten» mangler forklaring"),
    }
    told = [(o.line, o.message) for o in faulty.oddities]
    assert len(told) == len(expected) + 1  # after the second no. 4 the numbers also leap, to 6
    for line, message in expected:
        assert any(line == at and message in text for at, text in told), (line, message)


def test_numbers_out_of_order_and_restarts(tmp_path: Path) -> None:
    glossary = read(tmp_path, "1. A: a\n5. B: b\n3. C: c\n1. D: d\n2. E: e\n")
    assert [o.message for o in glossary.oddities] == [
        "nummereringen hopper fra 1 til 5",
        "nummer 3 kommer etter nummer 5",
        "nummereringen begynner på nytt med 1",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "1. A: en\n2. B: to\n",
        "1) A – en\n2) B – to\n",
        "(1) A - en\n(2) B - to\n",
        "1.A: en\n2.B: to\n",
        "**A**: en\n**B**: to\n",
        "**A:** en\n**B:** to\n",
        "- **A** – en\n- **B** – to\n",
        "* A: en\n* B: to\n",
        "A: en\nB: to\n",
        "A = en\nB = to\n",
        "A\ten\nB\tto\n",
        "A\n    en\nB\n    to\n",
        "1. A\n   en\n2. B\n   to\n",
        "1. A:\nen\n\n2. B:\nto\n",
        "\ufeff1. A: en\r\n\r\n\r\n2. B: to",
        "  1. A: en\n  2. B: to\n",
        "A: en\n-----\nB: to\n=====\n***\n",
        "10000. A: en\n10001. B: to\n",
        "1. `A`: en\n1. *B*: to\n",
    ],
)
def test_the_ways_to_write_a_list(tmp_path: Path, text: str) -> None:
    assert outline(read(tmp_path, text)) == [("A", None, "en"), ("B", None, "to")]


@pytest.mark.parametrize(
    "text",
    [
        "1. A: en\n\t- Typer\n\t1. X: x\n\t2. Y: y\n2. B: to\n",
        "1. A: en\n- Typer\n1. X: x\n2. Y: y\n2. B: to\n",
        "1. A: en\n   Typer:\n   - X: x\n   - Y: y\n2. B: to\n",
        "A: en\n  Typer:\n    X: x\n    Y: y\nB: to\n",
        "- A: en\n  - Typer\n    - X: x\n    - Y: y\n- B: to\n",
        "1. A: en\n  - Typer:\n    a) X: x\n    b) Y: y\n2. B: to\n",
        "1. A: en\n 1.1 Typer\n  1.1.1 X: x\n  1.1.2 Y: y\n2. B: to\n",
    ],
)
def test_the_ways_to_write_a_list_inside_a_list(tmp_path: Path, text: str) -> None:
    glossary = read(tmp_path, text)
    assert outline(glossary) == [("A", None, "en"), ("X", "a", "x"), ("Y", "a", "y"), ("B", None, "to")]
    assert re.sub(r"\d\.|-", "", glossary.entries[0].sections[1].text) == " X: x\n Y: y"
    assert glossary.entries[0].sections[1].title == "Typer"


def test_wrapped_lines_with_colons_and_numbers_are_text(tmp_path: Path) -> None:
    glossary = read(
        tmp_path,
        "1. Skala: Gjør at verdiene får omtrent samme størrelse ved\n"
        "å trekke fra gjennomsnittet og dele det hele på\n"
        "3. standardavviket, slik mange ofte gjør det med\n"
        "tall: først det ene og så det andre.\n"
        "2. Avvik: en forskjell\n",
    )
    assert [e.term for e in glossary.entries] == ["Skala", "Avvik"]
    assert "det hele på 3. standardavviket, slik mange ofte gjør det med tall: først" in glossary.entries[0].definition
    assert [o.line for o in glossary.oddities] == [3]


def test_paragraphs_after_a_list_belong_to_the_term(tmp_path: Path) -> None:
    glossary = read(tmp_path, "1. A: en\n   - Typer\n     1. X: x.\n   Mer om A.\n\n   Enda mer.\n\n2. B: to\n")
    assert glossary.entries[0].definition == "en Mer om A.\n\nEnda mer."


def test_labels_are_sections_not_terms(tmp_path: Path) -> None:
    marked = "".join(f"{n}. {term}: tekst\n   - Eksempel: her\n" for n, term in enumerate("ABC", start=1))
    for text in (marked, "A: tekst\n  Eksempel: her\nB: tekst\n  Eksempel: her\n"):
        glossary = read(tmp_path, text)
        assert "Eksempel" not in [e.term for e in glossary.entries]
        assert [s.title for s in glossary.entries[0].sections] == ["", "Eksempel"]


def test_an_item_that_is_also_a_main_term_becomes_one_entry(tmp_path: Path) -> None:
    glossary = read(tmp_path, "1. A: en\n   - Typer\n   1. B: slag av A\n   2. A: seg selv\n2. B: to\n")
    assert outline(glossary) == [("A", None, "en\n\nseg selv"), ("B", "a", "slag av A\n\nto")]


def test_a_term_inside_its_sentence_is_found(tmp_path: Path) -> None:
    glossary = read(tmp_path, "1. Dropout er en teknikk.\n2. Batch. En bunke med eksempler.\n")
    assert outline(glossary) == [
        ("Dropout", None, "Dropout er en teknikk."),
        ("Batch", None, "En bunke med eksempler."),
    ]


def test_chapters_between_terms_are_left_out_and_told(tmp_path: Path) -> None:
    glossary = read(tmp_path, "KAPITTEL 1\n\n1. A: en\n\nKAPITTEL 2\n\n2. B: to\n")
    assert outline(glossary) == [("A", None, "en"), ("B", None, "to")]
    assert [o.line for o in glossary.oddities] == [1, 5]


def test_large_and_deep_lists_are_read_in_time(tmp_path: Path) -> None:
    assert len(read(tmp_path, "".join(f"{' ' * n}- T{n}: x\n" for n in range(3000))).entries) == 3000
    assert len(read(tmp_path, "1. A: en\n" + "mer tekst uten kolon.\n" * 50_000).entries) == 1
    assert len(read(tmp_path, "".join(f"{n}. A: {n}\n" for n in range(20_000))).entries) == 1


@pytest.mark.skipif(not ORIGINAL.exists(), reason="the user's own list is not beside the repository")
def test_the_original_list_is_read_whole() -> None:
    text = ORIGINAL.read_text()
    glossary = read_glossary(ORIGINAL)
    terms = {e.term for e in glossary.entries}
    heads = {m[1] for m in re.finditer(r"^\s*(?:\d+\. |- )?([^:\n]{2,60}): \S", text, re.MULTILINE)}
    assert heads <= terms
    assert terms - heads == {"Embeddings vs. One-hot Encoding"}
    everything = "\n".join(e.text for e in glossary.entries)
    for body in re.findall(r": (\S.*)$", text, re.MULTILINE):
        assert body.strip() in everything
    slugs = {e.slug for e in glossary.entries}
    assert {"fine-tune-method-in-fastai", "dropout", "f1-score", "tracking-loss", "effektivitet"} <= slugs
