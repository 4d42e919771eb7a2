"""The cheap check of GGUF files, the choice of a model, and the catalogue that ships."""

from __future__ import annotations

import contextlib
import os
import struct
import tomllib
from pathlib import Path

import pytest

from tutor.errors import ModelError, UsageError
from tutor.models import (
    DEFAULT_LLM,
    EMBEDDING,
    check_gguf,
    find_model,
    load_catalog,
    model_path,
    selected,
    use,
)
from tutor.models.catalog import SOURCE_KINDS
from tutor.models.gguf import read_gguf
from tutor.settings import load_settings


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def entry(key: str, code: int, payload: bytes) -> bytes:
    return string(key) + struct.pack("<I", code) + payload


def gguf(kind: str = "", architecture: str = "qwen2", version: int = 3, alignment: int = 0) -> bytes:
    """A valid file: metadata of several types, an F32 tensor (3, 2), and a Q8_0 one of 64 weights."""
    meta = [
        entry("general.architecture", 8, string(architecture)),
        entry("general.name", 8, string("Prøve")),
        entry("some.number", 12, struct.pack("<d", 0.5)),
        entry("tokens", 9, struct.pack("<IQ", 8, 3) + string("a") + string("å") + string("")),
        entry("scores", 9, struct.pack("<IQ3f", 6, 3, 1, 2, 3)),
        entry("nested", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ2b", 1, 2, 1, 2)),
    ]
    if kind:
        meta.append(entry("general.type", 8, string(kind)))
    if alignment:
        meta.append(entry("general.alignment", 4, struct.pack("<I", alignment)))
    align = alignment or 32
    tensors = [
        string("w") + struct.pack("<IQQIQ", 2, 3, 2, 0, 0),
        string("q") + struct.pack("<IQIQ", 1, 64, 8, align),
    ]
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(meta)) + b"".join(meta + tensors)
    return header + bytes(-len(header) % align) + bytes(24).ljust(align, b"\0") + bytes(2 * 34)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TUTOR_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("alignment", [0, 64])
@pytest.mark.parametrize("version", [2, 3])
def test_a_whole_file_passes(tmp_path: Path, version: int, alignment: int) -> None:
    data = gguf(version=version, alignment=alignment)
    path = write(tmp_path / "m.gguf", data)
    check_gguf(path)
    info = read_gguf(path)
    assert (info.architecture, info.name, info.kind, info.tensors) == ("qwen2", "Prøve", "model", 2)
    assert info.needed_bytes == len(data)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    data = gguf()
    for length in range(len(data)):
        with pytest.raises(ModelError, match="tutor models pull"):
            check_gguf(write(tmp_path / "m.gguf", data[:length]))


def test_any_damage_to_the_header_ends_in_a_model_error_or_none(tmp_path: Path) -> None:
    data = gguf()
    for at in range(len(data) - 100):
        for value in (0, 0x7F, 0xFF):
            path = write(tmp_path / "m.gguf", data[:at] + bytes([value]) + data[at + 1 :])
            with contextlib.suppress(ModelError):
                check_gguf(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "er tom"),
        (b"<html>Not found</html>", "ikke en GGUF-fil"),
        (b"version https://git-lfs.github.com/spec/v1\n", "ikke en GGUF-fil"),
        (gguf(version=1), "versjon 1"),
        (gguf(version=0x03000000), "versjon"),
        (gguf(kind="adapter"), "LoRA-adapter"),
        (gguf(kind="mmproj"), "mmproj"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        check_gguf(write(tmp_path / "m.gguf", data))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="finnes ikke"):
        check_gguf(tmp_path / "m.gguf")
    with pytest.raises(ModelError):
        check_gguf(tmp_path)


def test_nothing_fetched_yet(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"tutor models pull {DEFAULT_LLM}"):
        selected(tmp_path)


def test_the_default(tmp_path: Path) -> None:
    path = write(model_path(tmp_path, DEFAULT_LLM), gguf())
    assert selected(load_settings(home=tmp_path)) == (path, None, DEFAULT_LLM)


def test_an_adapter_beside_the_model_is_used(tmp_path: Path) -> None:
    path = write(model_path(tmp_path, DEFAULT_LLM), gguf())
    beside = write(path.with_name(f"{DEFAULT_LLM}.lora.gguf"), gguf("adapter"))
    assert selected(tmp_path).adapter == beside
    assert use(tmp_path, DEFAULT_LLM, "ingen").adapter is None
    assert selected(tmp_path).adapter is None
    use(tmp_path, DEFAULT_LLM)
    assert selected(tmp_path).adapter == beside
    write(beside, gguf("adapter", architecture="llama"))
    with pytest.raises(ModelError, match="--adapter ingen"):
        selected(tmp_path)
    write(beside, gguf())
    with pytest.raises(ModelError, match="ikke en LoRA-adapter"):
        selected(tmp_path)


def test_a_file_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = write(tmp_path / "min modell «x».v2.gguf", gguf())
    adapter = write(tmp_path / "a.gguf", gguf("adapter"))
    home = tmp_path / "home"
    write(home / "tutor.toml", b"threads = 3\n")
    monkeypatch.chdir(tmp_path)
    chosen = use(home, own.name, adapter.name)
    assert chosen == selected(home) == (own, adapter, "min modell «x».v2")
    written = tomllib.loads((home / "tutor.toml").read_text(encoding="utf-8"))
    assert written == {"threads": 3, "model": str(own), "adapter": str(adapter)}
    write(model_path(home, DEFAULT_LLM), gguf())
    assert use(home, DEFAULT_LLM) == (model_path(home, DEFAULT_LLM), None, DEFAULT_LLM)
    assert "adapter" not in tomllib.loads((home / "tutor.toml").read_text(encoding="utf-8"))


def test_a_bad_choice_changes_nothing(tmp_path: Path) -> None:
    own, adapter = write(tmp_path / "m.gguf", gguf()), write(tmp_path / "a.gguf", gguf("adapter"))
    for model, lora, error in [
        ("finnes-ikke", None, UsageError),
        (EMBEDDING, None, UsageError),
        (str(adapter), None, ModelError),
        (str(own), str(own), ModelError),
        (str(own), "finnes-ikke.gguf", ModelError),
        (str(write(tmp_path / "half.gguf", gguf()[:-9])), None, ModelError),
    ]:
        with pytest.raises(error):
            use(tmp_path, model, lora)
    assert not (tmp_path / "tutor.toml").exists()


def test_a_model_may_be_chosen_before_it_is_fetched(tmp_path: Path) -> None:
    assert use(tmp_path, DEFAULT_LLM).path == model_path(tmp_path, DEFAULT_LLM)
    with pytest.raises(ModelError, match="tutor models pull"):
        selected(tmp_path)


def test_the_catalogue_is_consistent() -> None:
    catalog = load_catalog()
    assert catalog[DEFAULT_LLM].kind == "llm" and catalog[EMBEDDING].kind == "embedding"
    assert catalog[DEFAULT_LLM].sha256.startswith("cc324af0")
    names = [file.name for model in catalog.values() for file in model.files]
    assert len(names) == len(set(names))
    for model in catalog.values():
        assert model.licence and model.licence_url.startswith("https://") and model.title and model.note
        for file in model.files:
            assert file.sources and all(source.kind in SOURCE_KINDS for source in file.sources)
            for digest in (file.sha256, *file.piece_hashes):
                assert len(bytes.fromhex(digest)) == 32
            assert not Path(file.name).is_absolute() and ".." not in file.name


def test_an_unknown_model_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match=DEFAULT_LLM):
        find_model("gpt-5")


def test_importing_is_light() -> None:
    import subprocess
    import sys

    heavy = "filelock torch transformers llama_cpp gguf numpy subprocess urllib.request"
    code = f"import sys, tutor.models; print([m for m in '{heavy}'.split() if m in sys.modules])"
    root = str(Path(__file__).resolve().parents[1])
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": root}
    )
    assert out.stdout.strip() == "[]"
