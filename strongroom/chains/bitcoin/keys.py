"""The wallet's own keys and scripts, derived by the signer itself (BIP-32 without hardened steps, BIP-86)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom import schemes
from strongroom.chains.bitcoin import script
from strongroom.chains.bitcoin.encoding import unsupported
from strongroom.chains.bitcoin.fields import HARDENED
from strongroom.chains.bitcoin.hashing import hash160
from strongroom.errors import Refusal

MAX_STEPS: Final = 5
"""Of a path: purpose, coin, account, chain, index (BIP-44)."""

_PRIME: Final = 2**256 - 2**32 - 977
_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

Path = tuple[int, ...]


@dataclass(frozen=True)
class WalletKeys:
    """public_key: 33 bytes, untweaked. chain_code: 32 bytes; None where the suite derives no keys."""

    scheme: str
    public_key: bytes
    chain_code: bytes | None = None

    @property
    def kind(self) -> Literal["p2wpkh", "p2tr"]:
        """P2WPKH for ECDSA, P2TR for BIP-340. Raises Refusal `intent_mismatch` for other suites."""
        suite = schemes.suite(self.scheme)
        if not suite.digest and not suite.taproot:
            raise Refusal("intent_mismatch", f"a wallet of {self.scheme} signs nothing on Bitcoin")
        return "p2tr" if suite.taproot else "p2wpkh"

    @property
    def master(self) -> bytes:
        """The key as PSBTs write it: x-only (32 bytes) for BIP-340 suites."""
        return self.public_key[1:] if self.kind == "p2tr" else self.public_key

    @property
    def fingerprint(self) -> bytes:
        """BIP-32's, of the master key. A BIP-340 key is the one with even y, whatever the shares' joint point is."""
        return hash160(b"\2" + self.master if self.kind == "p2tr" else self.public_key)[:4]

    @property
    def derives(self) -> bool:
        return self.kind == "p2wpkh" and self.chain_code is not None

    def key(self, path: Path) -> bytes:
        """As PSBTs write it. Raises Refusal `unsupported_transaction` for a path that the wallet cannot derive."""
        if not path:
            return self.master
        if not self.derives:
            raise unsupported("this wallet has one key and derives no others: its path is empty")
        if len(path) > MAX_STEPS or any(step >= HARDENED for step in path):
            raise unsupported(f"a path has at most {MAX_STEPS} steps, none of them hardened")
        return _derived(self.public_key, self.chain_code, path)[0]

    def script(self, path: Path) -> bytes:
        """The one output script of this path: P2WPKH, or P2TR without a script tree."""
        if self.kind == "p2wpkh":
            return script.write("p2wpkh", hash160(self.key(path)))
        self.key(path)
        return script.write("p2tr", _output_key(self.scheme, self.public_key))


@lru_cache(maxsize=64)
def _output_key(scheme: str, public_key: bytes) -> bytes:
    return schemes.wallet_key(scheme, public_key)


@lru_cache(maxsize=1024)
def _derived(public_key: bytes, chain_code: bytes, path: Path) -> tuple[bytes, bytes]:
    """CKDpub along the path (BIP-32). Remembered, since the inputs of one wallet share most of their paths."""
    if not path:
        return public_key, chain_code
    parent, code = _derived(public_key, chain_code, path[:-1])
    mixed = hmac.digest(code, parent + path[-1].to_bytes(4, "big"), "sha512")
    return _added(parent, int.from_bytes(mixed[:32], "big")), mixed[32:]


def _added(public_key: bytes, scalar: int) -> bytes:
    """The point, plus scalar times the generator. Both are public."""
    point = schemes.uncompressed(public_key)
    x, y = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
    if not 0 < scalar < _ORDER:
        raise _no_child()
    other = ec.derive_private_key(scalar, ec.SECP256K1()).public_key().public_numbers()
    if other.x == x:
        raise _no_child()
    slope = (other.y - y) * pow(other.x - x, -1, _PRIME) % _PRIME
    sum_x = (slope * slope - x - other.x) % _PRIME
    sum_y = (slope * (x - sum_x) - y) % _PRIME
    return bytes((2 + (sum_y & 1),)) + sum_x.to_bytes(32, "big")


def _no_child() -> Refusal:
    """BIP-32: "in case […] the resulting key is invalid"; nobody finds one with less than 2^127 work."""
    return unsupported("this path has no key: take the next index")
