"""What students thought of the answers, kept on this machine when the teacher has turned it on (``--feedback``)."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

LARGEST = 10_000_000
"""Bytes. A file that has grown to this is full: nobody fills the disk with thumbs."""


class Verdict(BaseModel):
    """One thumb, with what it is about. Nothing of who gave it."""

    verdict: Literal["up", "down"]
    question: str = Field(max_length=4000)
    answer: str = Field(max_length=20_000)
    entries: list[str] = Field(default_factory=list, max_length=20)
    comment: str = Field(default="", max_length=1000)


def make_feedback(file: Path | None) -> APIRouter:
    """``POST /api/feedback``, which adds a line to ``file``; 404 when there is none, 507 when it is full."""
    api = APIRouter(include_in_schema=False)
    writing = threading.Lock()

    @api.post("/api/feedback")
    def add(verdict: Verdict) -> JSONResponse:
        if file is None:
            return JSONResponse({"error": "Tilbakemeldinger er ikke slått på.", "kind": "off"}, 404)
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **verdict.model_dump()}
        with writing:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "a", encoding="utf-8", errors="replace") as out:
                if out.tell() >= LARGEST:
                    return JSONResponse({"error": "Filen med tilbakemeldinger er full.", "kind": "full"}, 507)
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
        return JSONResponse({"status": "kept"})

    return api
