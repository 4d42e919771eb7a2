"""llama.cpp's C interface, as much of it as the engine needs: weights, sequences, sampling, KV state."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import llama_cpp as c
import numpy as np
from numpy.typing import NDArray

from tutor.errors import ModelError

PIECE = 64
"""Prompt tokens evaluated at once, at most: about as fast as 512 on two cores, and nobody waits a second for it."""

Row = tuple[int, int, int, bool]
"""Token, position, sequence, and whether the next token is to be sampled after it."""


class Llama:
    """A model and a context with room for ``sequences`` texts of ``n_ctx`` tokens. For one thread at a time.

    Every sequence has cells of its own, so that what is computed in one does not depend on the others. An activated
    LoRA (Greenewald et al., 2025), which names the tokens it is to be used from, is in use when ``adapt`` says so.

    Raises:
        ModelError: llama.cpp cannot read the files, there is too little memory, or the model has no chat template.
    """

    def __init__(self, path: Path, lora: Path | None, n_ctx: int, threads: int, sequences: int) -> None:
        _silence()
        self._model = self._context = None
        given = c.llama_model_default_params()
        given.n_gpu_layers = 0
        given.load_mode = c.LLAMA_LOAD_MODE_NONE  # llama.cpp repacks the weights: mapped, they would be in memory twice
        self._model = c.llama_model_load_from_file(str(path).encode(), given)
        if not self._model:
            raise _unreadable(path)
        options = c.llama_context_default_params()
        options.n_ctx, options.n_seq_max, options.kv_unified = n_ctx * sequences, sequences, False
        options.n_batch = options.n_ubatch = max(PIECE, sequences)
        options.n_threads = options.n_threads_batch = threads
        options.type_k = c.GGML_TYPE_Q8_0
        options.flash_attn_type = c.LLAMA_FLASH_ATTN_TYPE_DISABLED
        options.no_perf = True
        self._context = c.llama_init_from_model(self._model, options)
        if not self._context:
            raise _unreadable(path)
        self._adapter, self._adapted, self.invocation = None, False, []
        if lora:
            self._adapter = c.llama_adapter_lora_init(self._model, str(lora).encode())
            if not self._adapter:
                raise _unreadable(lora)
            count = c.llama_adapter_get_alora_n_invocation_tokens(self._adapter)
            if count:
                self.invocation = list(c.llama_adapter_get_alora_invocation_tokens(self._adapter)[:count])
            self.adapt(not self.invocation)
        self._vocab = c.llama_model_get_vocab(self._model)
        self._memory = c.llama_get_memory(self._context)
        self._batch = c.llama_batch_init(options.n_batch, 0, 1)
        self.n_ctx = int(c.llama_n_ctx_seq(self._context))
        template = c.llama_model_chat_template(self._model, None)
        if not template:
            raise ModelError(f"{path.name} har ingen chat-mal. Velg en instruksjonstrent GGUF-modell.")
        self.template = template.decode()
        self.eos, self.bos = (
            self.text_of(t(self._vocab), special=True).decode() for t in (c.llama_vocab_eos, c.llama_vocab_bos)
        )

    def __del__(self) -> None:
        if self._context:
            c.llama_free(self._context)
        if self._model:
            c.llama_model_free(self._model)

    def adapt(self, wanted: bool) -> None:
        """Evaluate with the adapter from now on, or without it."""
        if self._adapter and wanted is not self._adapted:
            pointers = (c.llama_adapter_lora_p_ctypes * wanted)(*[self._adapter] * wanted)
            c.llama_set_adapters_lora(self._context, pointers, int(wanted), (ctypes.c_float * wanted)(*[1.0] * wanted))
            self._adapted = wanted

    def tokenize(self, text: str, special: bool) -> list[int]:
        """``text`` as tokens; with ``special``, control tokens written out are read as such. Safe in any thread."""
        raw = text.encode()
        room = (ctypes.c_int32 * (len(raw) + 8))()
        count = c.llama_tokenize(self._vocab, raw, len(raw), room, len(room), False, special)
        return list(room[:count])

    def text_of(self, token: int, special: bool = False) -> bytes:
        """The bytes a token stands for. They need not be whole characters."""
        if token < 0:
            return b""
        room = ctypes.create_string_buffer(256)
        size = c.llama_token_to_piece(self._vocab, token, room, len(room), 0, special)
        return room.raw[: max(0, size)]

    def ends(self, token: int) -> bool:
        """Does ``token`` end an answer?"""
        return bool(c.llama_vocab_is_eog(self._vocab, token))

    def decode(self, rows: Sequence[Row]) -> None:
        """Evaluate ``rows`` together. Raises ``ModelError`` where llama.cpp gives up."""
        batch = self._batch
        batch.n_tokens = len(rows)
        for n, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[n], batch.pos[n], batch.n_seq_id[n] = token, position, 1
            batch.seq_id[n][0], batch.logits[n] = sequence, wanted
        code = c.llama_decode(self._context, batch)
        if code:
            raise ModelError(f"llama.cpp stoppet midt i et svar (kode {code}). Spør igjen.")

    def sample(self, sampler: Any, row: int) -> int:
        """The token that ``sampler`` picks after ``row`` of what was decoded last."""
        return int(c.llama_sampler_sample(sampler, self._context, row))

    def logits(self, row: int, tokens: Sequence[int]) -> tuple[float, ...]:
        """The logits of ``tokens`` after ``row`` of what was decoded last."""
        found = c.llama_get_logits_ith(self._context, row)
        return tuple(float(found[token]) for token in tokens)

    def clear(self, sequence: int, start: int = 0) -> None:
        """Forget ``sequence`` from position ``start``."""
        c.llama_memory_seq_rm(self._memory, sequence, start, -1)

    def state(self, sequence: int) -> NDArray[np.uint8]:
        """The KV state of ``sequence`` as llama.cpp writes it."""
        content = np.empty(c.llama_state_seq_get_size(self._context, sequence), np.uint8)
        size = c.llama_state_seq_get_data(self._context, _pointer(content), len(content), sequence)
        return content[:size]

    def restore(self, sequence: int, state: NDArray[np.uint8]) -> bool:
        """Replace ``sequence`` by a saved state; False, and the sequence empty, if llama.cpp does not take it."""
        if c.llama_state_seq_set_data(self._context, _pointer(state), len(state), sequence):
            return True
        self.clear(sequence)
        return False


class Sampler:
    """Picks tokens in C: the likeliest one, or by chance when ``temperature`` is above 0."""

    def __init__(self, temperature: float) -> None:
        self.chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        if temperature <= 0:
            links = [c.llama_sampler_init_greedy()]
        else:
            cut = [c.llama_sampler_init_top_k(40), c.llama_sampler_init_top_p(0.95, 1)]
            links = [*cut, c.llama_sampler_init_temp(temperature), c.llama_sampler_init_dist(c.LLAMA_DEFAULT_SEED)]
        for link in links:
            c.llama_sampler_chain_add(self.chain, link)

    def __del__(self) -> None:
        c.llama_sampler_free(self.chain)


def build() -> str:
    """What decides how llama.cpp computes on this machine: its version and the instructions it uses."""
    return f"{c.__version__} {c.llama_print_system_info().decode()}"


def _pointer(content: NDArray[np.uint8]) -> Any:
    return content.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def _unreadable(path: Path) -> ModelError:
    return ModelError(
        f"llama.cpp kan ikke laste {path.name}: filen er skadet, av feil slag, eller minnet strekker ikke til. "
        "Kjør: tutor models verify, eller velg en annen modell med: tutor models use"
    )


@cache
def _silence() -> Any:
    """Start llama.cpp and keep it from writing to the terminal. The callback must outlive the call: it is cached."""

    @c.llama_log_callback  # type: ignore[untyped-decorator]
    def ignore(level: int, text: bytes, data: ctypes.c_void_p) -> None: ...

    c.llama_log_set(ignore, ctypes.c_void_p(0))
    c.llama_backend_init()
    return ignore
