"""What stands between the net and the app: which paths exist, from where, how large, and with which headers."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.page import localise, rewrite
from ui.settings import WebSettings
from ui.texts import negotiate

OURS = r"/api/(ask|feedback)|/healthz|/readyz|/openapi\.json|/widget(\.js)?|/ordliste(/[^/]+)?|/ui/[\w-]+\.(css|js|svg)"
GRADIO = (
    r"(/widget)?/(config|theme\.css|(assets|static)(/[\w.-]+)+"
    r"|gradio_api/(queue/(join|data)|heartbeat/\w+|cancel|reset|startup-events|app_id|theme\.css|info))?"
)
"""All that the page needs; Gradio's uploads, file routes, monitoring and the like are not there."""
KNOWN = re.compile(f"({OURS}|{GRADIO})")
PAGES, CONFIGS = ("/", "/widget/"), ("/config", "/widget/config")


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self.app, self.settings = app, settings
        self.ancestors = " ".join(("'self'", *settings.allow_origins))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        path = _path(scope)
        headers = Headers(scope=scope)
        nonce = secrets.token_urlsafe(16)
        guarded = self._with_headers(send, nonce, path)
        refusal = self._refusal(scope["method"], path, headers)
        if refusal:
            await refusal(scope, receive, guarded)
            return
        receive = _Measured(receive, self.settings.largest_request)
        if path in PAGES + CONFIGS:
            query = parse_qs(scope["query_string"].decode("latin-1"))
            scope = {**scope, "query_string": b""}  # Gradio reads other things from it: pages, links to stored states
        if scope["method"] == "GET" and path in PAGES + CONFIGS:
            chosen = query.get("lang", [""])[0]
            language = negotiate(headers.get("accept-language", ""), chosen)
            scope = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"accept-encoding"]}
            root = scope.get("root_path", "")
            if path in PAGES:
                compact = path == "/widget/"
                await _Rewritten(self.app, guarded, lambda p: rewrite(p, language, nonce, root, compact, chosen))(
                    scope, receive
                )
            else:
                await _Rewritten(self.app, guarded, lambda p: localise(p, language))(scope, receive)
            return
        await self.app(scope, receive, guarded)

    def _refusal(self, method: str, path: str, headers: Headers) -> JSONResponse | None:
        """The answer to a request that goes no further."""
        if not KNOWN.fullmatch(path) or ".." in path:
            return _error(404, "Siden finnes ikke.")
        if method not in ("GET", "HEAD", "POST", "OPTIONS"):
            return _error(405, "Metoden er ikke tillatt.")
        origin = headers.get("origin")
        if method == "POST" and origin and not self._known(origin, headers):
            return _error(403, "Denne nettsiden har ikke lov til å bruke veilederen. Se --allow-origin.")
        if int(headers.get("content-length") or 0) > self.settings.largest_request:
            return _error(413, "Forespørselen er for stor.")
        return None

    def _known(self, origin: str, headers: Headers) -> bool:
        """Does the request come from our own page, or one that may embed us?"""
        if origin.lower() in self.settings.allow_origins:
            return True
        hosts = {headers.get("host", ""), headers.get("x-forwarded-host", "").partition(",")[0].strip()}
        return urlsplit(origin).netloc in hosts - {""}

    def _with_headers(self, send: Send, nonce: str, path: str) -> Send:
        scripts = f"'self' 'nonce-{nonce}'"
        if path in PAGES:  # Gradio compiles the templates of its HTML component
            scripts += " 'unsafe-eval'"
        policy = (
            f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            f"font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'self'; "
            f"frame-ancestors {self.ancestors}"
        )

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
                headers["Cross-Origin-Resource-Policy"] = "cross-origin" if path == "/widget.js" else "same-origin"
            await send(message)

        return guarded


def _path(scope: Scope) -> str:
    """The path inside the app, also when a proxy did not strip the root path."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if root and path.startswith(root + "/") else path


def _error(status: int, says: str) -> JSONResponse:
    return JSONResponse({"error": says}, status)


class _Measured:
    """``receive`` that gives up on a body without a length that turns out too large."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left = receive, most

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                return {"type": "http.disconnect"}
        return message


class _Rewritten:
    """Runs an app, and changes the text of its answer."""

    def __init__(self, app: ASGIApp, send: Send, change: Callable[[str], str]) -> None:
        self._app, self._send, self._change = app, send, change
        self._start: Message = {}
        self._body = b""

    async def __call__(self, scope: Scope, receive: Receive) -> None:
        await self._app(scope, receive, self._collect)

    async def _collect(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        if message["type"] != "http.response.body":
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        if self._start["status"] == 200:
            self._body = self._change(self._body.decode()).encode()
        headers = MutableHeaders(scope=self._start)
        headers["Content-Length"] = str(len(self._body))
        headers["Cache-Control"] = "no-store"
        headers["Vary"] = "Accept-Language"
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": self._body})
