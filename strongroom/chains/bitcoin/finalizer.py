"""From signatures to what nodes take: witnesses, and the raw transaction (BIP-174's finalizer and extractor)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from strongroom.chains.bitcoin import script
from strongroom.chains.bitcoin.effects import hash_type
from strongroom.chains.bitcoin.encoding import malformed, unsupported
from strongroom.chains.bitcoin.hashing import hash160
from strongroom.chains.bitcoin.psbt import Psbt
from strongroom.chains.bitcoin.sighash import ALL, DEFAULT

_ECDSA: Final = 65
_SCHNORR: Final = 64


def signed(psbt: Psbt, signatures: Sequence[bytes]) -> bytes:
    """The raw transaction. signatures: one for each input, in their order, as the schemes combine them.

    They are not verified here: whoever combines a signature does. Raises Refusal `malformed_transaction` for another
    number or size, `unsupported_transaction` for an input that `decode` would refuse.
    """
    if len(signatures) != len(psbt.inputs):
        raise malformed(f"{len(signatures)} signatures for {len(psbt.inputs)} inputs")
    inputs = tuple(
        dataclasses.replace(each, witness=_witness(psbt, number, signature))
        for number, (each, signature) in enumerate(zip(psbt.transaction.inputs, signatures, strict=True))
    )
    return dataclasses.replace(psbt.transaction, inputs=inputs).encode()


def _witness(psbt: Psbt, number: int, signature: bytes) -> tuple[bytes, ...]:
    kind, program = script.recognise(psbt.spent(number).script)
    if kind == "p2tr":
        return schnorr(signature, hash_type(psbt.inputs[number], kind))
    keys = [key for key, _origin in psbt.inputs[number].origins(0x06)]
    if kind != "p2wpkh" or len(keys) != 1 or hash160(keys[0]) != program:
        raise unsupported(f"input {number} is not one that is signed here")
    hash_type(psbt.inputs[number], kind)
    return ecdsa(signature, keys[0])


def ecdsa(signature: bytes, public_key: bytes) -> tuple[bytes, bytes]:
    """P2WPKH's witness with SIGHASH_ALL. signature: r ‖ s ‖ recovery id, low s, 65 bytes."""
    if len(signature) != _ECDSA:
        raise malformed(f"an ECDSA signature has {_ECDSA} bytes")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return encode_dss_signature(r, s) + bytes((ALL,)), public_key


def schnorr(signature: bytes, chosen: int = DEFAULT) -> tuple[bytes]:
    """P2TR's witness of the key path. signature: 64 bytes (BIP-340). DEFAULT adds no byte (BIP-341)."""
    if len(signature) != _SCHNORR:
        raise malformed(f"a Schnorr signature has {_SCHNORR} bytes")
    return (signature + bytes((chosen,)) if chosen else signature,)
