"""What an entry says of itself."""

from __future__ import annotations

from tutor.types import Entry, Section


def test_an_entry() -> None:
    entry = Entry(
        "l1", "L1", (Section("", "Straff."), Section("Eksempel", "Tall.")), {"nb": ("Lasso", "L1"), "en": ("Lasso",)}
    )
    assert entry.names == ("L1", "Lasso")
    assert entry.definition == "Straff."
    assert entry.text == "Straff.\n\n## Eksempel\nTall."


def test_a_bare_term() -> None:
    entry = Entry("l1", "L1", ())
    assert (entry.names, entry.definition, entry.text) == (("L1",), "", "")
