"""The models: a catalogue, a fetcher, a check of GGUF files, and the choice of one. Light to import."""

from tutor.models.catalog import (
    DEFAULT_LLM,
    EMBEDDING,
    Model,
    ModelFile,
    find_model,
    load_catalog,
    model_path,
)
from tutor.models.choice import Selected, selected, use
from tutor.models.fetch import pull, pull_embedding_files, pull_files, verify
from tutor.models.gguf import check_gguf

__all__ = [
    "DEFAULT_LLM",
    "EMBEDDING",
    "Model",
    "ModelFile",
    "Selected",
    "check_gguf",
    "find_model",
    "load_catalog",
    "model_path",
    "pull",
    "pull_embedding_files",
    "pull_files",
    "selected",
    "use",
    "verify",
]
