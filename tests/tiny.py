"""A language model of a few hundred kilobytes that has learnt nothing: real llama.cpp, no waiting."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WIDTH, LAYERS, HEADS = 64, 2, 2
CONTROL = ["<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def tiny_adapter(path: Path, invocation: str = "") -> Path:
    """A LoRA adapter of the model, random too; with ``invocation``, one that is in use from these words on."""
    from gguf import GGUFValueType, GGUFWriter

    writer, chance = GGUFWriter(str(path), "qwen2"), np.random.default_rng(2)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    if invocation:
        key, tokens = "adapter.alora.invocation_tokens", list(invocation.encode())
        writer.add_key_value(key, tokens, GGUFValueType.ARRAY, sub_type=GGUFValueType.UINT32)
    for n in range(LAYERS):
        for side, shape in (("a", (4, WIDTH)), ("b", (WIDTH, 4))):
            writer.add_tensor(f"blk.{n}.attn_q.weight.lora_{side}", chance.standard_normal(shape).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tiny_model(path: Path) -> Path:
    """Write the model: one token a byte, one for a blank line, two control tokens; random weights."""
    from gguf import GGUFWriter, TokenType

    letters = byte_letters()
    tokens = [*letters, "ĊĊ", *CONTROL]
    writer = GGUFWriter(str(path), "qwen2")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.NORMAL] * (len(tokens) - 2) + [TokenType.CONTROL] * 2)
    writer.add_token_merges(["Ċ Ċ"])
    writer.add_bos_token_id(len(tokens) - 2)
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_chat_template(TEMPLATE)
    chance, half = np.random.default_rng(1), WIDTH // HEADS

    def add(name: str, *shape: int) -> None:
        values = np.ones(shape) if name.endswith("norm.weight") else chance.standard_normal(shape) * 0.3
        writer.add_tensor(name, values.astype(np.float32))

    add("token_embd.weight", len(tokens), WIDTH)
    add("output.weight", len(tokens), WIDTH)
    add("output_norm.weight", WIDTH)
    for n in range(LAYERS):
        for name, rows, columns in (
            ("attn_q", WIDTH, WIDTH), ("attn_k", half, WIDTH), ("attn_v", half, WIDTH), ("attn_output", WIDTH, WIDTH),
            ("ffn_gate", 2 * WIDTH, WIDTH), ("ffn_up", 2 * WIDTH, WIDTH), ("ffn_down", WIDTH, 2 * WIDTH),
        ):  # fmt: skip
            add(f"blk.{n}.{name}.weight", rows, columns)
        for name, size in (("attn_q", WIDTH), ("attn_k", half), ("attn_v", half)):
            add(f"blk.{n}.{name}.bias", size)
        add(f"blk.{n}.attn_norm.weight", WIDTH)
        add(f"blk.{n}.ffn_norm.weight", WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def byte_letters() -> list[str]:
    """The letter that stands for each byte in GPT-2's vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(rest)) for b in range(256)]
