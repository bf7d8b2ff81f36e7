"""For every transaction that is accepted: written again, it is the very bytes that were judged; on every chain.

What is signed follows from those bytes alone, so that nobody is shown one transaction and signs another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from strongroom.chains import decoders, evm
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.chains.bitcoin.psbt import Psbt
from strongroom.chains.solana.message import Message
from strongroom.errors import Refusal
from strongroom.intent.decoding import Decoded, decode
from strongroom.intent.intent import Intent, Kind
from tests.chains import solana_cases as solana
from tests.chains.bitcoin_cases import ECDSA, SCHNORR, simple
from tests.chains.test_evm_calls import KNOWN

CHANGES = 3000
"""Of each kind of transaction, one to three bytes of it."""


@dataclass(frozen=True)
class Case:
    """again: what was read, written again."""

    name: str
    kind: Kind
    chain: str
    keys: WalletKeys
    again: Callable[[bytes], bytes]
    seeds: tuple[bytes, ...]

    def __str__(self) -> str:
        return self.name

    def decode(self, payload: bytes) -> Decoded:
        empty = bytes(32)
        return decode(Intent(empty, self.kind, payload, bytes(16), empty, 1, empty, self.chain), self.keys)


def _evm() -> Iterator[bytes]:
    key = bytes(range(32))
    for kind in (0, 1, 2):
        access = ((bytes(20), (key,)),) if kind else ()
        for data in (b"", *(payload for payload, _ in KNOWN[:4])):
            fee = 10**10 if kind == 2 else 10**11
            yield evm.Transaction(
                1, 7, fee, 10**11, 90_000, bytes(range(20)), 5 * (not data), data, access, kind
            ).encode()


def _solana() -> Iterator[bytes]:
    for version in (None, 0):
        yield solana.message(solana.transfer(5), version=version)


CASES = [
    Case("evm", "evm-transaction", "evm:1", ECDSA, lambda raw: evm.Transaction.decode(raw).encode(), tuple(_evm())),
    *(
        Case(
            f"bitcoin, {name}",
            "bitcoin-psbt",
            "bitcoin:regtest",
            keys,
            lambda raw: Psbt.decode(raw).encode(),
            tuple(simple(keys, version).payload() for version in (0, 2)),
        )
        for name, keys in (("segwit", ECDSA), ("taproot", SCHNORR))
    ),
    Case(
        "solana",
        "solana-transaction",
        "solana:mainnet",
        WalletKeys("frost-ed25519", solana.WALLET),
        lambda raw: Message.decode(raw).encode(),
        tuple(_solana()),
    ),
]


def _changed(seeds: tuple[bytes, ...]) -> Iterator[bytes]:
    draw = random.Random(8949)
    for _ in range(CHANGES):
        payload = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(payload))
            match draw.randrange(4):
                case 0:
                    payload.insert(place, draw.randrange(256))
                case 1:
                    del payload[place]
                case _:
                    payload[place] = draw.randrange(256)
        yield bytes(payload)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_accepted_is_written_again_to_the_byte(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the decoders alone: the comparison that would refuse all else is taken away."""
    monkeypatch.setattr(decoders, "_canonical", lambda again, payload: None)
    signed: set[tuple[bytes, ...]] = set()
    for payload in (*case.seeds, *_changed(case.seeds)):
        try:
            decoded = case.decode(payload)
        except Refusal:
            continue
        assert case.again(payload) == payload
        signed.add(tuple(each.message for each in decoded.to_sign))
    assert len(signed) > CHANGES // 100, "too few were accepted to say anything"
