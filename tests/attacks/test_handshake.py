"""A host between two signers who shake hands: it carries, changes, swaps and keeps their four messages.

Whatever it does, no channel stands that both sides did not mean; those that stood before stand on, and the wallet of
the same two signers signs over them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from strongroom.errors import Refusal
from strongroom.signer.links import MAX_KEPT
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import ED25519, Custody
from tests.attacks.hand import flipped, refused

A, B, C = "enclave-1", "enclave-2", "hsm-1"

REFUSALS = {
    "channel_handshake",
    "mode_mismatch",
    "malformed_cbor",
    "malformed_message",
    "evidence_malformed",
    "evidence_root",
    "evidence_chain",
    "evidence_signature",
    "evidence_expired",
    "evidence_nonce",
    "evidence_binding",
}


class Handshake:
    """One pair's, in the host's hand. Each call is one message to one signer; what it answers is returned."""

    def __init__(self, custody: Custody, wallet: Wallet, opener: str = A, answerer: str = B) -> None:
        self._custody = custody
        self._order = wallet.signed_order.order_id
        self._opener, self._answerer = opener, answerer

    def open(self) -> bytes:
        return self._ask(self._opener, "channel.open").blob("message")

    def answer(self, first: bytes) -> bytes:
        return self._ask(self._answerer, "channel.answer", first).blob("message")

    def prove(self, second: bytes) -> bytes:
        return self._ask(self._opener, "channel.prove", second).blob("message")

    def accept(self, third: bytes) -> bytes:
        return self._ask(self._answerer, "channel.accept", third).blob("message")

    def finish(self, fourth: bytes) -> None:
        self._ask(self._opener, "channel.finish", fourth)

    def to_the_end(self) -> None:
        self.finish(self.accept(self.prove(self.answer(self.open()))))

    def _ask(self, name: str, operation: str, message: bytes | None = None) -> Fields:
        peer = self._answerer if name == self._opener else self._opener
        body: dict[str, cbor.Value] = {"order": self._order, "peer": peer}
        return self._custody.ask(name, operation, body if message is None else body | {"message": message})


def fields(message: bytes) -> dict[str, Any]:
    value = cbor.decode(message)
    assert isinstance(value, dict)
    return dict(value)


def changed(message: bytes, **changes: object) -> bytes:
    return cbor.encode(fields(message) | changes)


@pytest.fixture
def shaking(custody: Custody, ed25519: Wallet) -> Handshake:
    """Two enclaves that have channels already, for a wallet that signs afterwards, over those or later ones."""
    return Handshake(custody, ed25519)


@pytest.fixture(params=[(A, B), (B, A), (A, C), (C, A)], ids="-".join)
def pair(request: pytest.FixtureRequest, custody: Custody, ed25519: Wallet) -> Handshake:
    """With each kind of signer on each side."""
    return Handshake(custody, ed25519, *request.param)


# --- One bit ---


def places(message: bytes) -> list[int]:
    """Bits all over a message, more of them near its start and end."""
    size = 8 * len(message)
    return sorted({*range(0, min(size, 400), 37), *range(0, size, size // 20), *range(size - 300, size, 41)})


def test_one_bit_of_the_first_message(pair: Handshake) -> None:
    """It proves nothing yet: whoever answers, the opener finds out that its words were changed."""
    first = pair.open()
    for bit in places(first):
        with pytest.raises(Refusal) as caught:
            pair.prove(pair.answer(flipped(first, bit)))
        assert caught.value.code in REFUSALS, (bit, caught.value)
        assert not caught.value.culprits
        first = pair.open()


def test_one_bit_of_the_second_message(pair: Handshake) -> None:
    for bit in places(pair.answer(pair.open())):
        second = pair.answer(pair.open())
        with pytest.raises(Refusal) as caught:
            pair.prove(flipped(second, bit % (8 * len(second))))
        assert caught.value.code in REFUSALS, (bit, caught.value)


def test_one_bit_of_the_third_message(pair: Handshake) -> None:
    for bit in places(pair.prove(pair.answer(pair.open()))):
        third = pair.prove(pair.answer(pair.open()))
        with pytest.raises(Refusal) as caught:
            pair.accept(flipped(third, bit % (8 * len(third))))
        assert caught.value.code in REFUSALS, (bit, caught.value)


def test_one_bit_of_the_fourth_message(pair: Handshake) -> None:
    for bit in range(0, 8 * 43, 31):
        fourth = pair.accept(pair.prove(pair.answer(pair.open())))
        with pytest.raises(Refusal) as caught:
            pair.finish(flipped(fourth, bit % (8 * len(fourth))))
        assert caught.value.code in REFUSALS, (bit, caught.value)


# --- Other words ---


CLAIMS: dict[str, dict[str, Any]] = {
    "another version": {"v": 2},
    "another mode": {"mode": "production"},
    "another suite": {"suite": "null"},
    "another order": {"order": bytes(32)},
    "another epoch": {"epoch": 2},
    "from another": {"from": C},
    "to another": {"to": C},
    "from and to swapped": {"from": "to", "to": "from"},
    "one field more": {"more": 1},
    "no nonce": {"nonce": b""},
}


def claiming(core: bytes, claim: dict[str, Any]) -> bytes:
    """A claim may name another field, whose value it takes."""
    said = fields(core)
    return changed(core, **{key: said.get(value, value) if key in said else value for key, value in claim.items()})


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_claims_that_the_answerer_knows_better(shaking: Handshake, claim: dict[str, Any]) -> None:
    first = claiming(shaking.open(), claim)
    verdict = "malformed_message" if {"v", "more", "nonce"} & set(claim) else "channel_handshake"
    with pytest.raises(Refusal) as caught:
        shaking.answer(first)
    assert caught.value.code == verdict


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_claims_that_the_opener_knows_better(shaking: Handshake, claim: dict[str, Any]) -> None:
    second = shaking.answer(shaking.open())
    core = claiming(fields(second)["core"], claim)
    with pytest.raises(Refusal) as caught:
        shaking.prove(changed(second, core=core))
    assert caught.value.code in ("channel_handshake", "malformed_message")


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_an_ephemeral_key_of_small_order(shaking: Handshake, point: bytes) -> None:
    """The shared secret would be zero, and the host would know it."""
    with refused("channel_handshake", by=B, verdict="link"):
        shaking.answer(changed(shaking.open(), ephemeral=point))
    second = shaking.answer(shaking.open())
    with refused("channel_handshake", by=A, verdict="link"):
        shaking.prove(changed(second, core=changed(fields(second)["core"], ephemeral=point)))


def test_ones_own_words_back(shaking: Handshake) -> None:
    """The first message returned to its sender; its key and its boot in the answer's place."""
    first = shaking.open()
    reflected = Handshake(shaking._custody, shaking._custody.wallet(ED25519), B, A)
    with refused("channel_handshake", by=A, verdict="link"):
        reflected.answer(first)
    second = shaking.answer(first)
    core = fields(second)["core"]
    for field in ("ephemeral", "boot"):
        mirrored = changed(second, core=changed(core, **{field: fields(first)[field]}))
        with refused("channel_handshake", by=A, verdict="link"):
            shaking.prove(mirrored)
        second = shaking.answer(first := shaking.open())
        core = fields(second)["core"]


# --- The host in the middle ---


def test_a_host_with_a_key_of_its_own(shaking: Handshake) -> None:
    """It shakes hands with both, and shows each the other's evidence: that is about another transcript."""
    own = X25519PrivateKey.generate().public_key().public_bytes_raw()
    first = shaking.open()
    second = shaking.answer(changed(first, ephemeral=own))
    with refused("evidence_binding", by=A):
        shaking.prove(second)
    first = shaking.open()
    second = shaking.answer(first)
    with refused("evidence_binding", by=A):
        shaking.prove(changed(second, core=changed(fields(second)["core"], ephemeral=own)))


def test_evidence_of_an_earlier_handshake(pair: Handshake) -> None:
    """Genuine, of the right signer, a second old: it answers another nonce."""
    old = fields(pair.answer(pair.open()))["evidence"]
    second = pair.answer(pair.open())
    with refused("evidence_nonce"):
        pair.prove(changed(second, evidence=old))
    old = fields(pair.prove(pair.answer(pair.open())))["evidence"]
    third = pair.prove(pair.answer(pair.open()))
    with refused("evidence_nonce"):
        pair.accept(changed(third, evidence=old))


def test_evidence_asked_for_with_the_right_nonce(custody: Custody, ed25519: Wallet) -> None:
    """The host may ask any signer for evidence about any nonce. It is about something else than this channel."""
    nonces: dict[str, Callable[[bytes], bytes]] = {
        "evidence": lambda nonce: custody.ask(B, "evidence", {"nonce": nonce}).blob("document"),
        "wallet": lambda nonce: custody.ask(B, "wallet.attest", {"wallet": ed25519.body.wallet, "nonce": nonce}).blob(
            "document"
        ),
    }
    shaking = Handshake(custody, ed25519)
    for attest in nonces.values():
        first = shaking.open()
        second = shaking.answer(first)
        with refused("evidence_binding", by=A):
            shaking.prove(changed(second, evidence=attest(fields(first)["nonce"])))


def test_evidence_of_two_signers_swapped(custody: Custody, ed25519: Wallet) -> None:
    """Two handshakes side by side, both with A; B and C change evidence, then whole answers."""
    with_b, with_c = Handshake(custody, ed25519, A, B), Handshake(custody, ed25519, A, C)
    from_b, from_c = with_b.answer(with_b.open()), with_c.answer(with_c.open())
    with refused("evidence_malformed", by=A):
        with_b.prove(changed(from_b, evidence=fields(from_c)["evidence"]))
    with refused("evidence_malformed", by=A):
        with_c.prove(changed(from_c, evidence=fields(from_b)["evidence"]))
    from_b, from_c = with_b.answer(with_b.open()), with_c.answer(with_c.open())
    with refused("channel_handshake", by=A, verdict="link"):
        with_b.prove(from_c)
    with refused("channel_handshake", by=A, verdict="link"):
        with_c.prove(from_b)


def test_evidence_of_two_enclaves_swapped(custody: Custody, ed25519: Wallet) -> None:
    """Both are Nitro's, both fresh, both asked for by the HSM signer."""
    with_a, with_b = Handshake(custody, ed25519, C, A), Handshake(custody, ed25519, C, B)
    from_a, from_b = with_a.answer(with_a.open()), with_b.answer(with_b.open())
    with refused("evidence_nonce", by=C):
        with_a.prove(changed(from_a, evidence=fields(from_b)["evidence"]))
    with refused("evidence_nonce", by=C):
        with_b.prove(changed(from_b, evidence=fields(from_a)["evidence"]))


def test_ones_own_evidence(shaking: Handshake) -> None:
    """A's own document, for A's own nonce, in B's name: registers and configuration are A's."""
    first = shaking.open()
    second = shaking.answer(first)
    own = shaking._custody.ask(A, "evidence", {"nonce": fields(first)["nonce"]}).blob("document")
    with refused("evidence_binding", by=A):
        shaking.prove(changed(second, evidence=own))


# --- Kept back, said twice, said out of turn ---


def test_messages_that_nobody_waits_for(shaking: Handshake) -> None:
    """A half of a handshake is used once."""
    second = shaking.answer(shaking.open())
    third = shaking.prove(second)
    with refused("channel_handshake", by=A, verdict="link"):
        shaking.prove(second)
    fourth = shaking.accept(third)
    with refused("channel_handshake", by=B, verdict="link"):
        shaking.accept(third)
    shaking.finish(fourth)
    with refused("channel_handshake", by=A, verdict="link"):
        shaking.finish(fourth)


def test_a_handshake_replayed_whole(shaking: Handshake) -> None:
    """B answers the old first message; then it wants evidence for a nonce that nobody has seen before."""
    first = shaking.open()
    third = shaking.prove(shaking.answer(first))
    shaking.answer(first)
    with refused("evidence_nonce", by=B):
        shaking.accept(third)


def test_two_handshakes_at_once_do_not_mix(shaking: Handshake) -> None:
    """The later one replaces the half that waits; what belongs to the first no longer fits."""
    second = shaking.answer(shaking.open())
    shaking.open()
    with pytest.raises(Refusal) as caught:
        shaking.prove(second)
    assert caught.value.code in ("evidence_nonce", "evidence_binding")


def test_half_a_renewal_again_and_again(custody: Custody, ed25519: Wallet) -> None:
    """The last message is kept back: the channel in use goes on carrying, however often."""
    shaking = Handshake(custody, ed25519)
    shaking.to_the_end()
    for _ in range(2 * MAX_KEPT):
        shaking.accept(shaking.prove(shaking.answer(shaking.open())))
        assert custody.sign(ed25519, (A, B)).signers == (A, B)


def test_a_renewal_amid_a_ceremony(custody: Custody, wallet: Wallet) -> None:
    """What was sealed for the old channel still opens: no ceremony is lost."""
    names = custody.sets(wallet)[0]
    with custody.signing(wallet, names) as run:
        Handshake(custody, wallet, A, names[1]).to_the_end()
        run.turn()
        Handshake(custody, wallet, names[1], A).to_the_end()
        assert all(step.result for step in run.finish().values())


@pytest.mark.parametrize(("peer", "code"), [(A, "channel_handshake"), ("enclave-9", "not_in_roster")])
def test_a_channel_to_oneself_or_to_nobody(custody: Custody, ed25519: Wallet, peer: str, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        custody.ask(A, "channel.open", {"order": ed25519.signed_order.order_id, "peer": peer})
    assert caught.value.code == code
