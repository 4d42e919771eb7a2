"""The concept map: which entries hang together, laid out so that every name can be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tutor.types import Entry

MOST_NODES = 400
"""A larger map cannot be read; its glossary is shown as a list only."""
LINE, LETTER, PADDING, GAP, MARGIN = 18.0, 7.9, 11.0, 16.0, 24.0
"""Pixels: line height, width of a letter, inside a box, between boxes, around the map."""
LONG = 17
"""Letters. A longer name is broken in two."""
STEP = 150.0
"""Pixels between two entries that are related, before names are given their room."""


@dataclass(frozen=True)
class Node:
    """One entry. ``x``, ``y`` are the centre of its box, ``width``, ``height`` its size, in pixels."""

    entry: Entry
    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    is_whole: bool


@dataclass(frozen=True)
class Edge:
    """A relation between two entries; ``part`` when the first is a part of the second."""

    a: Node
    b: Node
    part: bool


@dataclass(frozen=True)
class Map:
    """Everything to draw, in a frame of ``width`` times ``height`` pixels with its corner in (0, 0)."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: float
    height: float


def draw(entries: Sequence[Entry]) -> Map:
    """The map of ``entries``. Those without relations are left out; too many give an empty map. The same every time."""
    relations = _relations(entries)
    related = {slug for pair in relations for slug in pair}
    shown = [e for e in entries if e.slug in related]
    if not shown or len(shown) > MOST_NODES:
        return Map((), (), 0.0, 0.0)
    at = {e.slug: n for n, e in enumerate(shown)}
    pairs = [(at[a], at[b]) for a, b in relations]
    lines = [_lines(e.term) for e in shown]
    sizes = np.array([[max(map(len, x)) * LETTER + 2 * PADDING, len(x) * LINE + PADDING] for x in lines])
    places = _apart(_stress(_distances(len(shown), pairs)) * STEP, sizes + GAP)
    corner = (places - sizes / 2).min(axis=0) - MARGIN
    wholes = {e.part_of for e in shown}
    nodes = tuple(
        Node(e, round(x, 1), round(y, 1), round(w, 1), round(h, 1), words, e.slug in wholes)
        for e, (x, y), (w, h), words in zip(shown, (places - corner).tolist(), sizes.tolist(), lines, strict=True)
    )
    width, height = (places + sizes / 2).max(axis=0) - corner + MARGIN
    edges = tuple(Edge(nodes[at[a]], nodes[at[b]], part) for (a, b), part in relations.items())
    return Map(nodes, edges, round(float(width)), round(float(height)))


def _relations(entries: Sequence[Entry]) -> dict[tuple[str, str], bool]:
    """Each related pair once, and whether the first is a part of the second."""
    known = {e.slug for e in entries}
    found = {(e.slug, e.part_of): True for e in entries if e.part_of in known and e.part_of != e.slug}
    for entry in entries:
        for other in entry.related:
            pair = (entry.slug, other)
            if other in known and other != entry.slug and pair not in found and pair[::-1] not in found:
                found[pair] = False
    return found  # type: ignore[return-value]  # part_of is in known, hence not None


def _lines(term: str) -> tuple[str, ...]:
    """The name in one line, or in two of about the same length."""
    words = term.split()
    if len(term) <= LONG or len(words) == 1:
        return (term,)
    ways = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
    return min(ways, key=lambda way: max(map(len, way)))


def _distances(n: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Steps from each node to each, [n, n]; one more than the longest between parts that do not hang together."""
    near: list[list[int]] = [[] for _ in range(n)]
    for a, b in pairs:
        near[a].append(b)
        near[b].append(a)
    steps = np.full((n, n), -1.0)
    for start in range(n):
        steps[start, start] = 0
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for there in near[here]:
                if steps[start, there] < 0:
                    steps[start, there] = steps[start, here] + 1
                    queue.append(there)
    steps[steps < 0] = steps.max() + 1
    return steps


def _stress(distances: np.ndarray, rounds: int = 120) -> np.ndarray:
    """Places [n, 2] whose distances come near the wanted ones: stress majorisation (SMACOF, de Leeuw 1977),
    close pairs weighted more (1 / d²), begun from classical scaling."""
    n = len(distances)
    if n == 1:
        return np.zeros((1, 2))
    centring = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centring @ distances**2 @ centring)
    places = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 1e-9))
    places = (places * np.sign(places.sum(axis=0) + 1e-12))[:, ::-1]  # eigenvectors have no sign of their own
    places = places + 1e-3 * np.stack([np.cos(np.arange(n)), np.sin(np.arange(n))], axis=1)  # no two in one point
    weights = 1 / np.maximum(distances, 1) ** 2
    np.fill_diagonal(weights, 0)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    inverse = np.linalg.pinv(laplacian)
    for _ in range(rounds):
        lengths = np.linalg.norm(places[:, None] - places[None], axis=2)
        ratio = np.divide(weights * distances, lengths, out=np.zeros_like(lengths), where=lengths > 1e-9)
        places = inverse @ ((np.diag(ratio.sum(axis=1)) - ratio) @ places)
    return np.asarray(places)


def _apart(places: np.ndarray, sizes: np.ndarray, rounds: int = 200) -> np.ndarray:
    """``places`` [n, 2] moved until boxes of ``sizes`` [n, 2] do not overlap: pushed apart, then set in rows."""
    places = places * np.array([1.25, 0.8])  # names are wider than high, and so are screens
    room = (sizes[:, None] + sizes[None]) / 2
    for _ in range(rounds):
        apart = places[:, None] - places[None]
        overlap = room - np.abs(apart)
        hit = (overlap > 0.01).all(axis=2)
        np.fill_diagonal(hit, False)
        if not hit.any():
            break
        shorter = (overlap == overlap.min(axis=2, keepdims=True)) & hit[..., None]
        push = np.where(shorter, np.where(apart >= 0, overlap, -overlap), 0)
        places = places + push.sum(axis=1) * 0.4 / np.maximum(1, hit.sum(axis=1))[:, None]
    return _in_rows(places, sizes)


def _in_rows(places: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The same order from top to bottom and left to right, in rows without overlap."""
    height = sizes[:, 1].max()
    rows = np.round((places[:, 1] - places[:, 1].min()) / height)
    tidy = places.copy()
    tidy[:, 1] = rows * height
    for row in np.unique(rows):
        inside = sorted(np.flatnonzero(rows == row), key=lambda n: places[n, 0])
        for left, right in pairwise(inside):
            tidy[right, 0] = max(tidy[right, 0], tidy[left, 0] + (sizes[left, 0] + sizes[right, 0]) / 2)
    return tidy
