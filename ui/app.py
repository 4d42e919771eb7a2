"""The FastAPI app: API, glossary, widget, and Gradio's chat in two sizes."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from tutor.tutor import Tutor
from ui.desk import Desk
from ui.settings import WebSettings

STATIC = Path(__file__).parent / "static"
SECONDS_TO_FINISH = 5


def make_app(desk: Desk, settings: WebSettings) -> FastAPI:
    """The whole app over ``desk``, which may still be warming up."""
    import gradio as gr

    from ui.api import make_api
    from ui.chat import make_chat, theme
    from ui.feedback import make_feedback
    from ui.glossary import make_glossary
    from ui.guard import Guard

    app = FastAPI(
        title="tutor",
        description="A Norwegian-speaking tutor that answers from a course glossary.",
        docs_url=None,  # Swagger's page loads its script from a CDN
        redoc_url=None,
    )
    app.include_router(make_api(desk))
    app.include_router(make_feedback(settings.feedback))
    app.include_router(make_glossary(desk))
    app.mount("/ui", StaticFiles(directory=STATIC), name="ui")

    @app.get("/widget.js", include_in_schema=False)
    async def widget() -> FileResponse:
        return FileResponse(STATIC / "widget.js", media_type="text/javascript")

    @app.get("/widget", include_in_schema=False)
    async def widget_page(request: Request) -> RedirectResponse:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{request.scope.get('root_path', '')}/widget/{query}")

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = ", ".join(sorted({".".join(str(p) for p in e["loc"][1:]) for e in error.errors()} - {""}))
        return JSONResponse({"error": f"Forespørselen kan ikke leses ({fields or 'JSON'}).", "kind": "invalid"}, 422)

    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.allow_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["content-type"],
    )
    app.add_middleware(Guard, settings=settings)
    common: dict[str, Any] = {
        "theme": theme(), "footer_links": [], "run_history": False, "enable_monitoring": False, "ssr_mode": False,
        "allowed_paths": [], "pwa": False, "mcp_server": False, "show_error": False,
    }  # fmt: skip
    gr.mount_gradio_app(app, make_chat(desk, "../", keeps=False), "/widget", **common)
    gr.mount_gradio_app(app, make_chat(desk, "./", keeps=True), "/", **common)
    return app


def serve(open_tutor: Callable[[], Tutor], settings: WebSettings) -> None:
    """Serve until interrupted. The tutor opens while Gradio is imported.

    Raises:
        Exception: what kept the tutor from opening.
    """
    import uvicorn

    stop = threading.Event()
    desk = Desk(open_tutor, settings)
    desk.start(failed=stop.set)
    app = make_app(desk, settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        root_path=settings.root_path,
        access_log=False,  # an address can hold what was searched for
        log_level="warning",
        proxy_headers=True,
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
        server_header=False,
    )
    server = uvicorn.Server(config)
    app.router.lifespan_context = _telling(app, settings, server, stop)
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it is meant to end
        server.run()
    if error := desk.error:
        raise error


def _telling(app: FastAPI, settings: WebSettings, server: Any, stop: threading.Event) -> Any:
    """The app's lifespan, which also says where the page is and ends the server when the tutor cannot open."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        def watch() -> None:
            stop.wait()
            server.should_exit = True

        threading.Thread(target=watch, daemon=True).start()
        async with inner(app) as state:
            host = "localhost" if settings.host in ("127.0.0.1", "0.0.0.0", "::") else settings.host
            print(f"Veilederen er på http://{host}:{settings.port}/ (Ctrl-C stopper den)", file=sys.stderr, flush=True)
            yield state

    return lifespan
