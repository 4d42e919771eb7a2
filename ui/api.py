"""``/api/ask``, ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from tutor.cli import answer_json
from tutor.types import Answer, Delta, Event, Turn
from ui.desk import Desk, Queued, Refused
from ui.texts import negotiate, text


class Message(BaseModel):
    """One message of the conversation so far."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(max_length=20_000)]


class Question(BaseModel):
    """A question, and what was said before it."""

    question: str
    history: Annotated[list[Message], Field(default_factory=list, max_length=100)]
    id: str | int | None = None


STREAM = """Server-sent events when `Accept` is `text/event-stream`:

* `queued` `{"ahead": n}`: n questions came before this one and are not answered to the end yet
* `delta` `{"text": …}`: a verified sentence
* `answer`: the whole answer, as the JSON response has it; always the last
* `error` `{"error", "kind"}` instead of `answer`, if something failed on the way
"""


def make_api(desk: Desk) -> APIRouter:
    """The routes over ``desk``."""
    api = APIRouter()

    @api.post("/api/ask", summary="Ask a question", description=STREAM, responses=_responses(), response_model=None)
    async def ask(asked: Question, request: Request) -> Response:
        history = [Turn(m.role, m.content) for m in asked.history]
        client = request.client.host if request.client else ""
        language = negotiate(request.headers.get("accept-language", ""))
        try:
            desk.tutor  # noqa: B018  (an API client is told to come back, it does not wait)
            events = desk.stream(asked.question, history, client)
            if "text/event-stream" in request.headers.get("accept", ""):
                first = await anext(events)
                return StreamingResponse(
                    _server_sent(first, events, asked.id, language),
                    media_type="text/event-stream",
                    headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
                )
            async with aclosing(events):
                answer = [e async for e in events][-1]
            assert isinstance(answer, Answer)
            return JSONResponse({"id": asked.id, **answer_json(answer)})
        except Refused as refused:
            retry = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
            return JSONResponse(_problem(desk, refused, language), refused.status, headers=retry)

    def _problem(desk: Desk, refused: Refused, language: str) -> dict[str, str]:
        longest = desk.settings.longest_question
        return {"error": text(language, refused.kind, longest=longest), "kind": refused.kind}

    async def _server_sent(
        first: Event | Queued, events: AsyncGenerator[Event | Queued, None], name: str | int | None, language: str
    ) -> AsyncIterator[str]:
        async with aclosing(events):
            try:
                yield _event(first, name)
                async for event in events:
                    yield _event(event, name)
            except Refused as refused:
                yield _sse("error", _problem(desk, refused, language))

    @api.get("/healthz", summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/readyz", summary="Can it answer? 503 while the model loads", response_model=None)
    async def readyz() -> Response:
        try:
            desk.tutor  # noqa: B018
        except Refused as refused:
            return JSONResponse({"status": refused.kind}, 503, headers={"Retry-After": "5"})
        return JSONResponse({"status": "ready"})

    return api


def _event(event: Event | Queued, name: str | int | None) -> str:
    if isinstance(event, Queued):
        return _sse("queued", {"ahead": event.ahead})
    if isinstance(event, Delta):
        return _sse("delta", {"text": event.text})
    return _sse("answer", {"id": name, **answer_json(event)})


def _sse(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _responses() -> dict[int | str, dict[str, Any]]:
    example = {"question": "hva er dropout?", "answer": "Dropout slår av … [1]", "refused": False, "citations": []}
    return {
        200: {"content": {"application/json": {"example": example}, "text/event-stream": {}}},
        422: {"description": "The question is empty or too long"},
        429: {"description": "Too many questions from this client; see Retry-After"},
        503: {"description": "The model is loading, or the queue is full; see Retry-After"},
    }
