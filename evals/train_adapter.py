"""Train the adapter with which the language model writes answers, on the pairs in ``evals/adapter``.

    python -m evals.train_adapter OUT [--epochs N] [--rank N]

LoRA (Hu et al., 2021) on the default model, from the pinned GGUF itself. The adapter works from the question on, as in
activated LoRA (Greenewald et al., 2025): the instructions and the passages are read by the model as it is, once for
all epochs, and their saved states serve with the adapter and without. Checkpoint every ten minutes; started again,
it goes on from there. Writes ``adapter.gguf``, ``loss.tsv`` (step, training loss, held-out loss; nats a token) and
``loss.png``.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import time
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from tutor.models.catalog import DEFAULT_LLM, model_path
from tutor.plan import Plan, Quote
from tutor.prompt import messages
from tutor.settings import load_settings
from tutor.types import Passage

PAIRS = Path(__file__).parent / "adapter"
SEED = 7
FIRST_LAYER = 12
"""Those below are left as they are: nothing need be kept for their gradients."""
MATRICES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""What is adapted, and what llama.cpp calls it."""
INVOCATION = "Spørsmål:"
"""What the adapter is in use from (``prompts/question.md``)."""
LEARNING_RATE = 2e-4
WARM_UP = 0.06
A_STEP = 4
"""Pairs between two steps of the optimiser."""
HELD_OUT = 4
"""Subjects that are not trained on, and show whether it generalises."""
LOOK = 50
"""Steps between two looks at the held-out loss."""
LOOKED_AT = 30
"""Held-out pairs that are read each time."""
CHECKPOINT = 600
"""Seconds."""


@dataclass(frozen=True)
class Pair:
    """What the model reads before the question, what it reads from there on, and what it is to write."""

    subject: str
    front: str
    asked: str
    answer: str


def pairs() -> list[Pair]:
    """The pairs in bokmål without history, in the shape the tutor asks: the model is asked to write nothing else."""
    lines = [line for path in sorted(PAIRS.glob("pairs-*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    rows = [json.loads(line) for line in lines]
    return [_pair(row) for row in rows if row["language"] == "nb" and not row["history"]]


def _pair(row: dict[str, Any]) -> Pair:
    read = tuple(Passage("", "", s["term"], s["section"], s["text"]) for s in row["sources"])
    opening, rest = row["answer"][: row["opening"]], row["answer"][row["opening"] :]
    begun = "".join(f"{s} " for s in opening[-1:])  # the tutor hands over with the last sentence of the glossary's own
    plan = Plan(row["kind"], row["question"], read, read, (Quote(begun, read[0]),), ())
    system, question = (str(m.content) for m in messages(plan)[:2])
    cut = question.rindex("\n\n") + 2
    return Pair(
        row["subject"],
        f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{question[:cut]}",
        f"{question[cut:]}<|im_end|>\n<|im_start|>assistant\n{begun}",
        f"{' '.join(rest)}<|im_end|>",
    )


class Trainer:
    """The default model with a LoRA adapter that is trained."""

    def __init__(self, model: Path, rank: int) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        torch.manual_seed(SEED)
        gguf: dict[str, Any] = {"gguf_file": model.name}
        base = AutoModelForCausalLM.from_pretrained(
            model.parent, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16, **gguf
        )
        self.tokenizer = AutoTokenizer.from_pretrained(model.parent, **gguf)
        self.head = base.lm_head
        config = LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            target_modules=[name.split(".")[1] for name in MATRICES],
            layers_to_transform=list(range(FIRST_LAYER, base.config.num_hidden_layers)),
        )
        self.model: Any = get_peft_model(base, config)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        for p in self.trained:
            p.data = p.data.bfloat16()
        self.masters: list[Any] = [p.detach().clone().float() for p in self.trained]
        self.fronts: dict[str, list[tuple[Any, Any]]] = {}

    def read(self, found: list[Pair]) -> None:
        """Evaluate what stands before the questions, without the adapter; what two have in common, once."""
        import torch
        from transformers import DynamicCache

        before: list[int] = []
        cache: Any = DynamicCache()
        for front in track(sorted({p.front for p in found}), description="Leser kildene"):
            tokens = self.tokenizer.encode(front)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, tokens[:-1], strict=False)))
            if shared < len(before):
                cache.crop(shared - len(before))
            with torch.no_grad(), self.model.disable_adapter():
                self.model.base_model.model.model(input_ids=torch.tensor([tokens[shared:]]), past_key_values=cache)
            self.fronts[front] = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
            before = tokens

    def loss(self, pair: Pair) -> tuple[Any, int]:
        """Summed cross-entropy of the answer's tokens, in nats, and how many there are."""
        import torch
        from transformers import DynamicCache

        cache: Any = DynamicCache()
        for layer, (keys, values) in enumerate(self.fronts[pair.front]):
            cache.update(keys, values, layer)
        asked, answer = self.tokenizer.encode(pair.asked), self.tokenizer.encode(pair.answer)
        hidden = self.model.base_model.model.model(
            input_ids=torch.tensor([asked + answer[:-1]]), past_key_values=cache
        ).last_hidden_state[0, len(asked) - 1 :]
        logits = self.head(hidden).float()
        return torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum"), len(answer)

    def mean_loss(self, found: list[Pair]) -> float:
        """Nats a token over ``found``."""
        import torch

        with torch.no_grad():
            parts = [self.loss(p) for p in found]
        return sum(float(part) for part, _ in parts) / sum(n for _, n in parts)


def export(trainer: Trainer, rank: int, path: Path) -> None:
    """The adapter as llama.cpp reads it."""
    from gguf import GGUFValueType, GGUFWriter

    writer = GGUFWriter(str(path), "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(2 * rank))
    invocation = trainer.tokenizer.encode(INVOCATION)
    writer.add_key_value(
        "adapter.alora.invocation_tokens", invocation, GGUFValueType.ARRAY, sub_type=GGUFValueType.UINT32
    )
    names = [name for name, p in trainer.model.named_parameters() if p.requires_grad]
    for name, weight in zip(names, trainer.masters, strict=True):
        found = re.search(r"layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])", name)
        assert found
        layer, matrix, side = found.groups()
        writer.add_tensor(
            f"blk.{layer}.{MATRICES[matrix]}.weight.lora_{side.lower()}", weight.numpy().astype(np.float16)
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def draw(log: Path, picture: Path) -> None:
    """The curves of ``loss.tsv``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [line.split("\t") for line in log.read_text().splitlines()]
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot([int(r[0]) for r in rows], [float(r[1]) for r in rows], linewidth=0.8, label="training, one step")
    held = [r for r in rows if r[2]]
    axes.plot([int(r[0]) for r in held], [float(r[2]) for r in held], marker="o", label="held-out subjects")
    axes.set(xlabel="step", ylabel="nats a token")
    axes.legend()
    figure.savefig(picture, dpi=120)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rank", type=int, default=8)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    found = pairs()
    held_out = set(rng.sample(sorted({p.subject for p in found}), HELD_OUT))
    looked_at = [p for p in found if p.subject in held_out]
    looked_at = rng.sample(looked_at, min(LOOKED_AT, len(looked_at)))
    found = [p for p in found if p.subject not in held_out]
    order = [p for _ in range(args.epochs) for p in rng.sample(found, len(found))]
    steps = math.ceil(len(order) / A_STEP)

    trainer = Trainer(model_path(load_settings().home, DEFAULT_LLM), args.rank)
    optimiser = torch.optim.AdamW(trainer.masters, lr=LEARNING_RATE, weight_decay=0.0)
    warm = max(1, round(WARM_UP * steps))

    def rate(step: int) -> float:
        done = max(0, step - warm) / max(1, steps - warm)
        return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * done)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    checkpoint, log, first = args.out / "checkpoint.pt", args.out / "loss.tsv", 0
    if checkpoint.is_file():
        kept = torch.load(checkpoint)
        for p, master, value in zip(trainer.trained, trainer.masters, kept["weights"], strict=True):
            master.copy_(value)
            p.data.copy_(value)
        optimiser.load_state_dict(kept["optimiser"])
        schedule.load_state_dict(kept["schedule"])
        first = kept["step"]
    rows = log.read_text().splitlines()[:first] if log.is_file() else []
    trainer.read([*looked_at, *order[first * A_STEP :]])
    saved = time.monotonic()
    for step in track(range(first, steps), description="Trener"):
        last = step == steps - 1
        held = f"{trainer.mean_loss(looked_at):.4f}" if step % LOOK == 0 or last else ""
        batch = order[step * A_STEP : (step + 1) * A_STEP]
        tokens = sum(len(trainer.tokenizer.encode(p.answer)) for p in batch)
        loss = 0.0
        for pair in batch:
            part = trainer.loss(pair)[0] / tokens
            part.backward()
            loss += float(part.detach())
        torch.nn.utils.clip_grad_norm_(trainer.trained, 1.0)
        for p, master in zip(trainer.trained, trainer.masters, strict=True):
            assert p.grad is not None
            master.grad, p.grad = p.grad.float(), None
        optimiser.step()
        for p, master in zip(trainer.trained, trainer.masters, strict=True):
            p.data.copy_(master)
        schedule.step()
        rows.append(f"{step}\t{loss:.4f}\t{held}")
        log.write_text("\n".join(rows) + "\n")
        if last or time.monotonic() - saved > CHECKPOINT:
            saved = time.monotonic()
            kept = {"weights": trainer.masters, "step": step + 1}
            kept |= {"optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
            torch.save(kept, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
    export(trainer, args.rank, args.out / "adapter.gguf")
    draw(log, args.out / "loss.png")


if __name__ == "__main__":
    main()
