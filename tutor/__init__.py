"""A Norwegian tutor for a course glossary: answers only from the glossary, and shows where it stands."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tutor.open import open_tutor
    from tutor.tutor import Tutor
    from tutor.types import Answer, Citation, Entry

__all__ = ["Answer", "Citation", "Entry", "Tutor", "open_tutor"]
_HOME = {"Tutor": "tutor.tutor", "open_tutor": "tutor.open"}


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import tutor`` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'tutor' has no attribute '{name}'")
    return getattr(import_module(_HOME.get(name, "tutor.types")), name)
