"""Evaluated prompts, kept in memory and on disk so that no definition is read twice.

A prompt is evaluated in pieces that end at blank lines (``piece_ends``), and what llama.cpp computed
for each piece is kept under a key that holds everything it depends on: the weights, the machine's
instructions, and every token up to its end. Prompts that begin alike share the pieces they share.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
MEMORY = 256 * 1024**2
"""Bytes of pieces held in memory. A token of the default model takes 22 kB."""
AHEAD = 0.95
"""The share of the disk for what nobody has asked for yet; the rest is left to what students ask for."""
SHORTEST = 16
"""Tokens of the shortest piece that ends at a blank line."""


def piece_ends(tokens: Sequence[int], blank: Callable[[int], bool], longest: int) -> list[int]:
    """Where the pieces of a prompt end; the last token is a piece of its own.

    Whether another piece ends at a position depends on the tokens before it alone. So prompts that begin
    alike are cut, and computed, alike, and what is kept of one is to the bit what the other would give.
    """
    ends, start = [], 0
    for position, token in enumerate(tokens[:-1], 1):
        size = position - start
        if size == longest or (size >= SHORTEST and blank(token)) or position == len(tokens) - 1:
            ends.append(position)
            start = position
    return [*ends, len(tokens)]


def keys(name: str, tokens: Sequence[int], ends: Sequence[int]) -> list[str]:
    """One key a piece, which stands for ``name`` and every token up to the piece's end."""
    chain, start, found = hashlib.blake2b(name.encode(), digest_size=16), 0, []
    for end in ends:
        chain.update(np.asarray(tokens[start:end], np.int32).tobytes() + b"|")
        found.append(chain.hexdigest())
        start = end
    return found


@dataclass(frozen=True)
class Layout:
    """How llama.cpp writes the KV state of sequence 0, so that the state of some of its tokens can be cut out.

    ``start``, the number of tokens, three words a token, whether V is transposed (it must be), ``layers``;
    then for each layer ``k_head`` and ``k`` bytes a token; for each layer ``v_head`` and ``v`` rows of 2 bytes
    a token; then ``end``. What another sequence writes is the same after as many words as its number.
    """

    start: bytes
    layers: int
    k: int
    v: int
    k_head: bytes
    v_head: bytes
    end: bytes

    @classmethod
    def of(cls, state: Bytes, tokens: int, sequences: int) -> Layout | None:
        """The layout of a state of ``tokens`` tokens in sequence 0, or None if it is not of this kind."""
        raw, first = state.tobytes(), 4 + 3 * tokens
        words = np.frombuffer(raw[: 4 * (first + 4)], np.uint32).tolist()
        if len(words) < first + 4 or words[2] != sequences or words[3] != tokens or words[first] != 1:
            return None
        layers, k = words[first + 1], words[first + 3]
        k_start = 4 * (first + 2)
        v_start = k_start + layers * (12 + k * tokens)
        v = int.from_bytes(raw[v_start + 8 : v_start + 12], "little")
        heads = raw[k_start : k_start + 12], raw[v_start : v_start + 12]
        layout = cls(raw[:12], layers, k, v, *heads, bytes(4 * (sequences - 1)))
        if len(raw) != v_start + layers * (12 + 2 * v * tokens) + len(layout.end):
            return None
        halves = [layout.cut(state, *part, tokens) for part in ((0, 1), (1, tokens))]
        return layout if layout.join(halves).tobytes() == raw else None

    @property
    def shape(self) -> tuple[int, int, int]:
        """What the size of a piece depends on besides its tokens: layers, bytes of K and rows of V."""
        return self.layers, self.k, self.v

    def cut(self, state: Bytes, start: int, end: int, tokens: int) -> Bytes:
        """What ``state``, of ``tokens`` tokens, holds of those from ``start`` to ``end``."""
        k_start = 4 * (6 + 3 * tokens)
        v_start = k_start + self.layers * (12 + self.k * tokens)
        k = state[k_start:v_start].reshape(self.layers, -1)[:, 12:].reshape(self.layers, tokens, self.k)
        v_end = v_start + self.layers * (12 + 2 * self.v * tokens)
        v = state[v_start:v_end].reshape(self.layers, -1)[:, 12:].reshape(self.layers, self.v, 2 * tokens)
        return np.concatenate([k[:, start:end].reshape(-1), v[:, :, 2 * start : 2 * end].reshape(-1)])

    def join(self, pieces: Sequence[Bytes]) -> Bytes:
        """The state of the first tokens of a text, for sequence 0, from the pieces they were cut into."""
        sizes = [len(p) // (self.layers * (self.k + 2 * self.v)) for p in pieces]
        tokens = sum(sizes)
        k = np.empty((self.layers, 12 + self.k * tokens), np.uint8)
        v = np.empty((self.layers, 12 + 2 * self.v * tokens), np.uint8)
        k[:, :12], v[:, :12] = np.frombuffer(self.k_head, np.uint8), np.frombuffer(self.v_head, np.uint8)
        columns, at = np.empty((self.layers, self.v, 2 * tokens), np.uint8), 0
        for piece, size in zip(pieces, sizes, strict=True):
            split = self.layers * self.k * size
            k[:, 12 + self.k * at : 12 + self.k * (at + size)] = piece[:split].reshape(self.layers, -1)
            columns[:, :, 2 * at : 2 * (at + size)] = piece[split:].reshape(self.layers, self.v, 2 * size)
            at += size
        v[:, 12:] = columns.reshape(self.layers, -1)
        cells = np.zeros((tokens, 3), np.uint32)
        cells[:, 0], cells[:, 1] = np.arange(tokens), 1
        middle = [np.array([tokens], np.uint32), cells.reshape(-1), np.array([1, self.layers], np.uint32)]
        parts = [np.frombuffer(self.start, np.uint8), *(m.view(np.uint8) for m in middle)]
        return np.concatenate([*parts, k.reshape(-1), v.reshape(-1), np.frombuffer(self.end, np.uint8)])


class States:
    """Pieces by key: the last used ones in memory, and all that ``limit`` bytes have room for in ``folder``.

    A damaged file is deleted and counts as absent; a disk that is full or read-only only costs time.
    """

    def __init__(self, folder: Path | None, limit: int) -> None:
        self._folder, self._limit = (folder if limit else None), limit
        self._held: OrderedDict[str, Bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._files: OrderedDict[str, int] = OrderedDict()
        """Bytes of each file, the one that was used longest ago first."""
        self._ahead: set[str] = set()
        if self._folder:
            with suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                found = sorted((f.stat().st_mtime, f.stem, f.stat().st_size) for f in self._folder.glob("*.kv"))
                self._files.update((name, size) for _, name, size in found)

    def ahead(self, keys: Sequence[str]) -> bool:
        """Is there room on disk for pieces that nobody has asked for yet? What is there of them counts as used now.

        So what an earlier glossary or version left gives way to them, being used longest ago.
        """
        self.used(keys)
        self._ahead.update(keys)
        taken = sum(self._files.get(key, 0) for key in self._ahead)
        return self._folder is not None and taken < AHEAD * self._limit

    def has(self, key: str) -> bool:
        """Is the piece here?"""
        return key in self._held or key in self._files

    def get(self, key: str) -> Bytes | None:
        """The piece of ``key``, or None."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            if key not in self._files:
                return None
            content = self._read(key)
            if content is not None:
                self._hold(key, content)
            return content

    def used(self, keys: Sequence[str]) -> None:
        """Note that the pieces of a prompt, in order, were used: the later ones go first when room is made."""
        with self._lock:
            for key in [k for k in reversed(keys) if k in self._files]:
                self._files.move_to_end(key)
                with suppress(OSError):
                    os.utime(self._path(key))

    def put(self, key: str, content: Bytes, on_disk: bool = True) -> None:
        """Keep a piece in memory, and ``on_disk`` if there is a folder."""
        with self._lock:
            self._hold(key, content)
            if on_disk and self._folder and key not in self._files:
                self._write(key, content)

    def _hold(self, key: str, content: Bytes) -> None:
        self._held[key] = content
        while sum(len(h) for h in self._held.values()) > MEMORY and len(self._held) > 1:
            self._held.popitem(last=False)

    def _path(self, key: str) -> Path:
        assert self._folder
        return self._folder / f"{key}.kv"

    def _read(self, key: str) -> Bytes | None:
        try:
            raw = self._path(key).read_bytes()
            if len(raw) <= 4 or zlib.crc32(raw[4:]) != int.from_bytes(raw[:4], "little"):
                raise ValueError
        except (OSError, ValueError):
            self._drop(key)
            return None
        return np.frombuffer(raw, np.uint8)[4:]

    def _write(self, key: str, content: Bytes) -> None:
        raw = content.tobytes()
        draft = self._path(key).with_suffix(f".{os.getpid()}.tmp")
        try:
            draft.write_bytes(zlib.crc32(raw).to_bytes(4, "little") + raw)
            os.replace(draft, self._path(key))
        except OSError:
            with suppress(OSError):
                draft.unlink()
            return
        self._files[key] = len(raw) + 4
        while sum(self._files.values()) > self._limit:
            self._drop(next(iter(self._files)))

    def _drop(self, key: str) -> None:
        self._files.pop(key, None)
        with suppress(OSError):
            self._path(key).unlink()
