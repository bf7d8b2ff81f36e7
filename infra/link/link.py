#!/usr/bin/python3
"""Carries a host's connections to a signer on another machine, over TLS of which both ends pin the other's certificate.

    link.py listen --address 0.0.0.0:5443 --certificate host.crt --key host.key --signers signers/ --sockets sockets/
    link.py dial --host HOST:5443 --pin host.crt --certificate enclave-a.crt --key enclave-a.key --signer vsock:16:5000

`dial` runs beside the signer and is the one that dials, so that nothing comes in there: it keeps a few connections to
`listen`, which runs beside the host, has signers/enclave-a.crt and joins each to one caller of sockets/enclave-a.sock.
docs/specification.md, section 18. Neither is trusted with anything: what signers say to each other is sealed end to
end. TLS is there so that no stranger takes a signer's place, counts its messages or keeps it busy. Only the standard
library: this runs on the parent's own Python (3.9).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import socket
import ssl
from collections import deque
from functools import partial
from pathlib import Path
from typing import cast

IDLE = 4
"""Connections that `dial` keeps in wait, so that a request finds TLS done."""
MOST = 96
"""Connections that carry a caller, at once and by signer; the signer itself takes 128."""
WAITING = 2 * IDLE
"""Connections of one signer that `listen` keeps in wait; one more ends the oldest, the likeliest to be dead."""
HANDSHAKES = 16
"""Of TLS, at once: a stranger costs this much and no more."""
SECONDS = 5.0
"""For a handshake, and for dialling a signer."""
PATIENCE = 2.0
"""Seconds that a caller waits for a connection of the signer's."""
PAUSES = (0.5, 30.0)
"""Seconds between two attempts to dial the host: the first and the longest."""
SHOWN = 32
"""Bytes of words that are no greeting, in the log."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_log = logging.getLogger("strongroom-link")


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        asyncio.run((Listen(options) if options.end == "listen" else Dial(options)).serve())
    except (OSError, ValueError) as error:
        raise SystemExit(f"link: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Carries a host's connections to a signer on another machine.")
    ends = parser.add_subparsers(dest="end", required=True)
    listen = ends.add_parser("listen", help="beside the host")
    listen.add_argument("--address", metavar="HOST:PORT", required=True, help="where signers dial")
    listen.add_argument("--signers", type=Path, required=True, help="folder of NAME.crt, one for each signer")
    listen.add_argument("--sockets", type=Path, required=True, help="folder of NAME.sock, which the host dials; 0700")
    dial = ends.add_parser("dial", help="beside a signer")
    dial.add_argument("--host", metavar="HOST:PORT", required=True, help="where the other end listens")
    dial.add_argument("--pin", type=Path, required=True, help="the host's certificate")
    dial.add_argument("--signer", metavar="ADDRESS", required=True, help="vsock:CID:PORT or uds:PATH#PORT")
    for end in (listen, dial):
        end.add_argument("--certificate", type=Path, required=True, help="this end's")
        end.add_argument("--key", type=Path, required=True, help="this end's, unencrypted and readable to nobody else")
    return parser


# --- TLS ---


def _context(protocol: int, options: argparse.Namespace, pins: list[Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # The certificate is pinned; what it calls itself says nothing.
    context.verify_mode = ssl.CERT_REQUIRED
    # No question at a terminal that nobody sits at.
    context.load_cert_chain(options.certificate, options.key, password=lambda: b"")
    for pin in pins:
        context.load_verify_locations(pin)
    return context


def _certificate(path: Path) -> bytes:
    """DER of a file that holds one certificate."""
    text = path.read_text("ascii")
    if text.count("BEGIN CERTIFICATE") != 1:
        raise ValueError(f"{path} must hold one certificate in PEM")
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN") :])


def _shown(transport: asyncio.Transport) -> bytes:
    """DER that the other end proved to have the key of."""
    shown: bytes = transport.get_extra_info("ssl_object").getpeercert(True)
    return shown


def _lasting(transport: asyncio.BaseTransport) -> None:
    """A peer that vanished without a word is noticed within a minute, and no balancer takes a wait for an end."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)


# --- Two connections that are one ---


class Side(asyncio.Protocol):
    """One of two joined connections: what comes in goes out on the other, no faster than that takes it.

    Before that it has nothing to say, and is ended when it does.
    """

    transport: asyncio.Transport
    other: Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.transport.abort()
        else:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


def join(one: Side, other: Side) -> None:
    one.other, other.other = other, one
    for side in (one, other):
        side.transport.resume_reading()


# --- Beside the host ---


class Signer:
    """What `listen` has of one signer: connections in wait, callers in wait, and how many pairs are joined."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.links: deque[Link] = deque()
        self.callers: deque[Caller] = deque()
        self.open = 0
        self.joined = 0

    def meet(self) -> None:
        """Joins who waits. The newest connection first: of two it is the likelier to be alive."""
        while self.links and self.callers and self.joined < MOST:
            link, caller = self.links.pop(), self.callers.popleft()
            caller.timer.cancel()
            self.joined += 1
            join(link, caller)

    def came(self, link: Link, until: str) -> None:
        self.open += 1
        if self.open == 1:
            _log.info("%s: linked; its certificate is good until %s", self.name, until)
        self.links.append(link)
        if len(self.links) > WAITING:
            self.links.popleft().transport.abort()
        self.meet()

    def went(self, link: Link) -> None:
        self.open -= 1
        if link.other is not None:
            self.joined -= 1
        elif link in self.links:
            self.links.remove(link)
        if self.open == 0:
            _log.warning("%s: no link", self.name)
        self.meet()


class Link(Side):
    """A connection of a signer's, once TLS is done. It is read from while it waits, so that its end is noticed."""

    signer: Signer | None = None

    def __init__(self, pins: dict[bytes, Signer]) -> None:
        self._pins = pins

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.resume_reading()
        self.signer = self._pins.get(_shown(self.transport))
        if self.signer is None:  # signed by a pinned one, and not it
            self.transport.abort()
            return
        _lasting(transport)
        self.signer.came(self, self.transport.get_extra_info("peercert")["notAfter"])

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if self.signer is not None:
            self.signer.went(self)


class Caller(Side):
    """A connection of the host's, which waits, unread, until one of the signer's is there."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.timer = asyncio.get_running_loop().call_later(PATIENCE, self.transport.abort)
        self._signer.callers.append(self)
        self._signer.meet()

    def connection_lost(self, error: Exception | None) -> None:
        self.timer.cancel()
        if self in self._signer.callers:
            self._signer.callers.remove(self)
        super().connection_lost(error)


class Listen:
    """The host's end."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._address = _address(options.address)
        self._sockets: Path = options.sockets
        files = sorted(options.signers.glob("*.crt"))
        self._pins: dict[bytes, Signer] = {}
        for file in files:
            if not _NAME.fullmatch(file.stem):
                raise ValueError(f"{file} is not named as signers are")
            if self._pins.setdefault(_certificate(file), Signer(file.stem)).name != file.stem:
                raise ValueError(f"{file} is another signer's certificate too")
        if not files:
            raise ValueError(f"{options.signers} holds no NAME.crt")
        self._context = _context(ssl.PROTOCOL_TLS_SERVER, options, files)
        self._context.num_tickets = 0
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        if self._sockets.stat().st_mode & 0o077:
            raise ValueError(f"{self._sockets} must be its owner's alone: chmod 700")

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        for signer in self._pins.values():
            path = self._sockets / f"{signer.name}.sock"
            path.unlink(missing_ok=True)
            await loop.create_unix_server(partial(Caller, signer), str(path))
        with socket.create_server(self._address, backlog=64) as listener:
            listener.setblocking(False)
            names = sorted(signer.name for signer in self._pins.values())
            print(json.dumps({"ready": True, "port": listener.getsockname()[1], "signers": names}), flush=True)
            slots = asyncio.Semaphore(HANDSHAKES)  # of this loop: 3.9 binds it where it is made
            while True:
                await slots.acquire()
                try:
                    sock, _ = await loop.sock_accept(listener)
                except OSError as error:  # too many open files, above all: what is open goes on
                    _log.warning("no connection can be taken now: %s", error)
                    await asyncio.sleep(1)
                    slots.release()
                    continue
                loop.create_task(self._greet(sock)).add_done_callback(lambda _: slots.release())

    async def _greet(self, sock: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Link(self._pins), sock, ssl=self._context, ssl_handshake_timeout=SECONDS
            )
        except OSError as error:
            # A balancer that only looks whether somebody listens is no news.
            level = logging.WARNING if isinstance(error, ssl.SSLError) else logging.DEBUG
            _log.log(level, "not a signer: %s", error)
            sock.close()


# --- Beside a signer ---


class Offer(Side):
    """A connection to the host that waits for `CONNECT <port>`. taken: whether it came, before the connection ended."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._line = bytearray()
        self.taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if _shown(self.transport) != self._dial.pin:
            self.transport.abort()
            return
        _lasting(transport)
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.taken.done():
            super().data_received(data)
            return
        self._line += data
        if bytes(self._line) == self._dial.greeting:
            self.taken.set_result(True)
            self.transport.pause_reading()
        elif not self._dial.greeting.startswith(bytes(self._line)):
            _log.warning("the host asked for %r, which is not this signer's", bytes(self._line[:SHOWN]))
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.taken.done():
            self.taken.set_result(False)
        if self.other is not None:
            self._dial.joined -= 1
        super().connection_lost(error)


class Dial:
    """The signer's end."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._host = _address(options.host)
        self.pin = _certificate(options.pin)
        self._context = _context(ssl.PROTOCOL_TLS_CLIENT, options, [options.pin])
        self._kind, self._where, self._port = _signer(options.signer)
        self.greeting = f"CONNECT {self._port}\n".encode()
        self.joined = 0
        self._linked: bool | None = None

    async def serve(self) -> None:
        await asyncio.gather(*(self._keep() for _ in range(IDLE)))

    async def _keep(self) -> None:
        """One connection in wait, and another when it was taken or has ended."""
        pause = PAUSES[0]
        while True:
            if await self._offer():
                pause = PAUSES[0]
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSES[1])

    async def _offer(self) -> bool:
        try:
            _, offer = await asyncio.get_running_loop().create_connection(
                lambda: Offer(self), *self._host, ssl=self._context, ssl_handshake_timeout=SECONDS
            )
        except OSError as error:
            self._say(False, str(error))
            return False
        # TLS 1.3 is done on this side before the other has looked at our certificate: only a wait that lasts is a link.
        settled = asyncio.get_running_loop().call_later(1.0, self._say, True, "")
        taken = await offer.taken
        settled.cancel()
        self._say(taken, "the host's end closed the connection")
        if taken:
            await self._connect(offer)
        return taken

    def _say(self, linked: bool, why: str) -> None:
        if linked != self._linked:
            self._linked = linked
            if linked:
                _log.info("linked to %s:%d", *self._host)
            else:
                _log.warning("no link to %s:%d: %s", *self._host, why)

    async def _connect(self, offer: Offer) -> None:
        """Joins it to the signer. Over hybrid vsock that answers the greeting itself; over vsock there is none."""
        loop = asyncio.get_running_loop()
        try:
            # The other end counts to MOST, and may know of an end a little before this one.
            if self.joined >= MOST + WAITING:
                raise OSError(f"{self.joined} connections are open")
            if self._kind == "uds":
                _, signer = await asyncio.wait_for(loop.create_unix_connection(Side, self._where), SECONDS)
                signer.transport.write(self.greeting)
            else:
                sock = await loop.run_in_executor(None, _vsock, int(self._where), self._port)
                _, signer = await loop.create_connection(Side, sock=sock)
                offer.transport.write(f"OK {self._port}\n".encode())
        except (OSError, asyncio.TimeoutError) as error:  # noqa: UP041 - two errors in 3.9
            _log.warning("the signer cannot be reached: %s", str(error) or "it does not answer")
            offer.transport.abort()
            return
        if offer.transport.is_closing():
            signer.transport.abort()
        else:
            self.joined += 1
            join(offer, signer)


def _vsock(cid: int, port: int) -> socket.socket:
    """asyncio of 3.9 would resolve the address as a name."""
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        sock.settimeout(SECONDS)
        sock.connect((cid, port))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isdecimal() and int(port) < 1 << 16):
        raise ValueError(f"an address is HOST:PORT, not {text[:80]}")
    return host.strip("[]"), int(port)


def _signer(text: str) -> tuple[str, str, int]:
    kind, _, rest = text.partition(":")
    where, _, port = rest.rpartition("#" if kind == "uds" else ":")
    if not (kind in ("uds", "vsock") and where and port.isdecimal() and (kind == "uds" or where.isdecimal())):
        raise ValueError(f"a signer's address is uds:PATH#PORT or vsock:CID:PORT, not {text[:80]}")
    return kind, where, int(port)


if __name__ == "__main__":
    main()
