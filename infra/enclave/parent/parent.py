#!/usr/bin/python3
"""Serves one enclave what it asks its parent for: the ports of docs/specification.md, section 16.

    parent.py --configuration /etc/strongroom/signer.json --credentials /run/strongroom/credentials.json --cid 16

`--kms HOST:PORT` carries port 8000 there as well, and nowhere else, where AWS's vsock-proxy does not. `--uds PATH`
listens at PATH_<port> instead of vsock, as hybrid vsock has it. Files are read at each request, so what renews them
needs no signal. Only the standard library: this runs on the parent's own Python (3.9). It is not trusted with anything:
the configuration is attested, the credentials open nothing without the enclave's document, TLS ends inside.
"""

from __future__ import annotations

import argparse
import json
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path

KMS, CONFIGURATION, CREDENTIALS, LAST_WORDS = 8000, 8001, 8002, 8003
CONNECTIONS = 16
"""At once and by port; one more is closed."""
SECONDS = 10.0
"""For a document, and for dialling KMS."""
IDLE = 60.0
"""Seconds without a byte in a direction, after which a connection to KMS ends."""
MAX_CONFIGURATION, MAX_CREDENTIALS, MAX_WORDS = 64 << 10, 16 << 10, 8 << 10
CHUNK = 1 << 14

Handler = Callable[[socket.socket], None]
_log = logging.getLogger("strongroom-parent")


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    handlers: dict[int, Handler] = {
        CONFIGURATION: lambda caller: hand(caller, configuration(options.configuration, options.authority)),
        CREDENTIALS: lambda caller: hand(caller, bounded(options.credentials, MAX_CREDENTIALS)),
        LAST_WORDS: lambda caller: _log.warning("the enclave ends: %s", last_words(caller)),
    }
    if options.kms:
        host, _, port = options.kms.rpartition(":")
        handlers[KMS] = lambda caller: carry(caller, (host, int(port)))
    # Every port is bound before the first is served: an enclave that hears one hears all.
    listeners = {port: listen(port, options.uds) for port in handlers}
    threads = [
        threading.Thread(target=serve, args=(listeners[port], handler, options.cid))
        for port, handler in handlers.items()
    ]
    for thread in threads:
        thread.start()
    print(json.dumps({"ready": True, "ports": sorted(handlers)}), flush=True)
    for thread in threads:
        thread.join()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Serves one enclave what it asks its parent for.")
    parser.add_argument("--configuration", type=Path, required=True, help="the signer's JSON; `attested` is handed in")
    parser.add_argument("--credentials", type=Path, required=True, help="JSON of AWS's credential_process")
    parser.add_argument("--authority", type=Path, help="PEM of a simulated KMS")
    parser.add_argument("--kms", metavar="HOST:PORT", help="carries port 8000 there; without: vsock-proxy does")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--cid", type=int, help="the enclave's; others are not answered")
    where.add_argument("--uds", metavar="PATH", help="hybrid vsock: listens at PATH_<port>")
    return parser


# --- Listening ---


def listen(port: int, uds: str | None) -> socket.socket:
    if uds is None:
        listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        listener.bind((socket.VMADDR_CID_ANY, port))
    else:
        path = Path(f"{uds}_{port}")
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        path.chmod(0o600)
    listener.listen(CONNECTIONS)
    return listener


def serve(listener: socket.socket, handler: Handler, cid: int | None) -> None:
    """Until the listener is closed. cid: the only one that is answered, where the listener is vsock's."""
    free = threading.BoundedSemaphore(CONNECTIONS)
    while True:
        try:
            caller, peer = listener.accept()
        except OSError:
            return
        if cid is not None and peer[0] != cid:
            _log.warning("CID %s is not the enclave's: not answered", peer[0])
            caller.close()
        elif free.acquire(blocking=False):
            threading.Thread(target=_handle, args=(caller, handler, free), daemon=True).start()
        else:
            caller.close()


def _handle(caller: socket.socket, handler: Handler, free: threading.BoundedSemaphore) -> None:
    try:
        with caller:
            caller.settimeout(SECONDS)
            handler(caller)
    except (OSError, ValueError) as error:
        _log.warning("a request of the enclave's: %s", error)
    finally:
        free.release()


# --- Documents: u32 length (big-endian) and content ---


def configuration(path: Path, authority: Path | None) -> bytes:
    """Of the signer's file what is attested, and nothing else: the rest would not be looked at."""
    file = json.loads(bounded(path, MAX_CONFIGURATION))
    if not isinstance(file, dict) or not isinstance(file.get("attested"), dict):
        raise ValueError(f"{path} has no object `attested`")
    document = {"attested": file["attested"]}
    if authority is not None:
        document["authority"] = bounded(authority, MAX_CONFIGURATION).decode()
    return json.dumps(document).encode()


def bounded(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path} has more than {most} bytes")
    return content


def hand(caller: socket.socket, document: bytes) -> None:
    caller.sendall(len(document).to_bytes(4, "big") + document)


def last_words(caller: socket.socket) -> str:
    """On one line and printable: they come from an enclave that may be anybody's, and go into a log."""
    size = int.from_bytes(_exactly(caller, 4), "big")
    words = _exactly(caller, min(size, MAX_WORDS)).decode(errors="replace")
    return "".join(letter if letter.isprintable() else " " for letter in " | ".join(words.splitlines()))


def _exactly(caller: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = caller.recv(size - len(parts))
        if not part:
            raise OSError("it ends early")
        parts += part
    return bytes(parts)


# --- KMS ---


def carry(caller: socket.socket, target: tuple[str, int]) -> None:
    """Both ways, to the one address that was named at start. What the bytes say is not looked at."""
    with socket.create_connection(target, timeout=SECONDS) as server:
        for side in (caller, server):
            side.settimeout(IDLE)
        back = threading.Thread(target=_pump, args=(server, caller), daemon=True)
        back.start()
        _pump(caller, server)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Until the source ends, which the sink is told; an error or a silence ends both directions."""
    try:
        while True:
            data = source.recv(CHUNK)
            if not data:
                break
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


if __name__ == "__main__":
    main()
