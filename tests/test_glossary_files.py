"""Tables, YAML, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tutor.errors import GlossaryError
from tutor.glossary import read_glossary
from tutor.types import Entry, Section

ENTRIES = (
    Entry(
        slug="tap",
        term="tap",
        sections=(
            Section("", "Hvor feil modellen tar; jo mindre, jo bedre."),
            Section("Eksempel", "MSE er ett, MAE et annet."),
        ),
        aliases={"nb": ("feilmål", "kostnad")},
        related=("batch",),
        questions=("Hva er tap?", "Hvor feil, tar modellen?"),
    ),
    Entry(slug="batch", term="batch", sections=(Section("", "En bunke eksempler."),), part_of="tap"),
)
"""What each format must give back. Sources differ and are left out of the comparison."""


def strip(entries: tuple[Entry, ...]) -> list[tuple[object, ...]]:
    return [(e.slug, e.term, e.sections, dict(e.aliases), e.part_of, e.related, e.questions) for e in entries]


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def as_object(entry: Entry) -> dict[str, object]:
    return {
        "term": entry.term,
        "definition": entry.definition,
        "aliases": {language: list(names) for language, names in entry.aliases.items()},
        "part_of": entry.part_of or "",
        "related": list(entry.related),
        "questions": list(entry.questions),
        **{section.title: section.text for section in entry.sections[1:]},
    }


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_csv_round_trip(tmp_path: Path, delimiter: str, encoding: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["Begrep", "Forklaring", "Synonymer", "Overbegrep", "Relatert", "Spørsmål", "Eksempel"])
    for e in ENTRIES:
        example = e.sections[1].text if len(e.sections) > 1 else ""
        names = ["; ".join(group) for group in (e.aliases.get("nb", ()), [e.part_of or ""], e.related, e.questions)]
        writer.writerow([e.term, e.definition, *names, example])
    path = write(tmp_path / "a.csv", out.getvalue(), encoding)
    assert strip(read_glossary(path).entries) == strip(ENTRIES)


def test_json_round_trip(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps([as_object(e) for e in ENTRIES], indent=1))
    assert strip(read_glossary(path).entries) == strip(ENTRIES)


def test_yaml_round_trip(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    path = write(tmp_path / "a.yml", yaml.safe_dump([as_object(e) for e in ENTRIES], allow_unicode=True))
    assert strip(read_glossary(path).entries) == strip(ENTRIES)


def test_markdown_folder_round_trip(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    for e in ENTRIES:
        matter = {
            k: v for k, v in as_object(e).items() if k in ("term", "aliases", "part_of", "related", "questions") and v
        }
        body = "\n\n".join(f"## {s.title}\n{s.text}" if s.title else s.text for s in e.sections)
        write(tmp_path / f"{e.slug}.md", f"---\n{yaml.safe_dump(matter, allow_unicode=True)}---\n{body}\n")
    glossary = read_glossary(tmp_path)
    assert not glossary.oddities
    assert strip(glossary.entries) == sorted(strip(ENTRIES))
    assert [e.source for e in glossary.entries] == ["batch.md", "tap.md"]


def test_csv_without_a_header_takes_the_first_two_columns(tmp_path: Path) -> None:
    glossary = read_glossary(write(tmp_path / "a.csv", "tap,hvor feil, altså\nbatch,en bunke\nepoke,en, to, tre\n"))
    assert [(e.term, e.definition) for e in glossary.entries] == [
        ("tap", "hvor feil, altså"),
        ("batch", "en bunke"),
        ("epoke", "en, to, tre"),
    ]
    assert [o.line for o in glossary.oddities] == [1, 3]
    wide = read_glossary(write(tmp_path / "b.tsv", "tap\tfeil\tx\nbatch\tbunke\ty\n"))
    assert [e.definition for e in wide.entries] == ["feil", "bunke"]
    assert "to første" in wide.oddities[0].message


def test_csv_lines_empty_rows_and_excel_marks(tmp_path: Path) -> None:
    text = 'sep=;\r\nterm;definisjon;engelsk;nr\r\n\r\ntap;"to\r\nlinjer";loss;1\r\n;uten begrep;;2\r\nbatch;;;3\r\n'
    glossary = read_glossary(write(tmp_path / "a.csv", text))
    assert glossary.entries[0].definition == "to\nlinjer"
    assert glossary.entries[0].aliases == {"en": ("loss",)}
    assert [(o.line, o.message.split(";")[0]) for o in glossary.oddities] == [
        (6, "raden har ikke noe begrep"),
        (7, "«batch» mangler forklaring"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "tap: feil\nno: nei\n",
        "- term: tap\n  definition: feil\n- ord: no\n  forklaring: nei\n",
        "- tap: feil\n- no: nei\n",
        "tittel: Ordliste\nbegreper:\n  - term: tap\n    tekst: feil\n  - term: no\n    tekst: nei\n",
        "tap: {definisjon: feil}\nno: {definisjon: nei}\n",
        "term: tap\ndefinition: feil\n---\nterm: no\ndefinition: nei\n",
    ],
)
def test_the_ways_to_write_yaml(tmp_path: Path, text: str) -> None:
    glossary = read_glossary(write(tmp_path / "a.yaml", text))
    assert [(e.term, e.definition) for e in glossary.entries] == [("tap", "feil"), ("no", "nei")]


def test_structured_oddities_have_lines(tmp_path: Path) -> None:
    text = '[\n {"term": "a", "definition": "1"},\n {"definition": "uten"},\n {"term": "a", "definition": "2"}\n]'
    for name in ("a.json", "a.yaml"):
        glossary = read_glossary(write(tmp_path / name, text))
        assert [o.line for o in glossary.oddities] == [3, 4]
    twice = read_glossary(write(tmp_path / "b.json", '{"a": "1",\n "b": "2",\n "a": "3"}'))
    assert twice.entries[0].definition == "1\n\n3"
    assert [o.line for o in twice.oddities] == [3]


def test_yaml_that_refers_to_itself_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "&x\nterms: [*x, {term: a, definition: b}]\n")
    assert "a" in [e.term for e in read_glossary(path).entries]
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
    )
    assert read_glossary(write(tmp_path / "b.yaml", bomb)).entries


def test_markdown_folder_takes_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "README.md", "# Les meg")
    write(tmp_path / ".skjult.md", "skjult")
    write(tmp_path / ".git" / "x.md", "skjult")
    write(tmp_path / "tom.md", "\n")
    write(
        tmp_path / "sub" / "Lærings rate.md",
        "# Læringsrate\n\nSteglengden.\n\n## Eksempel\n0,1\n\n```\n## kode\n```\n### Dypere\nmer\n",
    )
    write(tmp_path / "uten-tittel.md", "Bare tekst.\n")
    write(tmp_path / "rate.md", "---\nterm: rate\nrelated: [Læringsrate, rate]\n---\n## Eksempel\nx\n## Tom\n")
    glossary = read_glossary(tmp_path)
    assert [(e.slug, e.term, e.definition) for e in glossary.entries] == [
        ("rate", "rate", "x"),
        ("laerings-rate", "Læringsrate", "Steglengden."),
        ("uten-tittel", "uten tittel", "Bare tekst."),
    ]
    assert glossary.entries[1].sections[1].text == "0,1\n\n```\n## kode\n```\n\n### Dypere\nmer"
    assert glossary.entries[0].related == ("laerings-rate",)
    places = {(o.file, o.line) for o in glossary.oddities}
    assert places == {("rate.md", 1), ("rate.md", 7), ("sub/Lærings rate.md", 1), ("tom.md", 1), ("uten-tittel.md", 1)}


def test_two_files_of_one_name_keep_apart(tmp_path: Path) -> None:
    write(tmp_path / "a" / "tap.md", "---\nterm: tap\n---\nen")
    write(tmp_path / "b" / "tap.md", "---\nterm: tapsfunksjon\n---\nto")
    glossary = read_glossary(tmp_path)
    assert [(e.slug, e.term) for e in glossary.entries] == [("tap", "tap"), ("tap-2", "tapsfunksjon")]
    assert [o.file for o in glossary.oddities] == ["b/tap.md"]


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(GlossaryError, match=r"ingen \.md-filer"):
        read_glossary(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "# Ordliste\n\n## tap\nfeil\n\n## batch\nbunke\n",
        "# tap\nfeil\n# batch\nbunke\n",
        "# Ordliste\n\n1. **tap**: feil\n2. **batch**: bunke\n",
        "# T\n- **tap**: feil\n\n# B\n- **batch**: bunke\n- **epoke**: runde\n",
    ],
)
def test_the_ways_to_write_one_markdown_file(tmp_path: Path, text: str) -> None:
    glossary = read_glossary(write(tmp_path / "a.md", text))
    assert [(e.term, e.definition) for e in glossary.entries][:2] == [("tap", "feil"), ("batch", "bunke")]


def test_broken_front_matter_names_file_and_line(tmp_path: Path) -> None:
    write(tmp_path / "god.md", "---\nterm: god\n---\ntekst")
    write(tmp_path / "sub" / "dårlig.md", "---\nterm: C: språket\n---\ntekst")
    with pytest.raises(GlossaryError, match=r"sub/dårlig\.md, linje 2.*anførselstegn"):
        read_glossary(tmp_path)
