"""A file from the hub over HTTP: resumed with Range requests, and given up quickly when out of reach."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from tutor.models.assembly import CHUNK, Assembly, Report, SourceError
from tutor.models.catalog import HubSource

CONNECT_SECONDS = 5.0
"""How long the hub (or the proxy on the way to it) has to accept a connection, name look-up included."""
READ_SECONDS = 30.0
"""How long it may be silent once connected."""
STALLS = 3
"""Broken connections in a row without one new byte before the hub is given up."""
DEFAULT_ENDPOINT = "https://huggingface.co"


def endpoint() -> str:
    """The hub's address; ``HF_ENDPOINT`` names a mirror, as it does for huggingface_hub."""
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def fetch_from_hub(source: HubSource, assembly: Assembly, report: Report) -> None:
    """Append the rest of the file to ``assembly``.

    Raises:
        SourceError: no contact, the file is not there, or other bytes come than the catalogue says.
        ModelError: the disk is full.
    """
    url = f"{endpoint()}/{source.repo}/resolve/{source.revision}/{urllib.parse.quote(source.path)}"
    if not _reachable(url):
        raise SourceError("ingen kontakt")
    stalls, problem = 0, ""
    while not assembly.complete:
        before = assembly.done
        try:
            _stream(url, assembly, report)
            problem = "forbindelsen ble brutt"
        except urllib.error.HTTPError as error:
            problem = f"svarte {error.code} {error.reason}"
            if error.code < 500 and error.code != 429:
                raise SourceError(problem) from error
        except (OSError, http.client.HTTPException) as error:
            problem = f"forbindelsen ble brutt ({getattr(error, 'reason', error)})"
        stalls = 0 if assembly.done > before else stalls + 1
        if stalls >= STALLS:
            raise SourceError(problem)
        if stalls:
            time.sleep(stalls)


def _stream(url: str, assembly: Assembly, report: Report) -> None:
    """One request: append what comes, until it ends. A break leaves what came."""
    headers = {"Range": f"bytes={assembly.done}-", "Accept-Encoding": "identity", "User-Agent": "tutor"}
    opener = urllib.request.build_opener()  # not urlopen: that remembers the proxies of its first call
    with opener.open(urllib.request.Request(url, headers=headers), timeout=READ_SECONDS) as response:
        skip = _bytes_to_skip(response, assembly)
        while not assembly.complete:
            # read1: hand on what has come; read() would hold a slow line's bytes back until CHUNK is full.
            chunk = response.read1(CHUNK)
            if not chunk:
                return
            dropped = min(skip, len(chunk))
            skip -= dropped
            if dropped < len(chunk):
                assembly.write(chunk[dropped:])
                report(assembly.done)


def _bytes_to_skip(response: http.client.HTTPResponse, assembly: Assembly) -> int:
    """How much of the body we have already: all of it when the server does not know Range."""
    if response.status == 206:
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        start = span.partition("-")[0]
        if start != str(assembly.done):
            raise SourceError(f"svarte med feil utsnitt ({span or 'uten Content-Range'})")
    else:
        total = response.headers.get("Content-Length", "")
    if total.isdigit() and int(total) != assembly.file.bytes:
        raise SourceError(f"filen der er på {total} byte, ikke {assembly.file.bytes}")
    return 0 if response.status == 206 else assembly.done


def _reachable(url: str) -> bool:
    """Whether a connection opens in time. In a thread of its own: a name look-up takes no timeout."""
    host, port = _first_hop(url)
    opened = threading.Event()

    def knock() -> None:
        try:
            # Half the time an address, so that one that swallows packets leaves time for the next.
            socket.create_connection((host, port), timeout=CONNECT_SECONDS / 2).close()
            opened.set()
        except (OSError, UnicodeError):
            failed.set()

    failed = threading.Event()
    threading.Thread(target=knock, daemon=True).start()
    deadline = time.monotonic() + CONNECT_SECONDS
    while time.monotonic() < deadline and not failed.is_set():
        if opened.wait(0.02):
            return True
    return opened.is_set()


def _first_hop(url: str) -> tuple[str, int]:
    """Host and port that we connect to: the proxy's where the environment names one, else the hub's."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.netloc):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
