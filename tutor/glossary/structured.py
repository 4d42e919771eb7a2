"""YAML and JSON glossaries: a list of objects, or a mapping from term to text or object.

Both are read as ``Fields``, lists and text; every scalar stays the text that the teacher wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tutor.errors import GlossaryError
from tutor.glossary.merge import Draft
from tutor.glossary.records import Fields, draft_of, field_of
from tutor.types import Oddity

MAX_DEPTH = 50

_JSON_KEY = re.compile(r'"(?:[^"\\]|\\.)*"(?P<key>\s*:)?|\n')


def read_json(text: str, name: str) -> tuple[list[Draft], list[Oddity]]:
    """The terms of a JSON file.

    Raises:
        GlossaryError: broken JSON, with its line.
    """
    try:
        data = json.loads(text, object_pairs_hook=Fields, parse_int=str, parse_float=str, parse_constant=str)
        _number_lines(data, _json_key_lines(text))
    except RecursionError as error:
        raise _too_deep(name) from error
    except json.JSONDecodeError as error:
        raise GlossaryError(
            f"{name}, linje {error.lineno}: JSON-en er ødelagt ({error.msg}). Rett den linjen."
        ) from error
    return _read([data], name)


def _json_key_lines(text: str) -> Iterator[int]:
    line = 1
    for token in _JSON_KEY.finditer(text):
        if token["key"] is not None:
            yield line
        line += token[0].count("\n")


def _number_lines(value: object, lines: Iterator[int]) -> None:
    """Give every key its line; ``lines`` come in the order in which keys stand in the file."""
    if isinstance(value, Fields):
        value.lines = []
        for _, part in value:
            value.lines.append(next(lines))
            _number_lines(part, lines)
    elif isinstance(value, list):
        for part in value:
            _number_lines(part, lines)


def read_yaml(text: str, name: str) -> tuple[list[Draft], list[Oddity]]:
    """The terms of a YAML file.

    Raises:
        GlossaryError: broken YAML, with its line.
    """
    return _read(load_yaml(text, name), name)


def load_yaml(text: str, name: str, first_line: int = 1) -> list[object]:
    """The documents in ``text``, which begins on line ``first_line`` of the file ``name``.

    Raises:
        GlossaryError: broken YAML, with its line.
    """
    import yaml  # late: other formats do without it

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        _check_depth(yaml.parse(text, Loader=loader), name)  # the C loader crashes on deep nesting
        return [_plain(node, first_line, {}) for node in yaml.compose_all(text, Loader=loader)]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line if mark else text.count("\n", 0, getattr(error, "position", 0))
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "ukjent tegn"
        raise GlossaryError(
            f"{name}, linje {line + first_line}: YAML-en er ødelagt ({problem}). "
            "Rett linjen; tekst med kolon i må stå i anførselstegn."
        ) from error


def _check_depth(events: Iterator[Any], name: str) -> None:
    depth = 0
    for event in events:
        kind = type(event).__name__
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if depth > MAX_DEPTH:
            raise _too_deep(name)


def _plain(node: Any, first_line: int, done: dict[int, object]) -> object:
    """A YAML node as ``Fields``, list or text. Nodes used twice (``*alias``) are made once."""
    if id(node) not in done:
        if node.id == "scalar":
            done[id(node)] = node.value
        elif node.id == "sequence":
            items: list[object] = []
            done[id(node)] = items
            items += [_plain(item, first_line, done) for item in node.value]
        else:
            fields = Fields(lines=[key.start_mark.line + first_line for key, _ in node.value])
            done[id(node)] = fields
            fields += [
                (str(key.value) if key.id == "scalar" else "", _plain(value, first_line, done))
                for key, value in node.value
            ]
    return done[id(node)]


def _too_deep(name: str) -> GlossaryError:
    return GlossaryError(
        f"{name} har lister inni lister i over {MAX_DEPTH} nivåer. Skriv ordlisten som en enkel liste av begreper."
    )


def _read(documents: list[object], name: str) -> tuple[list[Draft], list[Oddity]]:
    drafts: list[Draft] = []
    oddities: list[Oddity] = []
    for document in documents:
        for fields in _objects(document, set()):
            draft, odd = draft_of(fields, source=name)
            oddities += odd
            if draft.term:
                drafts.append(draft)
            else:
                oddities.append(draft.odd("her mangler feltet «term»; det er ikke tatt med"))
    return drafts, oddities


def _objects(data: object, seen: set[int]) -> Iterator[Fields]:
    """Each term's fields, however the file is laid out. What YAML's aliases repeat (``seen``) counts once."""
    if not isinstance(data, list) or id(data) in seen:
        return
    seen.add(id(data))
    if not isinstance(data, Fields):
        for item in data:
            if isinstance(item, Fields) and (len(item) > 1 or _known(item) & {"term", "definition"}):
                yield item
            elif isinstance(item, Fields):  # [{"Dropout": "text"}]
                yield from _objects(item, seen)
            else:  # a bare text: it will be missed for its term
                yield Fields([("definition", item)])
    elif {"term", "definition"} <= _known(data):
        yield data
    elif lists := [value for _, value in data if _is_list_of_objects(value)]:  # {"title": …, "terms": [ … ]}
        for value in lists:
            yield from _objects(value, seen)
    else:
        for (term, value), line in zip(data, data.lines, strict=True):
            yield _object_of(term, value, line)


def _known(fields: Fields) -> set[str]:
    return {field for key, _ in fields if (field := field_of(key))}


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and not isinstance(value, Fields) and any(isinstance(item, Fields) for item in value)


def _object_of(term: str, value: object, line: int) -> Fields:
    inner = value if isinstance(value, Fields) else Fields([("definition", value)], [line])
    return Fields([("term", term), *inner], [line, *inner.lines])
