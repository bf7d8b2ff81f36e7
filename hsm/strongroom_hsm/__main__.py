"""`strongroom-hsm provision|run --config FILE`: the signer beside a PKCS#11 HSM."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom.signer.configuration import Configuration
from strongroom.signer.machine import Signer
from strongroom.signer.serve import Server
from strongroom.signer.settings import Settings
from strongroom_hsm.backends import open_backends, pin_source
from strongroom_hsm.identity import Certified
from strongroom_hsm.keys import Labels
from strongroom_hsm.listener import Listener, listen_uds
from strongroom_hsm.pin import Pin
from strongroom_hsm.provision import provision
from strongroom_hsm.token import TokenAddress

PORT = 5000
WRONG_PIN = 3
"""Exit status, so that a supervisor does not start the program again until the token locks."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="strongroom-hsm", description="The signer beside a PKCS#11 HSM.")
    commands = parser.add_subparsers(required=True, dest="command")
    for name, what in (("provision", "make the keys in the token, write the request"), ("run", "serve until SIGTERM")):
        command = commands.add_parser(name, help=what)
        command.add_argument("--config", type=Path, required=True, help="JSON; docs/operator.md describes it")
        command.add_argument("--pin-fd", type=int, help="read the PIN from this descriptor, not from token.pin_file")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        schemes.harden_process()
        file = _read_settings(options.config)
        pin_file = file.inner("token").optional_text("pin_file") if options.pin_fd is None else None
        pin = pin_source(None if pin_file is None else Path(pin_file), options.pin_fd)
        return (_provision if options.command == "provision" else _run)(file, pin)
    except Refusal as refusal:
        print(f"strongroom-hsm: {refusal.code}: {refusal.reason}. {refusal.remedy}", file=sys.stderr)
        return WRONG_PIN if refusal.code == "pin_incorrect" else 1


def _read_settings(path: Path) -> Settings:
    try:
        return Settings.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise Refusal("bad_configuration", f"{path} cannot be read: {error.strerror}") from None


def _token(token: Settings, configuration: Configuration) -> tuple[TokenAddress, Labels]:
    """The wrapping key's label is the attested one: nobody may point the signer at another key."""
    labels = Labels(identity=token.text("identity"), kek=configuration.sealing.key)
    return TokenAddress(Path(token.text("module")), token.text("label"), token.optional_text("serial")), labels


def _provision(file: Settings, pin: Pin) -> int:
    """Prints what was made; writes the request for the operator's CA."""
    configuration, token = Configuration.from_json(file.raw("attested")), file.inner("token")
    address, labels = _token(token, configuration)
    request = Path(token.text("request_file"))
    provisioned = provision(address, labels, pin, configuration.name)
    try:
        request.write_bytes(provisioned.request)
    except OSError as error:
        raise Refusal("bad_configuration", f"{request} cannot be written: {error.strerror}") from None
    print(json.dumps({"made": list(provisioned.made), "request": str(request)}), flush=True)
    return 0


def _run(file: Settings, pin: Pin) -> int:
    configuration = Configuration.from_json(file.raw("attested"))
    token, listen = file.inner("token"), file.inner("listen")
    address, labels = _token(token, configuration)
    socket, port = Path(listen.text("uds")), listen.port("port", PORT)
    certified = Certified.load(Path(token.text("certificate_file")), Path(token.text("chain_file")))
    backends = open_backends(address, labels, pin, certified, configuration)
    stop = threading.Event()
    try:
        backends.token.watch(stop)
        signer = Signer(configuration, backends.sealer, backends.attester, backends.clock, os.urandom, backends)
        listener = _listen(socket, port)
        server = Server(listener.socket, signer.handle, listener.preamble)
        signal.signal(signal.SIGTERM, lambda *_: server.close())
        print(json.dumps({"ready": True, "name": configuration.name, "address": listener.address}), flush=True)
        server.run()
    finally:
        stop.set()
        backends.token.close()
    return 0


def _listen(socket: Path, port: int) -> Listener:
    try:
        return listen_uds(socket, port)
    except OSError as error:
        raise Refusal("bad_configuration", f"listening on {socket} failed: {error}") from None


if __name__ == "__main__":
    raise SystemExit(main())
