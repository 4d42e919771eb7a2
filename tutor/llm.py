"""SWAP 2: the language model. llama.cpp in this process, or any OpenAI-compatible server."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
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

os.environ["LANGSMITH_TRACING_V2"] = "false"  # or LangChain sends questions and answers away where tracing is on
ROLES = {"human": "user", "ai": "assistant", "system": "system"}


def make_llm(settings: Settings, students: int = 1) -> BaseChatModel:
    """The chat model that ``settings`` ask for, to write ``students`` answers at once. Loads nothing yet.

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
        students=students,
        states=settings.home / "states",
        states_mb=settings.states_mb,
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

    Up to ``students`` answers are written at once, the others queue. A conversation that ends with an
    ``AIMessage`` is continued from there, word for word (prefill). What was evaluated of a prompt is kept
    in memory, and in the folder ``states`` if there is one, so that a prompt with the same beginning is
    evaluated from the blank line after which they part. An answer alone is the same with it and without.
    """

    model_path: Path
    lora_path: Path | None = None
    n_ctx: int = 4096
    n_threads: int = 2
    max_tokens: int = 320
    temperature: float = 0.0
    stop: list[str] | None = None
    students: int = 1
    states: Path | None = None
    states_mb: int = 600

    _engine: Any = PrivateAttr(default=None)
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
        if self._engine is not None:
            return
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        from tutor.engine import Engine
        from tutor.states import States

        states = States(self.states, self.states_mb * 1000**2)
        engine = Engine(self.model_path, self.lora_path, self.n_ctx, self.n_threads, self.students, states)
        llama = engine.llama
        self._template = Jinja2ChatFormatter(template=llama.template, eos_token=llama.eos, bos_token=llama.bos)
        self._engine = engine

    def count_tokens(self, text: str) -> int:
        """Length of ``text`` in the model's own tokens."""
        self.load()
        return len(self._engine.llama.tokenize(text, special=False))

    def prepare(self, conversations: Sequence[list[BaseMessage]], question: bool = True, soon: bool = False) -> None:
        """Evaluate ``conversations`` when the model is idle: the beginning of each first.

        Without ``question``, as far as the last blank line, after which the question stands. What is wanted ``soon``
        goes before the rest, one after the other, and is kept in memory only.
        """
        from tutor.engine import fronts

        self.load()
        prompts = [self._prompt(c) for c in conversations]
        if not question:
            blanks = [[n for n, token in enumerate(p) if self._engine.blank(token)] for p in prompts]
            prompts = [p[: found[-1] + 2] for p, found in zip(prompts, blanks, strict=True) if found]
        self._engine.prepare(prompts if soon else fronts(self._engine, prompts), soon)

    def choose(self, messages: list[BaseMessage], options: Sequence[str]) -> tuple[float, ...]:
        """The logits of ``options``, by the first token of each, as the beginning of the answer."""
        from tutor.engine import Job

        self.load()
        firsts = tuple(self._engine.llama.tokenize(option, special=False)[0] for option in options)
        job = self._engine.submit(Job(self._prompt(messages), max_tokens=1, options=firsts))
        list(job)
        return tuple(job.scores)

    def _prompt(self, messages: list[BaseMessage]) -> list[int]:
        """The conversation in the model's own chat template, as token ids."""
        prefill = ""
        if isinstance(messages[-1], AIMessage):
            prefill, messages = _plain(messages[-1]), messages[:-1]
        turns = [{"role": _role(m), "content": _plain(m)} for m in messages]
        tokens: list[int] = self._engine.llama.tokenize(self._template(messages=turns).prompt + prefill, special=True)
        return tokens

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        from tutor.engine import Job

        self.load()
        tokens = self._prompt(messages)
        room = self._engine.llama.n_ctx - len(tokens)
        if room < 16:
            raise UsageError(
                f"Spørsmålet med kildene er {len(tokens)} tokens, og modellen tar {self.n_ctx}. "
                "Still et kortere spørsmål, eller øk TUTOR_CONTEXT."
            )
        longest = min(kwargs.get("max_tokens") or self.max_tokens, room)
        temperature = kwargs.get("temperature", self.temperature)
        job = self._engine.submit(Job(tokens, longest, temperature, tuple(stop or self.stop or ())))
        with closing(iter(job)) as texts:
            for text in texts:
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=text))
                if run_manager:
                    run_manager.on_llm_new_token(text, chunk=chunk)
                yield chunk
        usage = UsageMetadata(
            input_tokens=len(tokens),
            output_tokens=job.made,
            total_tokens=len(tokens) + job.made,
            input_token_details={"cache_read": job.cached},
        )
        metadata = {"finish_reason": job.reason, "model_name": self.model_path.name, "model_provider": "llama-cpp"}
        last = AIMessageChunk(content="", usage_metadata=usage, response_metadata=metadata, chunk_position="last")
        yield ChatGenerationChunk(message=last)

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
