"""The suites, and the small part of the native module that programs other than signers may call.

This is the one place that imports `strongroom_native`, but for signers, which hold its handles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import strongroom_native as native
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from strongroom.errors import Refusal

KEY_PATH_ONLY = b""
"""The BIP-341 tweak of BIP-340 wallets: key path only, no script tree."""


@dataclass(frozen=True)
class Suite:
    """auditor: "none" where nobody audited it. pairwise: pairs of signers set up state before they sign.

    taproot: signs under the BIP-341 output key. all_sign: n of n. digest: signs a 32-byte digest of a transaction, not
    a message. rounds: of messages, in a signing. trips: a host's requests to each signer, the last of which brings its
    contribution.
    """

    name: str
    curve: str
    library: str
    version: str
    auditor: str
    randomness: str
    pairwise: bool
    taproot: bool
    all_sign: bool
    rounds: int

    @property
    def audited(self) -> bool:
        return self.auditor != "none"

    @property
    def digest(self) -> bool:
        return self.curve == "secp256k1" and not self.taproot

    @property
    def tweak(self) -> bytes | None:
        return KEY_PATH_ONLY if self.taproot else None

    @property
    def trips(self) -> int:
        return self.rounds + 1


@cache
def suites() -> dict[str, Suite]:
    """By name."""
    return {
        row["suite"]: Suite(
            row["suite"],
            row["curve"],
            row["library"],
            row["version"],
            row["auditor"],
            row["randomness"],
            bool(row["pairwise"]),
            bool(row["taproot"]),
            bool(row["all_sign"]),
            int(row["rounds"]["sign"]),
        )
        for row in native.suites()
    }


def suite(name: str) -> Suite:
    try:
        return suites()[name]
    except KeyError:
        raise Refusal("bad_order", f"there is no scheme {name[:40]}; there are {', '.join(sorted(suites()))}") from None


def harden_process() -> None:
    """No core dump, no attaching debugger of the same user (Linux)."""
    native.harden_process()


def keccak256(data: bytes) -> bytes:
    return native.keccak256(data)


def uncompressed(public_key: bytes) -> bytes:
    """65 bytes of SEC1 from 33. Raises Refusal `malformed_message` for what is no point of secp256k1."""
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public_key)
    except ValueError:
        raise Refusal("malformed_message", "the public key is no point of secp256k1") from None
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def wallet_key(scheme: str, public_key: bytes) -> bytes:
    """The key under which a wallet's signatures verify: for BIP-340 suites the x-only output key (32 bytes).

    Raises Refusal `malformed_message` for what is no key.
    """
    tweak = suite(scheme).tweak
    try:
        return public_key if tweak is None else native.output_key(public_key, tweak)
    except native.NativeError as error:
        raise Refusal("malformed_message", f"the public key is none: {error.reason}") from None


def verify(scheme: str, public_key: bytes, message: bytes, signature: bytes) -> bool:
    """False for a bad signature and for bytes that are no key. Raises Refusal `bad_order` for no scheme."""
    try:
        return native.verify(scheme, public_key, message, signature, suite(scheme).tweak)
    except native.NativeError as error:
        if error.code == "misuse":
            return False
        raise native_refusal(error, {}) from None


def combine(
    scheme: str,
    package: bytes,
    session: bytes,
    message: bytes,
    contributions: list[tuple[int, bytes]],
    path: tuple[int, ...] = (),
) -> bytes:
    """One ordinary signature, verified under the key at `path`. contributions: (party number, last result).

    Raises Refusal `bad_share` with the culprits' party numbers and verdict `proof` where the protocol proves one.
    """
    try:
        return native.combine(scheme, package, session, message, contributions, suite(scheme).tweak, path)
    except native.NativeError as error:
        raise native_refusal(error, {}) from None


def native_refusal(error: native.NativeError, names: dict[int, str]) -> Refusal:
    """The native module's error as a Refusal; culprits by name where `names` has their party number."""
    culprits = tuple(names.get(culprit, str(culprit)) for culprit in error.culprits)
    return Refusal(error.code, error.reason, culprits=culprits, verdict=error.verdict)
