"""Settings: which source wins, and what is said of a value that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tutor import errors
from tutor.errors import UsageError
from tutor.settings import load_settings, save_settings, shipped_glossary


def write(home: Path, text: str | bytes) -> None:
    (home / "tutor.toml").write_bytes(text if isinstance(text, bytes) else text.encode())


def test_the_last_of_default_file_environment_and_argument_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    assert load_settings().context == 4096
    write(tmp_path, "context = 1000\nthreads = 3\n")
    assert load_settings().context == 1000
    monkeypatch.setenv("TUTOR_CONTEXT", "2000")
    assert load_settings().context == 2000
    assert load_settings(context=3000).context == 3000
    assert load_settings().threads == 3


def test_without_settings_the_shipped_glossary_is_used(tmp_path: Path) -> None:
    assert load_settings(home=tmp_path).glossary == shipped_glossary()
    assert shipped_glossary().is_dir()


def test_an_empty_variable_is_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTOR_CONTEXT", "")
    assert load_settings(home=tmp_path).context == 4096


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("ja", True), ("0", False), ("False", False), ("nei", False)]
)
def test_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("TUTOR_OFFLINE", text)
    assert load_settings(home=tmp_path).offline is value


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("context = [", "tutor.toml"),
        (b"\xff\xfe", "tutor.toml"),
        ('context = "fire"', "CONTEXT"),
        ("context = [1]", "CONTEXT"),
        ("glossary = 3", "GLOSSARY"),
        ("modell = 'x'", "modell"),
    ],
)
def test_a_bad_file_is_a_usage_error_that_names_the_place(tmp_path: Path, text: str | bytes, names: str) -> None:
    write(tmp_path, text)
    with pytest.raises(UsageError, match=names):
        load_settings(home=tmp_path)


def test_a_bad_variable_is_a_usage_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTOR_THREADS", "mange")
    with pytest.raises(UsageError, match="TUTOR_THREADS.*mange"):
        load_settings(home=tmp_path)


def test_saving_keeps_the_rest_and_survives_odd_values(tmp_path: Path) -> None:
    write(tmp_path, "context = 1000\noffline = true\n")
    path = r'C:\bøker "x"' + "\n"
    save_settings(tmp_path, glossary=path)
    settings = load_settings(home=tmp_path)
    assert (settings.context, settings.offline, str(settings.glossary)) == (1000, True, path)
    save_settings(tmp_path, glossary="")
    assert load_settings(home=tmp_path).glossary == shipped_glossary()
    assert [p.name for p in tmp_path.iterdir()] == ["tutor.toml"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("TutorError", 1),
        ("UsageError", 2),
        ("GlossaryError", 2),
        ("MissingError", 3),
        ("ModelError", 3),
        ("SearchIndexError", 3),
    ],
)
def test_exit_codes(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code
