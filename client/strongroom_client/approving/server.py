"""A page for one person and one answer, served on this machine's loopback for as long as it takes.

What keeps it apart from everything else that a browser has open:

- It is found only under a random path, which the command opens or prints: another local user cannot guess it.
- A request must name `localhost` and the port as its host, so that no name of somebody else's leads here (rebinding).
- An answer must come from the page's own origin, and the page may load, frame and be framed by nothing else.

Whoever runs programs as this user is not kept out: they could read the key's use from the screen as well.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, Final, Generic, TypeVar

from strongroom.errors import Refusal

T = TypeVar("T")

PORT: Final = 47113
"""Fixed, since passkeys are pinned to the page's origin, port included."""

MOST_BODY: Final = 1 << 16
CONNECTION_TIMEOUT: Final = 30

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Done(Generic[T]):
    """result: for the command. title, text: for the person, on the page."""

    result: T
    title: str
    text: str


@dataclass(frozen=True)
class Page(Generic[T]):
    """html: the document. script: the name of its asset. answer: judges what the page sends; a Refusal is shown there,
    and the page may be answered again."""

    html: str
    script: str
    answer: Callable[[Mapping[str, Any]], Done[T]]


class Desk(Generic[T]):
    """Serves one page until it was answered. Use as a context; `url` is for the browser."""

    def __init__(self, page: Page[T], port: int) -> None:
        self._page = page
        self._token = secrets.token_urlsafe(24)
        self._answered = threading.Event()
        self._judging = threading.Lock()
        self._done: Done[T] | None = None
        self._stack = ExitStack()
        self.port = port
        self.origin = origin(port)

    @property
    def url(self) -> str:
        return f"{self.origin}/{self._token}/"

    def __enter__(self) -> Desk[T]:
        try:
            for family, address in _loopbacks():
                self._stack.enter_context(_listening(self, family, address))
        except OSError as error:
            self._stack.close()
            reason = f"port {self.port} of this machine cannot be listened on: {error.strerror}"
            raise Refusal("page_unavailable", reason) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait(self, seconds: float) -> T:
        """Raises Refusal `no_decision` when nobody answered in time."""
        if not self._answered.wait(seconds) or self._done is None:
            raise Refusal("no_decision", f"nobody answered within {int(seconds)} seconds")
        return self._done.result

    def get(self, path: str) -> tuple[str, bytes] | None:
        """Content type and body; None for what is not here."""
        script = "text/javascript; charset=utf-8"
        served = {
            f"/{self._token}/": ("text/html; charset=utf-8", self._page.html.encode()),
            f"/{self._token}/page.css": ("text/css; charset=utf-8", asset("page.css")),
            f"/{self._token}/common.js": (script, asset("common.js")),
            f"/{self._token}/page.js": (script, asset(self._page.script)),
        }
        return served.get(path)

    def post(self, path: str, body: bytes) -> dict[str, Any] | None:
        """What the page shows for its answer."""
        if path != f"/{self._token}/answer":
            return None
        with self._judging:
            if self._done is None:
                try:
                    self._done = self._page.answer(_object(body))
                except Refusal as refusal:
                    refused = {"code": refusal.code, "reason": refusal.reason, "remedy": refusal.remedy}
                    return {"refused": refused}
            return {"done": {"title": self._done.title, "text": self._done.text}}

    def finished(self) -> None:
        """After the answer to the answer was sent."""
        if self._done is not None:
            self._answered.set()


def origin(port: int) -> str:
    return f"http://localhost:{port}"


def asset(name: str) -> bytes:
    return (resources.files(__package__) / "assets" / name).read_bytes()


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body.decode())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal("malformed_message", "the page's answer is no JSON object")
    return value


def _loopbacks() -> list[tuple[socket.AddressFamily, str]]:
    """Both, where there are two: `localhost` may mean either, and the other must not be somebody else's."""
    found = [(socket.AF_INET, "127.0.0.1")]
    if socket.has_ipv6:
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
                probe.bind(("::1", 0))
        except OSError:
            return found
        found.append((socket.AF_INET6, "::1"))
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, desk: Desk[Any], family: socket.AddressFamily, address: str) -> None:
        self.address_family = family
        self.desk = desk
        super().__init__((address, desk.port), _Handler)

    def server_bind(self) -> None:
        # http.server would look its own name up.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", self.desk.port


class _listening:
    def __init__(self, desk: Desk[Any], family: socket.AddressFamily, address: str) -> None:
        self._server = _Server(desk, family, address)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CONNECTION_TIMEOUT
    server_version = "strongroom"
    sys_version = ""

    def do_GET(self) -> None:
        found = self.server.desk.get(self.path) if self._is_here() else None
        if found is None:
            self._send(404, "text/plain; charset=utf-8", b"not found\n")
        else:
            self._send(200, *found)

    def do_POST(self) -> None:
        desk = self.server.desk
        length = self.headers.get("Content-Length", "")
        wanted = self.headers.get("Content-Type", "") == "application/json" and length.isascii() and length.isdecimal()
        if not self._is_here() or self.headers.get("Origin") != desk.origin or not wanted or int(length) > MOST_BODY:
            self._send(403, "text/plain; charset=utf-8", b"refused\n")
            return
        answer = desk.post(self.path, self.rfile.read(int(length)))
        if answer is None:
            self._send(404, "text/plain; charset=utf-8", b"not found\n")
            return
        self._send(200, "application/json", json.dumps(answer).encode())
        desk.finished()

    def _is_here(self) -> bool:
        return self.headers.get("Host") == self.server.desk.origin.removeprefix("http://")

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the path is a secret, and the terminal the person's."""
