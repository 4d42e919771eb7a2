"""The command line: Norwegian throughout, the JSON that scripts depend on, plain text in a pipe."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Scripted, Shelf, ToyEmbedder, environment, run_tutor, tutor_command

from tutor import cli
from tutor.errors import ModelError
from tutor.tutor import Tutor

ANSWER = ["id", "question", "answer", "refused", "language", "citations", "suggestions", "withheld", "model", "timings"]
TIMINGS = ["retrieve_ms", "first_token_ms", "total_ms", "prompt_tokens", "cached_tokens", "completion_tokens"]
SEARCH = ["id", "question", "covered", "confidence", "results"]
RESULT = ["entry_id", "term", "aliases", "section", "score", "text"]
ENGLISH = re.compile(
    r"\b(usage|options?:|positional|arguments?|show|help message|exit|error|required|unrecognized|invalid|choose|"
    r"expected|ambiguous|ignored|explicit|allowed|default)\b"
)
COMMANDS = ("ask", "chat", "search", "index", "models", "doctor")


def feed(monkeypatch: pytest.MonkeyPatch, *lines: str | bytes | dict[str, Any]) -> None:
    """Put ``lines`` on standard input."""
    raw = [json.dumps(x).encode() if isinstance(x, dict) else x.encode() if isinstance(x, str) else x for x in lines]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n".join(raw) + b"\n")))


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("arguments", [[], *([c] for c in COMMANDS)])
def test_help_is_norwegian(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0
    assert "bruk: tutor" in shown
    assert not ENGLISH.search(shown), shown


@pytest.mark.parametrize(
    "arguments",
    ["", "spør", "ask --tull", "ask --json --jsonl", "ask --js hei", "ask --json=1 hei", "models", "models fjern",
     "models pull --source", "models pull --source nettet", "index a b"],
)  # fmt: skip
def test_wrong_usage_is_explained_in_norwegian(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments.split())
    shown = capsys.readouterr().err
    assert end.value.code == 2
    assert "feil:" in shown
    assert not ENGLISH.search(shown), shown


def test_ask_json(tutor: Tutor, scripted: Scripted, shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    scripted.enqueue("Under testing er alle nodene med. Tøv om fisk.")
    assert cli.main(["ask", "hva", "er", "dropout?", "--json"]) == 0
    (answer,) = objects(capsys.readouterr().out)
    assert list(answer) == ANSWER
    assert list(answer["timings"]) == TIMINGS
    assert answer["question"] == "hva er dropout?"
    assert (answer["id"], answer["refused"], answer["language"], answer["model"]) == (None, False, "nb", "manus")
    assert answer["withheld"] == ["Tøv om fisk."]
    for citation in answer["citations"]:
        assert list(citation) == ["marker", "entry_id", "term", "quote"]
        assert citation["quote"] in shelf.entry(citation["entry_id"]).text


def test_search_json(tutor: Tutor, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["search", "vektforfall", "--json"]) == 0
    (found,) = objects(capsys.readouterr().out)
    assert list(found) == SEARCH
    assert found["covered"] is True
    assert all(list(result) == RESULT for result in found["results"])
    assert found["results"][0]["entry_id"] == "weight-decay"
    assert found["results"][0]["aliases"] == ["vektforfall", "wd"]


def test_jsonl_keeps_ids_histories_and_goes_on_after_a_bad_line(
    tutor: Tutor, scripted: Scripted, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.enqueue("", "")
    history = [{"role": "user", "content": "What is overfitting?"}, {"role": "assistant", "content": "It is."}]
    feed(
        monkeypatch,
        {"id": "a", "question": "hva er dropout?"},
        "ikke json",
        "",
        {"id": 7, "question": "dropout", "history": history},
        {"id": "tom", "question": " "},
    )
    assert cli.main(["ask", "--jsonl"]) == 2
    first, broken, second, empty = objects(capsys.readouterr().out)
    assert list(first) == list(second) == ANSWER
    assert (first["id"], second["id"], empty["id"], broken["id"]) == ("a", 7, "tom", None)
    assert (first["language"], "I answer in Norwegian" in first["answer"]) == ("nb", False)
    assert (second["language"], "I answer in Norwegian" in second["answer"]) == ("nb", True)
    assert [(t.role, t.content) for t in shelf.histories[1]] == [(t["role"], t["content"]) for t in history]
    assert "Linje 2" in broken["error"]
    assert "tomt" in empty["error"]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "5", "null", '"hei"', "{}", '{"question": null}', '{"question": 5}', '{"question": "x", "history": 3}',
     '{"question": "x", "history": [{"role": "user"}]}', b"\xff\xfe", "[" * 200_000],
)  # fmt: skip
def test_a_line_that_is_no_question(
    tutor: Tutor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str | bytes
) -> None:
    feed(monkeypatch, line)
    assert cli.main(["search", "--jsonl"]) == 2
    (answer,) = objects(capsys.readouterr().out)
    assert "Linje 1" in answer["error"]


def test_search_jsonl(tutor: Tutor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    feed(monkeypatch, {"id": 1, "question": "dropout"}, {"question": "fotosyntese"})
    assert cli.main(["search", "--jsonl"]) == 0
    first, second = objects(capsys.readouterr().out)
    assert (first["id"], first["covered"], second["id"], second["covered"]) == (1, True, None, False)


def test_no_lines_no_answers(tutor: Tutor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert cli.main(["ask", "--jsonl"]) == 0
    assert capsys.readouterr().out == ""


def test_ask_prints_the_answer_and_then_its_sources(
    tutor: Tutor, scripted: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted.enqueue("Under testing er alle nodene med.")
    assert cli.main(["ask", "hva er dropout?"]) == 0
    answer, sources = capsys.readouterr().out.split("\n\nKilder\n")
    assert answer.endswith("Under testing er alle nodene med. [3]")
    assert "[3] dropout: «Under testing er alle nodene med.»" in sources


@pytest.mark.parametrize(
    ("terminal", "variables", "coloured"),
    [(True, {}, True), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False), (False, {}, False)],
)
def test_escape_codes_only_on_a_terminal_that_wants_them(
    tutor: Tutor, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    terminal: bool, variables: dict[str, str], coloured: bool,
) -> None:  # fmt: skip
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    scripted.enqueue("")
    cli.main(["ask", "hva er dropout?"])
    cli.main(["search", "dropout"])
    assert ("\033" in capsys.readouterr().out) is coloured


@pytest.mark.parametrize("question", ["", "   ", "🎉🎉🎉", "a" * 100_000])
@pytest.mark.parametrize("command", ["ask", "search"])
def test_a_question_that_is_none_is_refused_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, question: str
) -> None:
    monkeypatch.setattr("tutor.open.open_tutor", pytest.fail)
    monkeypatch.setattr("tutor.open.open_retriever", pytest.fail)
    assert cli.main([command, question]) == 2
    assert capsys.readouterr().err.startswith("tutor: Spørsmålet")


def test_a_failure_in_the_middle_of_an_answer_stands_on_its_own_line(
    tutor: Tutor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelError("Modellen er borte. Kjør: tutor models pull")

    monkeypatch.setattr("conftest.Scripted._stream", fail)
    assert cli.main(["ask", "hva er dropout?"]) == 3
    shown = capsys.readouterr()
    assert shown.out.endswith("\n")
    assert shown.err == "tutor: Modellen er borte. Kjør: tutor models pull\n"


def test_interrupted(tutor: Tutor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("conftest.Scripted._stream", interrupt)
    assert cli.main(["ask", "hva er dropout?"]) == 130
    assert "Avbrutt" in capsys.readouterr().err


def test_interrupted_in_the_middle_of_a_compiled_library(
    tutor: Tutor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pydantic-core gives Ctrl-C another name on its way up; an error of our own is still told as it is."""

    def stop(*_: Any, **__: Any) -> None:
        raise RuntimeError("Error building `literal` serializer:\n  KeyboardInterrupt: ")

    monkeypatch.setattr(Tutor, "stream", stop)
    assert cli.main(["ask", "hva er dropout?"]) == 130
    assert "Avbrutt" in capsys.readouterr().err

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("en feil i koden")

    monkeypatch.setattr(Tutor, "stream", fail)
    with pytest.raises(RuntimeError, match="en feil i koden"):
        cli.main(["ask", "hva er dropout?"])


def test_models_list_and_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    assert cli.main(["models", "list"]) == 0
    assert "qwen2.5-coder-1.5b-instruct-q4_k_m  (ikke hentet, i bruk)" in capsys.readouterr().out
    assert cli.main(["models", "use"]) == 2
    assert cli.main(["models", "use", str(ROOT / "LICENSE")]) == 3
    assert "ikke en GGUF-fil" in capsys.readouterr().err
    assert cli.main(["models", "verify"]) == 3
    assert "tutor models pull" in capsys.readouterr().err
    assert not (tmp_path / "tutor.toml").exists()


def test_doctor_names_what_is_missing_and_its_remedy_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tutor.doctor.IN_THE_BROWSER", ("gradio", "finnes-ikke"))
    assert cli.main(["doctor"]) == 3
    shown = capsys.readouterr().out
    for text in ("✗ Språkmodell", "tutor models pull", "✗ Indeks", "→ tutor index", "✓ Ordliste",
                 "✓ gradio", "✗ finnes-ikke: mangler", "--allow-origin"):  # fmt: skip
        assert text in shown
    assert list(tmp_path.iterdir()) == []


def test_doctor_reports_on_where_the_glossary_is_gone_and_fetches_no_search_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    monkeypatch.setenv("TUTOR_GLOSSARY", str(tmp_path / "borte"))
    monkeypatch.setattr("tutor.embed.pull_embedding_files", pytest.fail)
    monkeypatch.setattr("tutor.embed.unpack", pytest.fail)
    (tmp_path / "index").mkdir()
    for embedder in ("norsk-e5-small", "multilingual-e5-small"):
        monkeypatch.setenv("TUTOR_EMBEDDER", embedder)
        assert cli.main(["doctor"]) == 3
        shown = capsys.readouterr().out
        assert "✗ Ordliste" in shown and "✗ Indeks" in shown and "✓ Python" in shown
    export = tmp_path / "models" / "query" / "norsk-e5-small"
    export.mkdir(parents=True)
    (export / "fingerprint").write_text("x")
    monkeypatch.setenv("TUTOR_EMBEDDER", "norsk-e5-small")
    monkeypatch.setattr("tutor.embed.make_embedder", lambda _: ToyEmbedder())
    assert cli.main(["doctor"]) == 3
    assert "✗ Indeks" in capsys.readouterr().out


def test_the_program_in_a_process_of_its_own(tmp_path: Path) -> None:
    """What in-process tests cannot see: encodings, exit codes, streams."""
    done = run_tutor(tmp_path, "search", "", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert done.stderr == 'tutor: Spørsmålet er tomt. Skriv for eksempel: tutor ask "hva er weight decay?"\n'
    assert done.stdout == ""


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    code = "from tutor.cli import run; import sys; sys.argv = ['tutor', 'models', 'list']; run()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=environment(tmp_path)) as child:  # fmt: skip
        assert child.stdout and child.stderr
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_output_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(tutor_command("models", "list"), stdout=full, stderr=subprocess.PIPE, encoding="utf-8",
                              env=environment(tmp_path))  # fmt: skip
    assert done.returncode == 3
    assert "Disken er full" in done.stderr
    assert "Traceback" not in done.stderr


LIGHT = """
import sys
import tutor
try:
    from tutor.cli import main
    main({arguments!r})
except SystemExit:
    pass
heavy = {{"torch", "gradio", "chromadb", "llama_cpp", "sentence_transformers", "transformers", "onnxruntime"}}
print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["search", ""], ["models", "list"]])
def test_what_needs_no_model_imports_none(tmp_path: Path, arguments: list[str]) -> None:
    code = LIGHT.format(arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", env=environment(tmp_path)
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_tutor_knows_nothing_of_ui_and_evals() -> None:
    """Only cli.py may, inside the command that needs it."""
    imports = re.compile(r"^(\s*)(?:from|import)\s+(?:ui|evals|tests|gradio)\b", re.MULTILINE)
    for path in (ROOT / "tutor").rglob("*.py"):
        found = imports.search(path.read_text(encoding="utf-8"))
        assert not found or (path.name == "cli.py" and found[1]), path


def test_an_interrupt_that_cannot_be_raised_stops_the_program() -> None:
    """Ctrl-C may strike inside a weak reference's callback, where Python would only print it and go on."""
    code = (
        "import sys, weakref\nfrom tutor import cli\n"
        "class Thing: ...\n"
        "def strike(_): raise KeyboardInterrupt\n"
        "def main():\n    thing = Thing()\n    held = weakref.ref(thing, strike)\n    del thing\n    return 0\n"
        "cli.main = main\ncli.run()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 130
    assert "Avbrutt" in done.stderr and "Traceback" not in done.stderr
