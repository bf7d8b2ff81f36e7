"""What the command line's subcommands do. The servers print one line of JSON when they serve, and end on SIGTERM."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.evidence.statement import TrustRoot
from strongroom_simulator import measure, nsm, pki
from strongroom_simulator.clock import OffsetClock
from strongroom_simulator.device import Nsm
from strongroom_simulator.faults import Faults
from strongroom_simulator.keypolicy import for_measurements
from strongroom_simulator.keystore import KeyStore
from strongroom_simulator.kms import Kms
from strongroom_simulator.kms_server import KmsServer

_IDENTITY_LIFE: Final = 365 * 86_400
_DEBUG_REGISTERS: Final = (0, 1, 2)


def make_pki(arguments: argparse.Namespace) -> None:
    pki.create(arguments.dir)
    print(
        json.dumps(
            {
                "nitro_root": pki.load(arguments.dir, pki.NITRO_ROOT).fingerprint.hex(),
                "kms_authority": pki.load(arguments.dir, pki.KMS_AUTHORITY).fingerprint.hex(),
                "operator_authority": pki.load(arguments.dir, pki.OPERATOR).fingerprint.hex(),
                "release": pki.load(arguments.dir, pki.RELEASE).fingerprint.hex(),
            }
        )
    )


def measurements(arguments: argparse.Namespace) -> None:
    registers = registers_of(arguments.pki, arguments.role, arguments.instance, arguments.variant)
    print(json.dumps({f"pcr{index}": value.hex() for index, value in registers.items()}))


def registers_of(directory: Path, role: str, instance: str, variant: str) -> dict[int, bytes]:
    release = pki.load_certificate(directory, pki.RELEASE).public_bytes(Encoding.DER)
    return measure.measurements(role=role, instance=instance, release=release, variant=variant)


def run_nsm(arguments: argparse.Namespace) -> None:
    root = pki.load(arguments.pki, pki.NITRO_ROOT)
    clock = OffsetClock(arguments.clock_offset)

    def power_on() -> Nsm:
        # Measured at each boot, as a machine does it.
        registers = registers_of(arguments.pki, arguments.role, arguments.instance, arguments.variant)
        if arguments.debug:
            registers |= dict.fromkeys(_DEBUG_REGISTERS, bytes(measure.PCR_SIZE))
        return Nsm(root, arguments.instance, registers, clock, leaf_life=arguments.leaf_life)

    arguments.socket.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(arguments.socket))
        arguments.socket.chmod(0o600)
        listener.listen()
        end_on_sigterm()
        announce(str(arguments.socket))
        try:
            nsm.serve(listener, power_on)
        finally:
            arguments.socket.unlink(missing_ok=True)


def run_kms(arguments: argparse.Namespace) -> None:
    root = TrustRoot("nitro", "simulated", pki.load(arguments.pki, pki.NITRO_ROOT).fingerprint)
    kms = Kms(KeyStore(arguments.state, arguments.keys), root, OffsetClock(arguments.clock_offset))
    host, _, port = arguments.listen.rpartition(":")
    with KmsServer((host, int(port)), arguments.pki, Faults(kms, arguments.faults).answer) as server:
        end_on_sigterm()
        announce(server.endpoint)
        server.serve_forever()


def add_key(arguments: argparse.Namespace) -> None:
    """Writes the owner's file: adds the key, or replaces its policy."""
    registers = {
        int(index): bytes.fromhex(value) for index, _, value in (each.partition("=") for each in arguments.pcr)
    }
    owned = json.loads(arguments.keys.read_text()) if arguments.keys.exists() else {"keys": []}
    others = [each for each in owned["keys"] if each["arn"] != arguments.arn]
    entry = {"arn": arguments.arn, "policy": for_measurements(registers)}
    fresh = arguments.keys.with_suffix(".new")
    fresh.write_text(json.dumps({"keys": [*others, entry]}, indent=1))
    fresh.replace(arguments.keys)


def issue_identity(arguments: argparse.Namespace) -> None:
    request = x509.load_pem_x509_csr(arguments.csr.read_bytes())
    key = request.public_key()
    # The request is signed by the token's key: proof that the token holds it.
    if not request.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
        raise SystemExit("the request is not signed by the elliptic-curve key that it names")
    [common_name] = request.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    now = int(time.time())
    certificate = pki.issue_identity(
        pki.load(arguments.pki, pki.OPERATOR),
        key,
        str(common_name.value),
        begins=now - 300,
        ends=now + _IDENTITY_LIFE,
    )
    arguments.out.write_bytes(certificate.public_bytes(Encoding.PEM))


def announce(address: str) -> None:
    print(json.dumps({"ready": True, "address": address}), flush=True)


def end_on_sigterm() -> None:
    def end(*_: object) -> NoReturn:
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
