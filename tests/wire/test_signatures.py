"""Ed25519 signatures: bytes that are no key and no signature are a plain no."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom import signatures

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
SIGNATURE = KEY.sign(b"tagged bytes")


def test_a_signature_verifies_for_its_key_and_message() -> None:
    assert signatures.verify(PUBLIC, SIGNATURE, b"tagged bytes")
    assert (len(PUBLIC), len(SIGNATURE)) == (signatures.KEY, signatures.SIGNATURE)


@pytest.mark.parametrize(
    ("key", "signature", "message"),
    [
        (PUBLIC, SIGNATURE, b"other bytes"),
        (PUBLIC, bytes(64), b"tagged bytes"),
        (PUBLIC, SIGNATURE[:-1], b"tagged bytes"),
        (PUBLIC, SIGNATURE + b"\0", b"tagged bytes"),
        (PUBLIC, b"", b"tagged bytes"),
        (bytes(32), SIGNATURE, b"tagged bytes"),
        (b"\xff" * 32, SIGNATURE, b"tagged bytes"),
        (PUBLIC[:-1], SIGNATURE, b"tagged bytes"),
        (b"", SIGNATURE, b"tagged bytes"),
    ],
    ids=range(9),
)
def test_everything_else_is_a_no(key: bytes, signature: bytes, message: bytes) -> None:
    assert not signatures.verify(key, signature, message)


P = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL = [y | sign << 255 for y in (0, 1, P - 1, P, P + 1, ORDER_8, P - ORDER_8) for sign in (0, 1)]


@pytest.mark.parametrize("point", SMALL, ids=hex)
def test_a_key_of_small_order_signs_nothing(point: int) -> None:
    """With R of small order and s = 0 the equation holds for one message in eight, at the latest."""
    key = point.to_bytes(32, "little")
    for y in SMALL:
        signature = y.to_bytes(32, "little") + bytes(32)
        assert not any(signatures.verify(key, signature, bytes((message,))) for message in range(8))
