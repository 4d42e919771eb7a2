"""What every reader owes: the errors, the encodings, the dispatch, the merging and the report."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tutor.errors import GlossaryError
from tutor.glossary import read_glossary, report, slugify
from tutor.glossary.files import MAX_BYTES
from tutor.glossary.names import headword_aliases
from tutor.types import Entry, Glossary

LIST = "1. Bølge: en svingning som brer seg\n2. Støy: uønsket lyd\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def by_slug(glossary: Glossary) -> dict[str, Entry]:
    return {entry.slug: entry for entry in glossary.entries}


@pytest.mark.parametrize(
    ("term", "slug"),
    [
        ("fine_tune() method in fastai", "fine-tune-method-in-fastai"),
        ("Læringsrate på høygir", "laeringsrate-pa-hoygir"),
        ("Café  (L1)", "cafe-l1"),
        ("C++", "c"),
    ],
)
def test_slugify(term: str, slug: str) -> None:
    assert slugify(term) == slug


def test_slug_of_a_term_without_latin_letters_is_stable_and_its_own() -> None:
    assert slugify("学习率") == slugify("学习率") != slugify("模型")
    assert slugify("!").startswith("begrep-")


def test_slug_is_never_long() -> None:
    assert len(slugify("et langt begrep " * 50)) <= 80


@pytest.mark.parametrize(
    ("term", "aliases"),
    [
        ("L1 (Lasso)", {"nb": ["L1", "Lasso"]}),
        ("item_tfms()", {"nb": ["item_tfms"]}),
        ("fine_tune() method in fastai", {"nb": ["fine_tune()", "fine_tune"]}),
        ("Læringsrate (eng.: learning rate)", {"nb": ["Læringsrate"], "en": ["learning rate"]}),
        ("Metrikk / mål", {"nb": ["Metrikk", "mål"]}),
        ('What is a latent factor? Why is it "latent"?', {"nb": ["latent factor"]}),
        ("Hva er en epoke?", {"nb": ["epoke"]}),
        ("Dropout", {}),
    ],
)
def test_headword_aliases(term: str, aliases: dict[str, list[str]]) -> None:
    assert headword_aliases(term) == aliases


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings_and_line_endings(tmp_path: Path, encoding: str, ending: str) -> None:
    path = write(tmp_path / "ordliste.txt", LIST.replace("\n", ending).encode(encoding))
    assert [(e.slug, e.term, e.definition) for e in read_glossary(path).entries] == [
        ("bolge", "Bølge", "en svingning som brer seg"),
        ("stoy", "Støy", "uønsket lyd"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "er tom"),
        ("a.csv", b" \n\t\n", "er tom"),
        ("a.txt", b"1. A: b\x00c", "ikke ren tekst"),
        ("a.txt", bytes(range(1, 32)) * 20, "ikke ren tekst"),
        ("a.txt", b"\xff\xfe\x41", "ikke ren tekst"),
        ("a.pdf", b"%PDF-1.7 og mer", "ikke ren tekst"),
        ("a.txt", rb"{\rtf1\ansi 1. A: b}", "ikke ren tekst"),
        ("a.txt", "bare løpende tekst uten begreper\n", "Fant ingen begreper"),
        ("a.yaml", "- term: a\n  definisjon: [b\n", "linje 3"),
        ("a.yaml", "term: a: b\n", "linje 1"),
        ("a.yaml", "a: et styretegn (\x07) i ellers vanlig tekst\n", "linje 1"),
        ("a.yaml", "[" * 100_000, "over 50 nivåer"),
        ("a.json", '{"a":\n "b"\n "c"}', "linje 3"),
        ("a.json", "[" * 100_000, "over 50 nivåer"),
        ("a.json", "[]", "Fant ingen begreper"),
        ("a.md", "---\nterm: a\n\nuten slutt\n", "ikke avsluttet"),
        ("a.md", "---\nterm: [a\n---\ntekst\n", "linje 3"),
        ("a.csv", '"' + "x" * 200_000 + '"', "tabellen kan ikke leses"),
    ],
)
def test_errors_name_what_is_wrong(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(GlossaryError, match=message) as caught:
        read_glossary(path)
    assert name in str(caught.value)


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(GlossaryError, match="Fant ikke"):
        read_glossary(tmp_path / "finnes-ikke.txt")
    with pytest.raises(GlossaryError):
        read_glossary(tmp_path / "null\x00tegn.txt")


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "stor.txt"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(GlossaryError, match="Del den opp"):
        read_glossary(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "laast.txt", LIST)
    path.chmod(0)
    with pytest.raises(GlossaryError, match="Har ikke lov"):
        read_glossary(path)


def test_permission_error_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(GlossaryError, match="lesetilgang"):
        read_glossary(write(tmp_path / "a.txt", LIST))


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
def test_links_in_a_loop_and_pipes_do_not_hang(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "---\nterm: a\n---\ntekst\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(read_glossary(tmp_path).entries) == 1
    loop = tmp_path / "loop.txt"
    loop.symlink_to(loop)
    with pytest.raises(GlossaryError):
        read_glossary(loop)
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(GlossaryError, match="ikke en vanlig fil"):
        read_glossary(tmp_path / "pipe.txt")


def test_terms_of_the_same_slug_stay_apart_and_keep_their_texts(tmp_path: Path) -> None:
    glossary = read_glossary(write(tmp_path / "a.txt", "1. C: et språk\n2. C++: et annet\n3. C#: et tredje\n"))
    assert [(e.slug, e.term) for e in glossary.entries] == [("c", "C"), ("c-2", "C++"), ("c-3", "C#")]


def test_the_same_term_twice_becomes_one_entry_with_both_texts(tmp_path: Path) -> None:
    glossary = read_glossary(write(tmp_path / "a.txt", "1. Fine-tuning: først\n2. B: b\n3. fine tuning: sist\n"))
    assert by_slug(glossary)["fine-tuning"].definition == "først\n\nsist"
    assert [(o.line, "slått sammen" in o.message) for o in glossary.oddities] == [(3, True)]


def test_an_alias_belongs_to_one_term_only(tmp_path: Path) -> None:
    text = "term;definisjon;synonymer\ntap;a;feil|loss\navvik;b;feil\nloss;c;\n"
    glossary = read_glossary(write(tmp_path / "a.csv", text))
    assert [e.names for e in glossary.entries] == [("tap", "feil"), ("avvik",), ("loss",)]
    assert [o.line for o in glossary.oddities] == [2, 3]


def test_a_term_is_never_part_of_itself(tmp_path: Path) -> None:
    text = "term,definisjon,part_of\na,1,b\nb,2,c\nc,3,a\nd,4,a\ne,5,e\n"
    glossary = read_glossary(write(tmp_path / "a.csv", text))
    assert {e.slug: e.part_of for e in glossary.entries} == {"a": "b", "b": "c", "c": None, "d": "a", "e": None}
    assert ["en del av seg selv" in o.message for o in glossary.oddities] == [True]


def test_report_counts_and_places(tmp_path: Path) -> None:
    write(tmp_path / "b.md", "---\nterm: b\nfarge: blå\npart_of: a\nrelated: [a, ukjent]\n---\ntekst\n")
    write(tmp_path / "a.md", "---\nterm: a\n---\ntekst\n")
    text = report(read_glossary(tmp_path))
    assert text.startswith("2 oppslag, av dem 1 underoppslag.\n\n2 merknader:\n")
    assert "  b.md, linje 3: ukjent felt «farge»" in text
    assert "«ukjent», som ikke finnes" in text
    assert report(read_glossary(tmp_path / "a.md")).endswith("Ingen merknader.")


@pytest.mark.parametrize("suffix", ["txt", "md", "csv", "tsv", "yaml", "json"])
def test_random_text_raises_nothing_but_glossary_errors(tmp_path: Path, suffix: str) -> None:
    rng = random.Random(f"ordliste {suffix}")
    pieces = [
        *"abcæøåAÆ 123.,:;-–*_#|()[]{}\"'«»\t\n\n\n\\&!?=İſ²\u00a0\ufeff\u2028\x0c\x85",
        "1. ",
        "2) ",
        "a) ",
        "- ",
    ]
    pieces += [
        "**",
        "---\n",
        "term: ",
        "term;definisjon\n",
        '{"term": "',
        '"}',
        "## ",
        "    ",
        "&x ",
        "*x",
        "<<: ",
        "er en ",
    ]
    path = tmp_path / f"tilfeldig.{suffix}"
    for _ in range(400):
        write(path, "".join(rng.choices(pieces, k=rng.randrange(1, 120))))
        try:
            glossary = read_glossary(path)
        except GlossaryError:
            continue
        slugs = [entry.slug for entry in glossary.entries]
        assert len(set(slugs)) == len(slugs)
        assert {e.part_of for e in glossary.entries} - {None} <= set(slugs)
        assert all(entry.term.strip() for entry in glossary.entries)
        report(glossary)


def test_random_bytes_raise_nothing_but_glossary_errors(tmp_path: Path) -> None:
    rng = random.Random(7)
    for number in range(300):
        path = write(tmp_path / f"b.{rng.choice(['txt', 'md', 'csv', 'yaml', 'json'])}", rng.randbytes(number))
        try:
            read_glossary(path)
        except GlossaryError:
            continue
