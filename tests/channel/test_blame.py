"""Testimonies: two of them prove who said two things, and nobody can prove it of a signer that said one."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from strongroom.channel.blame import equivocators
from strongroom.channel.envelope import Seen, broadcast_signing_bytes
from strongroom.channel.envelope import testimony as sworn  # pytest would take it for a test
from strongroom.wire import cbor
from tests.wallet.orders import keys
from tests.wire.refused import refused

CEREMONY = b"\1" * 32
BOOT = dict(zip("abc", keys("boot", 3).items(), strict=True))
PUBLIC = {name: public for name, (public, _) in BOOT.items()}


def seen(name: str, broadcast: bytes, *, ceremony: bytes = CEREMONY, number: int = 1, by: str | None = None) -> Seen:
    """As its sender signed it; or as somebody else did."""
    key = BOOT[by or name][1]
    signature = key.sign(broadcast_signing_bytes(ceremony, number, name, broadcast))
    return Seen(name, hashlib.sha256(broadcast).digest(), signature)


def said(*views: Seen, ceremony: bytes = CEREMONY, number: int = 1) -> bytes:
    return sworn(ceremony, number, views)


HONEST = said(seen("a", b"1"), seen("b", b"2"), seen("c", b"3"))


def test_two_signed_broadcasts_prove_who_sent_them() -> None:
    other = said(seen("a", b"1"), seen("b", b"2"), seen("c", b"another"))
    assert equivocators(HONEST, other, PUBLIC) == equivocators(other, HONEST, PUBLIC) == ("c",)
    both = said(seen("a", b"another"), seen("b", b"2"), seen("c", b"another"))
    assert equivocators(HONEST, both, PUBLIC) == ("a", "c")


def test_equal_testimonies_prove_nothing() -> None:
    assert equivocators(HONEST, HONEST, PUBLIC) == ()


@pytest.mark.parametrize(
    "lie",
    [
        seen("c", b"another", by="a"),
        Seen("c", hashlib.sha256(b"another").digest(), b""),
        Seen("c", hashlib.sha256(b"another").digest(), seen("c", b"3").signature),
        seen("c", b"another", number=2),
        seen("c", b"another", ceremony=bytes(32)),
        Seen("c", hashlib.sha256(b"another").digest(), seen("a", b"another").signature),
        Seen("c", b"", bytes(64)),
        seen("b", b"2"),
    ],
    ids=["another's key", "unsigned", "other bytes", "another round", "another ceremony", "another name", "empty", "b"],
)
def test_an_honest_signer_cannot_be_framed(lie: Seen) -> None:
    """Neither by the other signers nor by the host, whichever of the two testimonies carries the lie."""
    framing = said(seen("a", b"1"), seen("b", b"2"), lie)
    assert equivocators(HONEST, framing, PUBLIC) == ()
    assert equivocators(framing, HONEST, PUBLIC) == ()


def test_who_is_unknown_is_not_named() -> None:
    other = said(seen("a", b"1"), seen("b", b"2"), seen("c", b"another"))
    assert equivocators(HONEST, other, {name: PUBLIC[name] for name in "ab"}) == ()
    assert equivocators(HONEST, other, {**PUBLIC, "c": PUBLIC["a"]}) == ()
    assert equivocators(HONEST, said(), PUBLIC) == ()


@pytest.mark.parametrize("name", ["x" * 256, "é" * 200, ""])
def test_a_name_that_no_signer_has_is_no_error(name: str) -> None:
    one, two = (said(Seen(name, digest * 32, bytes(64))) for digest in (b"\1", b"\2"))
    assert equivocators(one, two, PUBLIC) == ()


def test_testimonies_are_of_one_ceremony_and_round() -> None:
    for other in (said(seen("c", b"4", number=2), number=2), said(ceremony=bytes(32))):
        refused("malformed_message", equivocators, HONEST, other, PUBLIC)


@pytest.mark.parametrize(
    "changes",
    [
        {"ceremony": bytes(31)},
        {"round": 256},
        {"round": -1},
        {"more": 1},
        {"seen": [["a", bytes(32)]]},
        {"seen": [[b"a", bytes(32), b""]]},
        {"seen": [["a", bytes(32), None]]},
        {"seen": [["a", bytes(32), b""]] * 10},
        {"seen": "abc"},
    ],
    ids=range(9),
)
def test_what_is_no_testimony_is_refused(changes: dict[str, Any]) -> None:
    value = cbor.decode(HONEST)
    assert isinstance(value, dict)
    wrong = cbor.encode({**value, **changes})
    refused("malformed_message", equivocators, wrong, HONEST, PUBLIC)
    refused("malformed_message", equivocators, HONEST, wrong, PUBLIC)
