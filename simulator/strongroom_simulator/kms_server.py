"""The KMS's wire: JSON 1.1 over HTTP over TLS, as AWS's SDKs speak it."""

from __future__ import annotations

import json
import re
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from strongroom_simulator import pki
from strongroom_simulator.faults import Respond
from strongroom_simulator.kms import Answer, KmsError

MAX_BODY: Final = 1 << 20
_SIGNED: Final = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/, ]+)/")


class KmsServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], authorities: Path, respond: Respond) -> None:
        super().__init__(address, _Handler)
        self.respond = respond
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(authorities / f"{pki.KMS_SERVER}.pem", authorities / f"{pki.KMS_SERVER}.key")
        # The handshake happens at the first read, in the connection's own thread: a mute client blocks nobody.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that refuse the certificate or hang up are what tests do; they are no news."""

    @property
    def endpoint(self) -> str:
        return f"https://{self.server_address[0]!s}:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: KmsServer
    timeout = 60
    wbufsize = -1  # one segment an answer: otherwise the client waits for delayed acknowledgements

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        if length > MAX_BODY:
            self.close_connection = True
            return
        answer = self._respond(self.rfile.read(length))
        raw = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _respond(self, raw: bytes) -> Answer:
        signed = _SIGNED.match(self.headers.get("Authorization", ""))
        if signed is None:
            return KmsError("MissingAuthenticationTokenException", "the request is not signed").answer
        try:
            body = json.loads(raw)
        except ValueError:
            return KmsError("SerializationException", "the request is not JSON").answer
        return self.server.respond(self.headers.get("X-Amz-Target", ""), body, signed[1])

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
