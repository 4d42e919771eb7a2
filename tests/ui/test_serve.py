"""``tutor serve`` when the tutor cannot be opened: it ends, and tells why."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NoReturn

import pytest

from tutor.cli import main
from tutor.errors import ModelError
from ui.app import serve
from ui.settings import WebSettings

BROKEN = [
    ModelError("Modellen mangler."),
    PermissionError(13, "Permission denied", "indeks.json"),
    UnicodeDecodeError("utf-8", b"\xe6", 0, 1, "invalid continuation byte"),
    sqlite3.OperationalError("unable to open database file"),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_whatever_keeps_the_tutor_from_opening_is_raised(error: Exception) -> None:
    def broken() -> NoReturn:
        raise error

    with pytest.raises(type(error)) as raised:
        serve(broken, WebSettings(port=0))
    assert raised.value is error


def test_the_exit_code_says_that_the_tutor_did_not_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied", "indeks.json")

    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    monkeypatch.setattr("tutor.open.open_served", broken)
    monkeypatch.setattr(WebSettings, "checked", lambda *_: WebSettings(port=0))
    assert main(["serve"]) == 3
    assert "indeks.json" in capsys.readouterr().err
