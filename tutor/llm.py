"""SWAP 2: the language model. llama.cpp in this process, or any OpenAI-compatible server."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ChatMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from tutor.errors import ModelError, UsageError
from tutor.settings import Settings

BATCH = 128
"""Prompt tokens evaluated at once: as fast as 512 on two cores, with a quarter of the buffers."""
ROLES = {"human": "user", "ai": "assistant", "system": "system"}


def make_llm(settings: Settings) -> BaseChatModel:
    """The chat model that ``settings`` ask for. Loads nothing yet.

    Raises:
        ModelError: the model file is missing or damaged.
    """
    if settings.llm_url:
        return _server_chat(settings)
    from tutor.models import selected

    chosen = selected(settings)
    return LlamaCppChat(
        model_path=chosen.path,
        lora_path=chosen.adapter,
        name=chosen.name,
        n_ctx=settings.context,
        n_threads=min(settings.threads, os.cpu_count() or 1) or physical_cores(),
        max_tokens=settings.max_tokens,
    )


def _server_chat(settings: Settings) -> BaseChatModel:
    """An OpenAI-compatible server whose failures are ``ModelError``."""
    from langchain_openai import ChatOpenAI
    from openai import OpenAIError
    from pydantic import SecretStr

    class ServerChat(ChatOpenAI):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            try:
                yield from super()._stream(*args, **kwargs)
            except OpenAIError as error:
                raise ModelError(
                    f"Tjeneren på {settings.llm_url} svarer ikke som den skal: {error} "
                    "Sjekk at den er i gang, og at TUTOR_LLM_URL, TUTOR_LLM_KEY og TUTOR_MODEL er riktige."
                ) from error

    return ServerChat(
        name=settings.model,
        base_url=settings.llm_url,
        api_key=SecretStr(settings.llm_key or "none"),
        model=settings.model,
        temperature=0,
        max_completion_tokens=settings.max_tokens,
        stream_usage=True,
    )


def physical_cores() -> int:
    """Cores without hyper-threads; a second thread on one core slows llama.cpp down."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed))


class LlamaCppChat(BaseChatModel):
    """A GGUF chat model run by llama.cpp in this process, greedy unless told otherwise.

    One generation at a time: callers queue on a lock. A conversation that ends with an
    ``AIMessage`` is continued from there, word for word (prefill). The KV state of the last
    prompt is kept, so that a prompt with the same beginning is evaluated from where they part.
    """

    model_path: Path
    lora_path: Path | None = None
    n_ctx: int = 4096
    n_threads: int = 2
    max_tokens: int = 320
    temperature: float = 0.0
    stop: list[str] | None = None

    _llama: Any = PrivateAttr(default=None)
    _template: Any = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "llama-cpp"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_path": str(self.model_path), "lora_path": str(self.lora_path or ""), "n_ctx": self.n_ctx}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {
            "ls_provider": "llama-cpp",
            "ls_model_name": kwargs.get("model", self.model_path.name),
            "ls_model_type": "chat",
            "ls_temperature": self.temperature,
            "ls_max_tokens": self.max_tokens,
            "ls_stop": stop or self.stop or [],
        }

    def load(self) -> None:
        """Load the weights now instead of at the first question.

        Raises:
            ModelError: llama.cpp cannot read the file or there is too little memory.
        """
        with self._lock:
            self._ensure_loaded()

    def _ensure_loaded(self) -> None:
        if self._llama is not None:
            return
        from llama_cpp import Llama
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        try:
            _silence()
            llama = Llama(
                model_path=str(self.model_path),
                lora_path=str(self.lora_path) if self.lora_path else None,
                n_ctx=self.n_ctx,
                n_threads=self.n_threads,
                n_threads_batch=self.n_threads,
                n_batch=BATCH,
                n_ubatch=BATCH,
                use_mmap=False,  # llama.cpp repacks the weights: mapped, they would be in memory twice
                verbose=False,
            )
        except (ValueError, OSError, RuntimeError, AssertionError) as error:
            raise ModelError(
                f"llama.cpp kan ikke laste {self.model_path.name}: {error}. "
                "Kjør: tutor models verify, eller velg en annen modell med: tutor models use"
            ) from error
        template = llama.metadata.get("tokenizer.chat_template")
        if not template:
            raise ModelError(f"{self.model_path.name} har ingen chat-mal. Velg en instruksjonstrent GGUF-modell.")
        eos, bos = (llama.detokenize([t], special=True).decode() for t in (llama.token_eos(), llama.token_bos()))
        self._template = Jinja2ChatFormatter(template=template, eos_token=eos, bos_token=bos)
        self._llama = llama

    def count_tokens(self, text: str) -> int:
        """Length of ``text`` in the model's own tokens."""
        self.load()
        return len(self._llama.tokenize(text.encode(), add_bos=False, special=False))

    def _prompt(self, messages: list[BaseMessage]) -> list[int]:
        """The conversation in the model's own chat template, as token ids."""
        prefill = ""
        if isinstance(messages[-1], AIMessage):
            prefill, messages = _plain(messages[-1]), messages[:-1]
        turns = [{"role": _role(m), "content": _plain(m)} for m in messages]
        text = self._template(messages=turns).prompt + prefill
        tokens: list[int] = self._llama.tokenize(text.encode(), add_bos=False, special=True)
        return tokens

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with self._lock:
            self._ensure_loaded()
            tokens = self._prompt(messages)
            room = self.n_ctx - len(tokens)
            if room < 16:
                raise UsageError(
                    f"Spørsmålet med kildene er {len(tokens)} tokens, og modellen tar {self.n_ctx}. "
                    "Still et kortere spørsmål, eller øk TUTOR_CONTEXT."
                )
            cached = self._shared_prefix(tokens)
            pieces = self._llama.create_completion(
                prompt=tokens,
                max_tokens=min(kwargs.get("max_tokens") or self.max_tokens, room),
                temperature=kwargs.get("temperature", self.temperature),
                stop=stop or self.stop or [],
                stream=True,
            )
            count, reason = 0, "stop"
            for piece in pieces:
                choice = piece["choices"][0]
                reason = choice["finish_reason"] or reason
                if not choice["text"]:
                    continue
                count += 1
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=choice["text"]))
                if run_manager:
                    run_manager.on_llm_new_token(choice["text"], chunk=chunk)
                yield chunk
            usage = UsageMetadata(
                input_tokens=len(tokens),
                output_tokens=count,
                total_tokens=len(tokens) + count,
                input_token_details={"cache_read": cached},
            )
            metadata = {"finish_reason": reason, "model_name": self.model_path.name, "model_provider": "llama-cpp"}
            last = AIMessageChunk(content="", usage_metadata=usage, response_metadata=metadata, chunk_position="last")
            yield ChatGenerationChunk(message=last)

    def _shared_prefix(self, tokens: list[int]) -> int:
        """How many tokens of the last prompt llama.cpp will not evaluate again."""
        held = self._llama.input_ids[: self._llama.n_tokens].tolist()
        shared = 0
        for old, new in zip(held, tokens[:-1], strict=False):
            if old != new:
                break
            shared += 1
        return shared

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        whole: AIMessageChunk | None = None
        for chunk in self._stream(messages, stop, run_manager, **kwargs):
            message = chunk.message
            assert isinstance(message, AIMessageChunk)
            whole = message if whole is None else whole + message
        assert whole is not None
        answer = AIMessage(
            content=whole.content, usage_metadata=whole.usage_metadata, response_metadata=whole.response_metadata
        )
        return ChatResult(generations=[ChatGeneration(message=answer)])


def _role(message: BaseMessage) -> str:
    return message.role if isinstance(message, ChatMessage) else ROLES.get(message.type, "user")


def _plain(message: BaseMessage) -> str:
    """The text of a message, with what would read as a control token of the chat template broken up."""
    return str(message.text).replace("<|", "< |")


def _silence() -> None:
    """Keep llama.cpp from writing to the terminal, and llama-cpp-python from closing ours.

    ``Llama(verbose=False)`` points the whole process's stdout at nothing while it loads, and what
    another thread prints meanwhile is lost. A log callback that ignores everything does the same job.
    """
    import ctypes

    import llama_cpp
    from llama_cpp import _utils

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def ignore(level: int, text: bytes, data: ctypes.c_void_p) -> None: ...

    llama_cpp.llama_log_set(ignore, ctypes.c_void_p(0))
    _KEPT.append(ignore)
    redirect = _utils.suppress_stdout_stderr
    redirect.__enter__ = lambda self: self
    redirect.__exit__ = lambda self, *_: None


_KEPT: list[Any] = []
"""Callbacks handed to C must outlive the call."""
