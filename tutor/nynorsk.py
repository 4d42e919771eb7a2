"""Bokmål to nynorsk by Apertium (``apertium`` and ``apertium-nno-nob``), where installed; questions, the other way.

Apertium is a pipe of some twenty programs that take a second to start, so one pipe each way is kept running
and fed a sentence at a time; a NUL makes every program in it hand on what it holds.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

from tutor.language import detect
from tutor.lexical import words
from tutor.prompt import table
from tutor.types import Entry

MODE = "nob-nno_e.mode"
"""Infinitives on -e and «vi», as most textbooks have it."""
BACK = "nno-nob.mode"
REMEMBERED = 64
"""Questions whose bokmål is kept."""
PATIENCE = 5.0
"""Seconds that a sentence may take, the start of the pipe included."""
INSTALL = "apt install apertium apertium-nno-nob"
KEPT = re.compile(r"\$\$.+?\$\$|\$[^$]+\$|`[^`]+`|\[\d+\]|https?://\S+|[\w.]+\(\)|\w*_\w+|[*#~]+", re.DOTALL)
"""Formulas, code, markers and addresses: Apertium never sees them."""
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
RESERVED = re.compile(r"[\[\]{}^$/\\@<>]")
FAULT = re.compile(r"(?<!\\)[#@]")
"""Apertium's marks for a word that it could not inflect or does not have in nynorsk."""
ODD_CAPITALS = re.compile(r"(?<=[a-zæøå])(?!XQ)[A-ZÆØÅ]{2,}(?=[a-zæøå])")
"""«overtiLPassar»: a slip in Apertium's dictionary."""
PASSIVE = "blir "
"""What Apertium makes of a passive on -s begins so."""
NEGATIONS = frozenset(["ikke", "ikkje", "aldri", "ingen", "inga", "inkje", "ingenting", "uten", "utan"])


@cache
def mode_file(mode: str = MODE) -> Path | None:
    """The installed mode, bokmål to nynorsk unless told otherwise, or None."""
    program = shutil.which("apertium")
    path = Path(program).resolve().parents[1] / "share/apertium/modes" / mode if program else None
    return path if path and path.is_file() else None


def readings(question: str) -> list[str]:
    """The question, and if it is nynorsk, in bokmål too: glossaries, and what models have read, are mostly bokmål."""
    bokmaal = in_bokmaal(question) if detect(question) == "nn" else None
    return [question, bokmaal] if bokmaal else [question]


@lru_cache(REMEMBERED)
def in_bokmaal(text: str) -> str | None:
    """A student's nynorsk in bokmål, to search with; None without Apertium."""
    found = _pipe(BACK).send(RESERVED.sub(r"\\\g<0>", text.replace("\0", " ")))
    return None if found is None else re.sub(r"[*#@]", "", re.sub(r"\\(.)", r"\1", found))


class Nynorsk:
    """Turns sentences of one glossary into nynorsk. Safe for threads."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Names that are the same in nynorsk or English, and every headword that has no nynorsk name, are kept."""
        names = {name for entry in entries for name in _same_in_nynorsk(entry)}
        longest_first = sorted(filter(None, map(re.escape, names)), key=len, reverse=True)
        self._names = re.compile(rf"(?<!\w)(?:{'|'.join(longest_first) or '(?!)'})(?!\w)", re.IGNORECASE)

    def translate(self, sentence: str) -> str | None:
        """``sentence`` in nynorsk; None when Apertium is missing, fails, or changes what must stand."""
        sentence = _active(sentence)
        with_names = re.compile(f"{KEPT.pattern}|{self._names.pattern}", re.DOTALL | re.IGNORECASE)
        for kept in (KEPT, with_names):  # names go through where they come out whole: then their neighbours agree
            found = _translated(sentence, kept)
            if found is None:
                return None
            if _counts(self._names, sentence) <= _counts(self._names, found):
                return found if _same_facts(sentence, found) else None
        return None


def _active(sentence: str) -> str:
    """«Vanligvis lages X» as «Vanligvis lager man X»: of the passive Apertium makes «Vanlegvis blir laga X»."""
    found = _fronted().match(sentence)
    return (
        f"{found['front']} {found['verb'][:-1]}r man {found['rest']}" if found and _passive(found["verb"]) else sentence
    )


@cache
def _fronted() -> re.Pattern[str]:
    """A sentence that begins with an adverb or a preposition and a few words, then a verb on -s, and no pronoun."""
    listed = {name: "|".join(choices) for name, choices in table("nynorsk")["fronted"].items()}
    front = r"(?:{adverbs})|(?:{prepositions})(?: (?!(?:{others})\b)[\w`().=-]+){{1,7}}?".format(**listed)
    return re.compile(
        rf"(?P<front>{front}) (?P<verb>\w+[eaiå]s) (?!(?:{listed['pronouns']})\b)(?P<rest>.+)",
        re.IGNORECASE | re.DOTALL,
    )


def _passive(verb: str) -> bool:
    return (_pipe().send(verb) or "").startswith(PASSIVE)


def _same_in_nynorsk(entry: Entry) -> set[str]:
    nynorsk = set(entry.aliases.get("nn", ()))
    same = nynorsk | set(entry.aliases.get("en", ()))
    return same | {entry.term} if not nynorsk or entry.term in same else same


def _counts(pattern: re.Pattern[str], text: str) -> Counter[str]:
    return Counter(m.lower() for m in pattern.findall(text))


def _same_facts(bokmaal: str, nynorsk: str) -> bool:
    """The same numbers, and as many negations."""
    bokmaal, nynorsk = KEPT.sub(" ", bokmaal), KEPT.sub(" ", nynorsk)
    negations = [sum(w in NEGATIONS for w in words(text)) for text in (bokmaal, nynorsk)]
    return negations[0] == negations[1] and _counts(NUMBER, bokmaal) == _counts(NUMBER, nynorsk)


def _translated(sentence: str, kept: re.Pattern[str]) -> str | None:
    """With what matches ``kept`` behind words of no language, which Apertium leaves where they are."""
    hidden: list[str] = []

    def hide(match: re.Match[str]) -> str:
        word = corrected().get(match[0].lower())
        hidden.append(match[0] if word is None else word[0].upper() + word[1:] if match[0][0].isupper() else word)
        return _stand_in(len(hidden) - 1)

    text = _corrected_words().sub(hide, kept.sub(hide, sentence.replace("\0", " ")))
    found = _pipe().send(RESERVED.sub(r"\\\g<0>", text))
    if found is None or FAULT.search(found):
        return None
    found = ODD_CAPITALS.sub(lambda m: m[0].lower(), re.sub(r"\\(.)", r"\1", found.replace("*", "")))
    found = re.sub(r"\w+", lambda m: table("nynorsk")["forms"].get(m[0], m[0]), found)
    for number, original in enumerate(hidden):
        if found.count(_stand_in(number)) != 1:
            return None
        found = found.replace(_stand_in(number), original)
    return found


@cache
def corrected() -> dict[str, str]:
    """Nynorsk for words that Apertium gets wrong, by the word in bokmål."""
    return {str(k): str(v) for k, v in table("nynorsk")["words"].items()}


@cache
def _corrected_words() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, corrected()))})(?!\w)", re.IGNORECASE)


def _stand_in(number: int) -> str:
    """XQaa, XQab, …: Apertium takes what looks like initials for a noun, and other unknown words for anything."""
    return f"XQ{chr(97 + number // 26 % 26)}{chr(97 + number % 26)}"


@cache
def _pipe(mode: str = MODE) -> _Pipe:
    return _Pipe(mode)


class _Pipe:
    """One running Apertium; started at the first sentence, and again when it has died."""

    def __init__(self, mode: str) -> None:
        self._mode, self._lock = mode, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def send(self, text: str) -> str | None:
        """What comes out for ``text``, which must be escaped; None when Apertium is missing or does not answer."""
        with self._lock:
            for _ in range(2):
                self._process = self._process or _start(self._mode)
                if self._process is None:
                    return None
                found = _exchange(self._process, f"{text}.[][\n]\0".encode())
                if found is not None:
                    return found.decode(errors="replace").removesuffix("\0").removesuffix(".[][\n]")
                self.stop()
            return None

    def stop(self) -> None:
        """End the pipe and everything in it."""
        process, self._process = self._process, None
        if process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _start(mode: str) -> subprocess.Popen[bytes] | None:
    path = mode_file(mode)
    if not path:
        return None
    programs = path.read_text(encoding="utf-8").strip().replace("$1", "-g").replace("$2", "")
    command = re.sub(r"((?:^|\|)\s*[\w-]+)", r"\1 -z", programs)  # -z: flush at each NUL
    return subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us, not for the pipe
    )


def _exchange(process: subprocess.Popen[bytes], sent: bytes) -> bytes | None:
    """Everything up to the next NUL; None when the pipe is broken or ``PATIENCE`` is over."""
    assert process.stdin and process.stdout
    deadline, found = time.monotonic() + PATIENCE, b""
    try:
        process.stdin.write(sent)
        process.stdin.flush()
        while not found.endswith(b"\0"):
            ready, *_ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not piece:
                return None
            found += piece
    except OSError:
        return None
    return found
