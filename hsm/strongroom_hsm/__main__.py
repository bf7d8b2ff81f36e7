"""`strongroom-hsm provision|run --config FILE`: the signer beside a PKCS#11 HSM."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom.signer.configuration import Configuration
from strongroom.signer.machine import Signer
from strongroom.signer.serve import Server
from strongroom_hsm.backends import open_backends, pin_source
from strongroom_hsm.identity import Certified
from strongroom_hsm.keys import Labels
from strongroom_hsm.listener import listen_uds
from strongroom_hsm.pin import Pin
from strongroom_hsm.provision import provision
from strongroom_hsm.token import TokenAddress

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
        file = _read_json(options.config)
        pin = pin_source(_path(file["token"].get("pin_file")) if options.pin_fd is None else None, options.pin_fd)
        return (_provision if options.command == "provision" else _run)(file, pin)
    except Refusal as refusal:
        print(f"strongroom-hsm: {refusal.code}: {refusal.reason}. {refusal.remedy}", file=sys.stderr)
        return WRONG_PIN if refusal.code == "pin_incorrect" else 1


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Refusal("bad_configuration", f"{path}: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(value.get(key), dict) for key in ("token", "attested")):
        raise Refusal("bad_configuration", f"{path} lacks the objects `token` and `attested`")
    return value


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _token(file: Mapping[str, Any], configuration: Configuration) -> tuple[TokenAddress, Labels]:
    """The wrapping key's label is the attested one: nobody may point the signer at another key."""
    token = file["token"]
    wanted = ("module", "label", "identity", "certificate_file", "chain_file", "request_file")
    missing = [key for key in wanted if not isinstance(token.get(key), str)]
    if missing:
        raise Refusal("bad_configuration", f"token.{missing[0]} is missing")
    labels = Labels(identity=token["identity"], kek=configuration.sealing.key)
    return TokenAddress(Path(token["module"]), token["label"], token.get("serial")), labels


def _provision(file: Mapping[str, Any], pin: Pin) -> int:
    """Prints what was made; writes the request for the operator's CA."""
    configuration = Configuration.from_json(file["attested"])
    address, labels = _token(file, configuration)
    provisioned = provision(address, labels, pin, configuration.name)
    request = Path(file["token"]["request_file"])
    request.write_bytes(provisioned.request)
    print(json.dumps({"made": list(provisioned.made), "request": str(request)}), flush=True)
    return 0


def _run(file: Mapping[str, Any], pin: Pin) -> int:
    configuration = Configuration.from_json(file["attested"])
    address, labels = _token(file, configuration)
    certified = Certified.load(Path(file["token"]["certificate_file"]), Path(file["token"]["chain_file"]))
    backends = open_backends(address, labels, pin, certified, configuration)
    stop = threading.Event()
    try:
        backends.token.watch(stop)
        signer = Signer(configuration, backends.sealer, backends.attester, backends.clock, os.urandom, backends)
        listener = listen_uds(Path(file["listen"]["uds"]), int(file["listen"].get("port", 5000)))
        server = Server(listener.socket, signer.handle, listener.preamble)
        signal.signal(signal.SIGTERM, lambda *_: server.close())
        print(json.dumps({"ready": True, "name": configuration.name, "address": listener.address}), flush=True)
        server.run()
    finally:
        stop.set()
        backends.token.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
