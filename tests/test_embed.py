"""Queries through onnxruntime are held to the real SentenceTransformer; any other one can take its place."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL

from tutor.embed import Embedder, make_embedder
from tutor.errors import MissingError
from tutor.settings import Settings

TEXTS = [
    "hva er weight decay?",
    "Korleis verkar gradientnedstiging?",
    "What is the difference between L1 and L2?",
    "x",
    "ÆØÅ æøå",
    "forstår ikke batchnorm 😭😭",
    "fine_tune(epochs=3, base_lr=2e-3)",
    r"$$w \leftarrow w - \eta \nabla L$$",
    "什么是过拟合？",
    "SKRIK MED STORE BOKSTAVER!!!",
    "tall 3,14 og 0.001 og 1e-5",
    "linje\nskift\tog   mellomrom",
    "query: passage: query:",
    "menneskerettighetsorganisasjonsmedlem",
    "<s></s><mask>",
    "weigth deacy lærningsrate",
    "a " * 30,
    "hvorfor " * 100,
    "dropout " * 600,
    " ".join(random.Random(1).choices(["vekt", "tap", "lag", "noder", "rate", "steg", "data", "modell"], k=40)),
]


@pytest.fixture(scope="module")
def embedder(weights: Path) -> Embedder:
    return make_embedder(Settings(home=weights))


@pytest.mark.real
@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_queries_are_as_sentence_transformers_would_have_them(embedder: Embedder, number: int) -> None:
    text = TEXTS[number]
    expected = embedder.model.encode_query(text, normalize_embeddings=True)
    assert np.dot(embedder.embed_query(text), expected) >= 0.999


@pytest.mark.real
def test_documents_are_unit_vectors_in_the_order_given(embedder: Embedder) -> None:
    texts = ["kort", "en mye lengre tekst om dropout og noder " * 5, "middels lang tekst"]
    vectors = np.array(embedder.embed_documents(texts))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert np.dot(embedder.embed_documents([text])[0], vector) > 0.9999


@pytest.mark.real
def test_an_empty_list_gives_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed_documents([]) == []


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Path:
    """Another SentenceTransformer: a tiny BERT of random weights with the tokenizer of the first."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("annen")
    tokenizer = embedder.model.tokenizer
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=64)  # fmt: skip
    BertModel(config).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"))
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu").save(str(folder / "modell"))
    return folder / "modell"


@pytest.mark.real
def test_any_sentence_transformer_folder_can_be_used(home: Path, other: Path) -> None:
    from tutor.open import open_retriever

    usual = open_retriever(Settings(home=home, glossary=SMALL))
    retriever = open_retriever(Settings(home=home, glossary=SMALL, embedder=str(other)))
    assert len(retriever.embedder.embed_query("hei")) == 32
    for text in TEXTS[:6]:
        expected = retriever.embedder.model.encode_query(text, normalize_embeddings=True)
        assert np.dot(retriever.embedder.embed_query(text), expected) >= 0.999
    assert retriever.search("hva er dropout?").hits[0].passage.entry_id == "dropout"
    assert retriever.index.folder != usual.index.folder


@pytest.mark.real
def test_a_model_that_changes_in_its_place_is_exported_again(tmp_path: Path, other: Path) -> None:
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(other, tmp_path / "modell"))
    settings = Settings(home=tmp_path / "home", embedder=str(folder))
    before = make_embedder(settings)
    fingerprint, vector = before.fingerprint, before.embed_query("hei")
    assert make_embedder(settings).fingerprint == fingerprint
    (weights,) = folder.rglob("model.safetensors")
    tensors = load_file(weights)
    save_file({name: t + torch.rand_like(t) for name, t in tensors.items()}, weights, metadata={"format": "pt"})
    after = make_embedder(settings)
    assert after.fingerprint != fingerprint
    assert not np.allclose(after.embed_query("hei"), vector)


@pytest.mark.real
@pytest.mark.parametrize("name", ["tom-mappe", "finnes/ikke"])
def test_an_embedder_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "tom-mappe").mkdir()
    chosen = str(tmp_path / name) if name == "tom-mappe" else name
    with pytest.raises(MissingError, match="TUTOR_EMBEDDER"):
        make_embedder(Settings(home=tmp_path / "home", embedder=chosen, offline=True)).embed_query("hei")
