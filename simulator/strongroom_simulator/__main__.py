"""`strongroom-simulator`: a laptop's AWS. Never part of an image."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from strongroom_simulator import machine, measure, programs
from strongroom_simulator.device import LEAF_LIFE


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="strongroom-simulator", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _pki(commands.add_parser("pki", help="make the authorities, unless they are there; print their fingerprints"))
    _nsm(commands.add_parser("nsm", help="serve one enclave's /dev/nsm on a Unix socket"))
    _kms(commands.add_parser("kms", help="serve KMS over TLS"))
    _key(commands.add_parser("kms-key", help="add a key to KMS's keys file, for an enclave of these registers alone"))
    _machine(commands.add_parser("enclave", help="boot an enclave image in QEMU, as nitro-cli does in AWS"))
    _measurements(commands.add_parser("measurements", help="print the registers an enclave would have at boot"))
    _identity(commands.add_parser("issue-identity", help="certify an HSM's identity key from its signed request"))
    return parser


def _pki(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", type=Path, required=True)
    parser.set_defaults(run=programs.make_pki)


def _enclave(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pki", type=Path, required=True, help="the directory that `pki` made")
    parser.add_argument("--instance", required=True, help="the instance id, which PCR4 is made of")
    parser.add_argument("--role", default=measure.ROLE, help="the instance's IAM role, which PCR3 is made of")


def _variant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", default="", help="a name that PCR0 and PCR2 are made of too: for a next release")


def _nsm(parser: argparse.ArgumentParser) -> None:
    _enclave(parser)
    _variant(parser)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--leaf-life", type=int, default=LEAF_LIFE, help="seconds (default: %(default)s)")
    parser.add_argument("--clock-offset", type=Path, help="a file with seconds to add to the clock, read each time")
    parser.add_argument("--debug", action="store_true", help="PCR0-2 are zero, as with --debug-mode")
    parser.set_defaults(run=programs.run_nsm)


def _machine(parser: argparse.ArgumentParser) -> None:
    _enclave(parser)
    parser.add_argument("--qemu", type=Path, required=True, help="the folder that `make qemu` fills")
    parser.add_argument("--image", type=Path, required=True, help="an EIF")
    parser.add_argument(
        "--socket", type=Path, required=True, help="where the enclave's vsock is reached: CONNECT <port>"
    )
    parser.add_argument(
        "--port", type=int, default=5000, help="it is ready when this one answers (default: %(default)s)"
    )
    parser.add_argument("--memory", type=int, default=256, help="MiB (default: %(default)s)")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument(
        "--within", type=float, default=180.0, help="seconds until it must be ready (default: %(default)s)"
    )
    parser.add_argument("--config", type=Path, required=True, help="the configuration that the parent hands in")
    parser.add_argument("--credentials", type=Path, required=True, help="AWS credentials, handed in too")
    parser.add_argument("--kms", required=True, metavar="HOST:PORT", help="where the enclave's calls to KMS go")
    parser.add_argument("--unsigned", action="store_true", help="leave the NSM's documents as QEMU makes them")
    parser.set_defaults(run=machine.run)


def _kms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pki", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="a directory for the master keys")
    parser.add_argument("--keys", type=Path, required=True, help="the keys' owner's file: ARNs and policies")
    parser.add_argument("--listen", default="127.0.0.1:0", help="address:port (default: %(default)s, any port)")
    parser.add_argument("--clock-offset", type=Path, help="a file with seconds to add to the clock, read each time")
    parser.add_argument("--faults", type=Path, help="a file that switches faults on, for tests; see faults.py")
    parser.set_defaults(run=programs.run_kms)


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--arn", required=True)
    parser.add_argument("--pcr", action="append", required=True, metavar="INDEX=HEX")
    parser.set_defaults(run=programs.add_key)


def _measurements(parser: argparse.ArgumentParser) -> None:
    _enclave(parser)
    _variant(parser)
    parser.set_defaults(run=programs.measurements)


def _identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pki", type=Path, required=True)
    parser.add_argument("--csr", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(run=programs.issue_identity)


if __name__ == "__main__":
    main()
