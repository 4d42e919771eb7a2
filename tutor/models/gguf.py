"""A cheap look at a GGUF file: is it one, is all of it there, what does it hold?

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
Only the header is read, a few MB at most.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from tutor.errors import ModelError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

# ggml type -> (weights a block, bytes a block)
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip


@dataclass(frozen=True)
class GgufInfo:
    """What the header says. ``kind`` is ``general.type``: model, adapter, mmproj …"""

    version: int
    architecture: str
    name: str
    kind: str
    tensors: int
    needed_bytes: int


def check_gguf(path: Path, kind: str = "model") -> None:
    """Hold that ``path`` is a whole GGUF file of the given kind. Milliseconds, whatever the size.

    Raises:
        ModelError: it is missing, not GGUF, of a version we do not know, truncated, or of another kind.
    """
    found = read_gguf(path).kind
    if found != kind:
        names = {"model": "en språkmodell", "adapter": "en LoRA-adapter"}
        raise ModelError(
            f"{path} er ikke {names.get(kind, kind)}, men {names.get(found, f'av typen «{found}»')}. "
            "Velg modell og adapter med `tutor models use MODELL --adapter ADAPTER`."
        )


def read_gguf(path: Path) -> GgufInfo:
    """Read the header of ``path`` and compare the size it implies with the file's.

    Raises:
        ModelError: as ``check_gguf``, but for the kind.
    """
    try:
        with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            info = _parse(data)
            size = len(data)
    except FileNotFoundError:
        raise _damaged(path, "finnes ikke") from None
    except _NotGguf as error:
        raise _damaged(path, str(error)) from None
    except (struct.error, IndexError, OverflowError, UnicodeDecodeError, RecursionError):
        raise _damaged(path, "er avkortet eller skadet i hodet") from None
    except ValueError:  # mmap's word for an empty file
        raise _damaged(path, "er tom") from None
    except OSError as error:
        raise _damaged(path, f"kan ikke leses ({error.strerror})") from error
    if size < info.needed_bytes:
        raise _damaged(path, f"er avkortet: {size} byte, skulle vært minst {info.needed_bytes}")
    return info


def _damaged(path: Path, problem: str) -> ModelError:
    return ModelError(
        f"{path} {problem}. Hent den på nytt (`tutor models pull`), "
        "eller velg en annen med `tutor models use sti/til/modell.gguf`."
    )


class _NotGguf(Exception):
    """The reason, in Norwegian."""


class _Reader:
    """A position in the file; every step past its end is an IndexError or struct.error."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self.at = data, 0

    def number(self, code: str) -> int:
        value: int = struct.unpack_from(f"<{code}", self._data, self.at)[0]
        self.at += struct.calcsize(f"<{code}")
        return value

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self._data):
            raise IndexError

    def string(self) -> str:
        length = self.number("Q")
        start = self.at
        self.skip(length)
        return self._data[start : self.at].decode("utf-8")

    def value(self, code: int) -> object:
        """A metadata value; arrays are stepped over, they hold nothing we ask for."""
        if code == _STRING:
            return self.string()
        if code == _ARRAY:
            self._skip_array()
            return None
        if code not in _SCALARS:
            raise _NotGguf(f"er skadet: ukjent type {code} i hodet")
        return self.number(_SCALARS[code])

    def _skip_array(self) -> None:
        code, count = self.number("I"), self.number("Q")
        if code in _SCALARS:
            self.skip(count * struct.calcsize(f"<{_SCALARS[code]}"))
        elif code == _STRING:
            self._skip_strings(count)
        else:
            for _ in range(count):
                self.value(code)

    def _skip_strings(self, count: int) -> None:
        """A vocabulary has some hundred thousand: no method call for each."""
        data, at, length = self._data, self.at, struct.Struct("<Q").unpack_from
        for _ in range(count):
            at += 8 + length(data, at)[0]
        self.at = at
        self.skip(0)


def _parse(data: mmap.mmap) -> GgufInfo:
    reader = _Reader(data)
    if data[:4] != b"GGUF":
        raise _NotGguf("er ikke en GGUF-fil")
    reader.skip(4)
    version = reader.number("I")
    if version not in (2, 3):
        raise _NotGguf(f"er GGUF versjon {version}; vi leser 2 og 3 (little-endian)")
    tensors, keys = reader.number("Q"), reader.number("Q")
    meta: dict[str, object] = {}
    for _ in range(keys):
        key = reader.string()
        meta[key] = reader.value(reader.number("I"))
    end = max((_tensor_end(reader) for _ in range(tensors)), default=0)
    alignment = meta.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise _NotGguf(f"er skadet: general.alignment er {alignment}")
    start = -(-reader.at // alignment) * alignment
    return GgufInfo(
        version=version,
        architecture=str(meta.get("general.architecture", "")),
        name=str(meta.get("general.name", "")),
        kind=str(meta.get("general.type", "model")),
        tensors=tensors,
        needed_bytes=start + end,
    )


def _tensor_end(reader: _Reader) -> int:
    """Read one tensor's entry; where its data end, counted from the start of the data."""
    reader.string()
    weights = 1
    for _ in range(reader.number("I")):
        weights *= reader.number("Q")
    block, size = _BLOCKS.get(reader.number("I"), (1, 0))  # a type newer than us: its offset must do
    return reader.number("Q") + weights // block * size
