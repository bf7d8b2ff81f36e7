"""`strongroom-enclave run --config FILE`: the signer of a Nitro enclave.

At start, in this order: the process is hardened, the configuration is extended into PCR16 and every register but one is
locked, the KMS key's policy is examined and extended into that one, the first evidence is made, and only then does
anybody get an answer.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom.signer.configuration import Configuration
from strongroom.signer.machine import Signer
from strongroom.signer.seams import Context
from strongroom.signer.serve import Server
from strongroom.signer.settings import Settings
from strongroom_enclave.attester import NitroAttester
from strongroom_enclave.clock import NitroClock
from strongroom_enclave.credentials import Source, from_file, from_parent, simulated
from strongroom_enclave.examined import POLICY_PCR, ExaminedSealer
from strongroom_enclave.health import WatchedSealer
from strongroom_enclave.kms import KmsSealer
from strongroom_enclave.listener import Listener, listen_uds, listen_vsock
from strongroom_enclave.nsm import DeviceTransport, Nsm, SocketTransport, Transport

CONFIGURATION_PCR = 16
PCRS = 32
PORT = 5000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="strongroom-enclave", description="The signer of a Nitro enclave.")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="serve until SIGTERM")
    run.add_argument("--config", type=Path, required=True, help="JSON; docs/operator.md describes it")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return _run(options.config)
    except Refusal as refusal:
        print(f"strongroom-enclave: {refusal.code}: {refusal.reason}. {refusal.remedy}", file=sys.stderr)
        return 1


def _run(config: Path) -> int:
    schemes.harden_process()
    file = read_settings(config)
    listen, kms_file = file.inner("listen"), file.inner("kms", optional=True)
    port, path = listen.port("port", PORT), listen.optional_text("uds")
    configuration = Configuration.from_json(file.raw("attested"))
    nsm = Nsm(_transport(file.optional_text("nsm") or "/dev/nsm"))
    lock_configuration(nsm, configuration)
    kms = _sealer(kms_file, configuration, nsm)
    examined = ExaminedSealer(kms, nsm, kms.facts, configuration.sealing.key)
    sealer = WatchedSealer(examined, lambda: examined.new_key(asked_by(configuration)))
    _examine(sealer, examined)
    signer = Signer(configuration, sealer, NitroAttester(nsm), NitroClock(nsm), nsm.random, sealer)
    listener = _listener(port, path)
    server = Server(listener.socket, signer.handle, listener.preamble)
    signal.signal(signal.SIGTERM, lambda *_: server.close())
    print(json.dumps({"ready": True, "name": configuration.name, "address": listener.address}), flush=True)
    server.run()
    return 0


def read_settings(path: Path) -> Settings:
    return Settings.parse(_read(path), str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal("bad_configuration", f"{path} cannot be read: {error.strerror}") from None


def lock_configuration(nsm: Nsm, configuration: Configuration) -> None:
    """PCR16 carries the configuration, and no register can change after, but for PCR17, which waits for KMS.

    Raises Refusal where PCR16 is another's."""
    value = nsm.extend_pcr(CONFIGURATION_PCR, configuration.digest())
    nsm.lock_pcrs(CONFIGURATION_PCR + 1)
    for index in range(POLICY_PCR + 1, PCRS):
        nsm.lock_pcr(index)
    if value != configuration.pcr16():
        raise Refusal("bad_configuration", "PCR16 was extended before this program started: boot the enclave anew")


def asked_by(configuration: Configuration) -> Context:
    """Of a data key that nobody needs: whether KMS gives one is asked while it gave none. Opens no record."""
    return {"signer": configuration.name, "wallet": "none", "epoch": "0", "kind": "question"}


def _examine(sealer: WatchedSealer, examined: ExaminedSealer) -> None:
    """At once where KMS answers, so that the first evidence says it; otherwise beside the server, until it does.

    A key that is not this enclave's alone ends the program: nobody should have to look for that in a status."""
    try:
        sealer.watch(examined.examine)
    except Refusal as refusal:
        if refusal.code == "key_policy":
            raise


def _transport(nsm: str) -> Transport:
    if nsm.startswith("unix:"):
        return SocketTransport(Path(nsm.removeprefix("unix:")))
    return DeviceTransport(Path(nsm))


def _sealer(kms: Settings, configuration: Configuration, nsm: Nsm) -> KmsSealer:
    authority, credentials = kms.optional_text("authority_file"), _credentials(kms)
    if credentials is None and configuration.mode == "production":
        raise Refusal("bad_configuration", "kms.credentials_file names no file of AWS credentials")
    pem = None if authority is None else _read(Path(authority))
    return KmsSealer(configuration.sealing, nsm, credentials=credentials or simulated, authority=pem)


def _credentials(kms: Settings) -> Source | None:
    file, port = kms.optional_text("credentials_file"), kms.port("credentials_port", 0)
    if port:
        return from_parent(port)
    return None if file is None else from_file(Path(file))


def _listener(port: int, path: str | None) -> Listener:
    try:
        return listen_vsock(port) if path is None else listen_uds(Path(path), port)
    except OSError as error:
        raise Refusal("bad_configuration", f"listening on {path or f'vsock port {port}'} failed: {error}") from None


if __name__ == "__main__":
    raise SystemExit(main())
