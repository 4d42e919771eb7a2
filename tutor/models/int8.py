"""Weights in 8 bits, a scale a row: how the shipped embedding model fits in the repository.

A matrix W is stored as round(W / s) with s = max|row| / 127; vectors stay in float16. The error is
at most s/2 a weight; ``tests/test_embed.py`` holds the sentence vectors to the originals.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAME = "model.int8.safetensors"
SCALE = ".scale"


def pack(source: Path, target: Path) -> None:
    """Copy a SentenceTransformer folder, its ``model.safetensors`` packed."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.safetensors", "README.md"))
    packed: dict[str, NDArray[np.generic]] = {}
    for name, tensor in load_file(source / "model.safetensors").items():
        if tensor.ndim != 2 or name.startswith("pooler"):
            packed[name] = tensor.astype(np.float16)
            continue
        scale = np.maximum(np.abs(tensor).max(axis=1, keepdims=True), 1e-12) / 127
        packed[name] = np.round(tensor / scale).astype(np.int8)
        packed[name + SCALE] = scale.astype(np.float32)
    save_file(packed, target / NAME)


def unpack(source: Path, target: Path) -> None:
    """The folder that ``SentenceTransformer(str(target))`` reads, in float32."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(NAME))
    stored = load_file(source / NAME)
    whole = {
        name: tensor.astype(np.float32) * stored.get(name + SCALE, np.float32(1))
        for name, tensor in stored.items()
        if not name.endswith(SCALE)
    }
    save_file(whole, target / "model.safetensors", metadata={"format": "pt"})
