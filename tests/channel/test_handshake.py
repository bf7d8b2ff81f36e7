"""The handshake, and what a host may try between its four messages."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.channel import handshake
from strongroom.channel.handshake import Attest
from strongroom.errors import Refusal
from strongroom.evidence.statement import AWS_NITRO_ROOT
from strongroom.signer.configuration import Configuration
from strongroom.wallet.order import order_id
from strongroom.wire import cbor
from strongroom_simulator import pki
from strongroom_simulator.device import Nsm
from tests.channel.pair import NOW, Pair, attest, attester, boot_key, changed, field, roster_order, setting, with_core
from tests.signer.cluster import authorities
from tests.signer.seams import Authorities, Clock, TokenAttester
from tests.wallet.orders import boot_registers, configuration, member, order
from tests.wire.refused import refused

HOUR = 3600


# --- An honest handshake ---


@pytest.mark.parametrize(("a", "b"), [("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("c", "d")])
def test_both_ends_have_one_channel(a: str, b: str) -> None:
    end_a, end_b = Pair(a, b).run()
    assert end_a.identifier == end_b.identifier
    assert (end_a.peer, end_b.peer) == (b, a)
    assert (end_a.boot_key, end_b.boot_key) == (boot_key(b), boot_key(a))
    assert end_b.open(b"x", end_a.seal(b"x", b"to b")) == b"to b"
    assert end_a.open(b"x", end_b.seal(b"x", b"to a")) == b"to a"


def test_every_byte_is_as_the_specification_says() -> None:
    """Sections 7 and 8, written again from the page alone."""
    pair, drawn = Pair(), [bytes((n,)) * 32 for n in range(1, 5)]
    left = iter(drawn)
    opened, m1 = pair.open(lambda size: next(left)[:size])
    answered, m2 = pair.answer(m1, lambda size: next(left)[:size])
    proven, m3 = pair.prove(opened, m2)
    end_b, m4 = pair.accept(answered, m3)
    end_a = pair.finish(proven, m4)

    secret_a, secret_b = X25519PrivateKey.from_private_bytes(drawn[0]), X25519PrivateKey.from_private_bytes(drawn[2])
    made = roster_order()

    def core(name: str, peer: str, nonce: bytes, secret: X25519PrivateKey) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "mode": "simulated",
                "suite": "x25519-sha256-aes256gcm",
                "order": hashlib.sha256(b"strongroom/order/v1" + made.encode()).digest(),
                "epoch": 1,
                "from": name,
                "to": peer,
                "nonce": nonce,
                "ephemeral": secret.public_key().public_bytes_raw(),
                "boot": name.encode() * 16,
            }
        )

    core_a, core_b = core("a", "b", drawn[1], secret_a), core("b", "a", drawn[3], secret_b)
    assert (m1, field(m2, "core")) == (core_a, core_b)
    evidence_a, evidence_b = field(m3, "evidence"), field(m2, "evidence")

    framed = len(core_a).to_bytes(4, "big") + core_a + len(core_b).to_bytes(4, "big") + core_b
    transcript = hashlib.sha256(b"strongroom/channel/v1" + framed).digest()
    for role, evidence, nonce in ((1, evidence_b, drawn[1]), (0, evidence_a, drawn[3])):
        user_data = hashlib.sha256(b"strongroom/channel-evidence/v1" + bytes((role,)) + transcript).digest()
        assert nonce in evidence and user_data in evidence

    # HKDF by RFC 5869, four blocks.
    pseudo = hmac.digest(transcript, secret_a.exchange(secret_b.public_key()), "sha256")
    okm, block = b"", b""
    for count in range(1, 5):
        block = hmac.digest(pseudo, block + b"strongroom/channel-keys/v1" + bytes((count,)), "sha256")
        okm += block
    a_to_b, b_to_a, confirm_a, confirm_b = (okm[start : start + 32] for start in range(0, 128, 32))
    covered = transcript + hashlib.sha256(evidence_a).digest() + hashlib.sha256(evidence_b).digest()
    assert field(m3, "confirm") == hmac.digest(confirm_a, covered, "sha256")
    assert field(m4, "confirm") == hmac.digest(confirm_b, covered, "sha256")

    identifier = hashlib.sha256(b"strongroom/channel-id/v1" + transcript).digest()[:16]
    for end, key in ((end_a, a_to_b), (end_b, b_to_a)):
        for counter in range(2):
            number = counter.to_bytes(8, "big")
            body = AESGCM(key).encrypt(bytes(4) + number, b"text", b"bound to" + number)
            assert end.seal(b"bound to", b"text") == identifier + number + body


def test_keys_are_fresh_each_time() -> None:
    channels = [Pair().run()[0] for _ in range(3)]
    assert len({channel.identifier for channel in channels}) == 3
    assert len({channel.seal(b"", b"text")[24:] for channel in channels}) == 3


# --- Who knows when that the channel stands ---


def test_the_answerer_waits_until_the_opener_has_used_it() -> None:
    end_a, end_b = Pair().run()
    assert (end_a.proven, end_b.proven) == (True, False)
    refused("channel_link", end_b.open, b"x", end_a.identifier + bytes(40))
    assert not end_b.proven
    end_b.open(b"x", end_a.seal(b"x", b""))
    assert end_b.proven


def test_a_channel_ends_with_the_peers_certificate_and_after_three_hours_at_most() -> None:
    end_a, end_b = Pair("a", "b").run()
    assert end_a.expires == end_b.expires == NOW + 3 * HOUR
    late = Pair("a", "b", now=NOW + HOUR)  # its documents' leaves were made an hour ago
    assert [end.expires for end in late.run()] == [NOW + 3 * HOUR] * 2
    with_token = Pair("a", "c", now=NOW + HOUR).run()  # a token's certificate lives for years
    assert [end.expires for end in with_token] == [NOW + HOUR + 3 * HOUR, NOW + 3 * HOUR]


# --- Replays, swaps, reflections ---


def test_a_replayed_m1_leads_nowhere() -> None:
    """b answers it, but no a holds the secret that goes with it."""
    pair = Pair()
    _, old = pair.open()
    opened, _ = pair.open()
    _, m2 = pair.answer(old)
    refused("evidence_nonce", pair.prove, opened, m2)


def test_a_replayed_m2_m3_or_m4_is_noticed() -> None:
    pair = Pair()
    kept: dict[str, bytes] = {}

    def keep(name: str) -> Callable[[bytes], bytes]:
        return lambda message: kept.setdefault(name, message)

    pair.run(m2=keep("m2"), m3=keep("m3"), m4=keep("m4"))
    refused("evidence_nonce", pair.run, m2=lambda _: kept["m2"])
    refused("evidence_nonce", pair.run, m3=lambda _: kept["m3"])
    refused("channel_handshake", pair.run, m4=lambda _: kept["m4"])


def test_messages_of_other_pairs_do_not_fit() -> None:
    ab, ac = Pair("a", "b"), Pair("a", "c")
    opened_ab, m1_ab = ab.open()
    opened_ac, m1_ac = ac.open()
    refused("channel_handshake", ac.answer, m1_ab)
    answered_b, m2_b = ab.answer(m1_ab)
    answered_c, m2_c = ac.answer(m1_ac)
    refused("channel_handshake", ab.prove, opened_ab, m2_c)
    proven_b, m3_b = ab.prove(opened_ab, m2_b)
    proven_c, m3_c = ac.prove(opened_ac, m2_c)
    refused("evidence_nonce", ab.accept, answered_b, m3_c)
    _, m4_b = ab.accept(answered_b, m3_b)
    _, m4_c = ac.accept(answered_c, m3_c)
    refused("channel_handshake", ab.finish, proven_b, m4_c)
    refused("channel_handshake", ac.finish, proven_c, m4_b)


def test_messages_come_back_to_their_sender_in_vain() -> None:
    pair, back = Pair("a", "b"), Pair("b", "a")
    opened, m1 = pair.open()
    refused("channel_handshake", back.answer, m1)  # a is asked to answer its own M1
    answered, m2 = pair.answer(m1)
    refused("channel_handshake", pair.prove, opened, changed(m2, core=m1))
    proven, m3 = pair.prove(opened, m2)
    # b's own evidence comes back to it, with a's confirmation: the role in the user data tells them apart.
    reflected = changed(m3, evidence=field(m2, "evidence"))
    refused("evidence_nonce", pair.accept, answered, reflected)
    _, m4 = pair.accept(answered, m3)
    refused("channel_handshake", pair.finish, proven, changed(m4, confirm=field(m3, "confirm")))


def test_the_roles_are_told_apart_by_the_user_data_alone() -> None:
    """Evidence of the right member, for the right nonce and transcript, but in the other role."""
    pair = Pair()
    opened, m1 = pair.open()
    answered, m2 = pair.answer(m1)
    transcript = answered.keys.transcript

    def user_data(role: int) -> bytes:
        return hashlib.sha256(b"strongroom/channel-evidence/v1" + bytes((role,)) + transcript).digest()

    wrong = attest("b")(field(m1, "nonce"), user_data(0))
    refused("evidence_binding", pair.prove, opened, changed(m2, evidence=wrong))
    _, m3 = pair.prove(opened, m2)
    wrong = attest("a")(field(field(m2, "core"), "nonce"), user_data(1))
    refused("evidence_binding", pair.accept, answered, changed(m3, evidence=wrong))


def test_nobody_has_a_channel_to_itself() -> None:
    refused("channel_handshake", setting, "a", "a")
    refused("not_in_roster", setting, "a", "z")


@pytest.mark.parametrize("own", [{"ephemeral"}, {"boot"}])
def test_a_peer_with_ones_own_key_or_boot_is_refused(own: set[str]) -> None:
    pair = Pair()
    opened, m1 = pair.open()
    fields = {name: field(m1, name) for name in own}
    _, m2 = pair.answer(m1)
    assert "one's own" in refused("channel_handshake", pair.prove, opened, with_core(m2, **fields)).reason
    if own == {"boot"}:
        assert "one's own" in refused("channel_handshake", pair.answer, changed(m1, boot=b"b" * 16)).reason


# --- Fields ---


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"mode": "production"}, "channel_handshake"),
        ({"suite": "x25519-sha256-chacha20"}, "channel_handshake"),
        ({"order": bytes(32)}, "channel_handshake"),
        ({"epoch": 0}, "channel_handshake"),
        ({"epoch": 2}, "channel_handshake"),
        ({"from": "c"}, "channel_handshake"),
        ({"to": "c"}, "channel_handshake"),
        ({"to": "a", "from": "b"}, "channel_handshake"),
        ({"v": 2}, "malformed_message"),
        ({"more": 1}, "malformed_message"),
        ({"nonce": bytes(31)}, "malformed_message"),
        ({"ephemeral": bytes(33)}, "malformed_message"),
        ({"boot": bytes(15)}, "malformed_message"),
    ],
    ids=range(13),
)
def test_a_core_that_says_something_else_is_refused(changes: dict[str, Any], code: str) -> None:
    swapped = {{"from": "to", "to": "from"}.get(name, name): value for name, value in changes.items()}
    refused(code, Pair().run, m1=lambda m1: changed(m1, **changes))
    refused(code, Pair().run, m2=lambda m2: with_core(m2, **(changes if "c" in changes.values() else swapped)))


@pytest.mark.parametrize("name", ["m1", "m2", "m3", "m4"])
def test_a_message_has_no_other_fields(name: str) -> None:
    refused("malformed_message", Pair().run, **{name: lambda message: changed(message, more=1)})


def test_orders_epochs_and_modes_are_each_ends_own() -> None:
    """Two ends that were told different things do not meet, whoever is right."""
    other = order(roster=roster_order().roster, nonce=b"\1" * 32)
    pair = Pair()
    for own in ({"epoch": 2}, {"order_id": order_id(other.encode())}, {"boot": b"b" * 16}):
        _, m1 = pair.open(**own)
        refused("channel_handshake", pair.answer, m1)
    aws = tuple(member(name, trust=AWS_NITRO_ROOT) for name in "abc")
    _, m1 = pair.open(order=order(mode="production", roster=aws))
    refused("channel_handshake", pair.answer, m1)


P = 2**255 - 19
LOW = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
SMALL_ORDER = [(y | top << 255).to_bytes(32, "little") for y in (0, 1, P - 1, P, P + 1, *LOW) for top in (0, 1)]


@pytest.mark.parametrize("ephemeral", SMALL_ORDER, ids=range(14))
def test_an_ephemeral_of_small_order_is_refused(ephemeral: bytes) -> None:
    """The result would be zero and known to the host (RFC 7748, section 6.1)."""
    pair = Pair()
    opened, m1 = pair.open()
    assert "small order" in refused("channel_handshake", pair.answer, changed(m1, ephemeral=ephemeral)).reason
    _, m2 = pair.answer(m1)
    assert "small order" in refused("channel_handshake", pair.prove, opened, with_core(m2, ephemeral=ephemeral)).reason


def test_another_ephemeral_is_noticed_by_the_evidence() -> None:
    """A host in the middle, with keys of its own towards both."""
    host = X25519PrivateKey.generate().public_key().public_bytes_raw()
    refused("evidence_binding", Pair().run, m1=lambda m1: changed(m1, ephemeral=host))
    refused("evidence_binding", Pair().run, m2=lambda m2: with_core(m2, ephemeral=host))
    X25519PublicKey.from_public_bytes(host)


# --- Evidence ---


def crafted(
    name: str,
    own: Authorities,
    *,
    debug: bool = False,
    life: int = 3 * HOUR,
    made: int = NOW,
    instance_of: str | None = None,
) -> Attest:
    """Evidence of an enclave that may lack something."""
    registers = boot_registers(name) | {4: boot_registers(instance_of or name)[4]}
    registers |= dict.fromkeys((0, 1, 2), bytes(48)) if debug else {}
    nsm = Nsm(own.nitro, "i-x", registers, lambda: float(made), leaf_life=life)
    nsm.answer(cbor.encode({"ExtendPCR": {"index": 16, "data": configuration(name).digest()}}))
    nsm.answer(cbor.encode({"LockPCR": {"index": 16}}))

    def document(nonce: bytes, user_data: bytes) -> bytes:
        arguments: dict[str, cbor.Value] = {"nonce": nonce, "user_data": user_data, "public_key": boot_key(name)}
        answer: Any = cbor.decode_foreign(nsm.answer(cbor.encode({"Attestation": arguments})))
        document: bytes = answer["Attestation"]["document"]
        return document

    return document


def other_configuration(name: str) -> Attest:
    own = attester(name, dataclasses.replace(configuration(name), name="other"))
    return lambda nonce, user_data: own.attest(nonce=nonce, user_data=user_data, public_key=boot_key(name))


def with_key(name: str, key: bytes) -> Attest:
    return lambda nonce, user_data: attester(name).attest(nonce=nonce, user_data=user_data, public_key=key)


EVIDENCE: list[tuple[str, Callable[[str], Attest], str]] = [
    ("another member's", lambda name: attest("b" if name == "a" else "a"), "evidence_measurement"),
    ("a token's", lambda name: attest("c"), "evidence_malformed"),
    ("another configuration", other_configuration, "evidence_measurement"),
    ("another root", lambda name: crafted(name, Authorities(nitro=pki.root("x"))), "evidence_root"),
    ("a debug enclave", lambda name: crafted(name, authorities(), debug=True), "evidence_debug"),
    ("expired", lambda name: crafted(name, authorities(), made=NOW - 4 * HOUR), "evidence_expired"),
    ("from the future", lambda name: crafted(name, authorities(), made=NOW + HOUR), "evidence_expired"),
    ("another nonce", lambda name: lambda nonce, data: attest(name)(bytes(32), data), "evidence_nonce"),
    ("another user data", lambda name: lambda nonce, data: attest(name)(nonce, bytes(32)), "evidence_binding"),
    ("no boot key", lambda name: with_key(name, b""), "evidence_binding"),
    ("a long boot key", lambda name: with_key(name, bytes(33)), "evidence_binding"),
    ("nothing", lambda name: lambda nonce, data: b"", "evidence_malformed"),
]


@pytest.mark.parametrize(("make", "code"), [row[1:] for row in EVIDENCE], ids=[row[0] for row in EVIDENCE])
def test_evidence_must_be_the_peers_fresh_and_bound(make: Callable[[str], Attest], code: str) -> None:
    refused(code, Pair(attest_b=make("b")).run)
    refused(code, Pair(attest_a=make("a")).run)


def test_evidence_is_bounded() -> None:
    long = bytes((1 << 15) + 1)
    refused("malformed_message", Pair().run, m2=lambda message: changed(message, evidence=long))
    refused("malformed_message", Pair().run, m3=lambda message: changed(message, evidence=long))


def test_two_enclaves_on_one_instance_do_not_speak() -> None:
    """No roster pins instances, since a lost one is replaced; whoever gets at one must not reach two shares. Either
    side notices, whatever the other minds."""
    beside_a = Pair(attest_b=crafted("b", authorities(), instance_of="a"))
    refused("evidence_measurement", beside_a.run)
    opened, m1 = beside_a.open(apart=False)
    answered, m2 = beside_a.answer(m1)
    _, m3 = beside_a.prove(opened, m2)
    refused("evidence_measurement", beside_a.accept, answered, m3)
    # A next release is started beside the one that hands over to it.
    answered, m2 = beside_a.answer(m1, apart=False)
    _, m3 = beside_a.prove(opened, m2)
    beside_a.accept(answered, m3)


def test_the_crafted_enclave_is_honest_but_for_its_fault() -> None:
    Pair(attest_b=crafted("b", authorities()), attest_a=crafted("a", authorities())).run()


@dataclass(frozen=True)
class Posing:
    """A token's signer that claims another one's configuration: no program does, a liar's may."""

    name: str
    mode: str = "simulated"

    def digest(self) -> bytes:
        return configuration("c", "pkcs11").digest()


def test_a_token_of_the_same_operator_and_configuration_is_still_another_signer() -> None:
    """Two tokens under one authority: the name in the certificate is what tells them apart."""
    same = {"configuration": configuration("c", "pkcs11").digest()}
    trust = authorities().operator.fingerprint
    made = order(roster=tuple(member(name, "pkcs11", trust=trust, measurements=same) for name in "cd"))

    def ask(name: str) -> Attest:
        token = TokenAttester(authorities(), cast(Configuration, Posing(name)), Clock())
        return lambda nonce, data: token.attest(nonce=nonce, user_data=data, public_key=bytes(32))

    own = {"order": made, "order_id": order_id(made.encode())}
    opened, m1 = handshake.open_handshake(setting("c", "d", **own), os.urandom)
    _, m2 = handshake.answer(setting("d", "c", **own), m1, os.urandom, ask("d"))
    handshake.prove(opened, m2, ask("c"), NOW)
    _, m2 = handshake.answer(setting("d", "c", **own), m1, os.urandom, ask("c"))
    refused("evidence_binding", handshake.prove, opened, m2, ask("c"), NOW)


def test_evidence_is_judged_at_the_time_of_the_one_who_judges() -> None:
    Pair("a", "b", now=NOW + 3 * HOUR).run()
    refused("evidence_expired", Pair("a", "b", now=NOW + 3 * HOUR + 1).run)


# --- Confirmation ---


def test_a_wrong_confirmation_is_refused() -> None:
    def flip(message: bytes) -> bytes:
        return changed(message, confirm=bytes((field(message, "confirm")[0] ^ 1,)) + field(message, "confirm")[1:])

    refused("channel_handshake", Pair().run, m3=flip)
    refused("channel_handshake", Pair().run, m4=flip)
    refused("channel_handshake", Pair().run, m3=lambda m: changed(m, confirm=bytes(32)))
    refused("channel_handshake", Pair().run, m4=lambda m: changed(m, confirm=bytes(32)))
    refused("malformed_message", Pair().run, m3=lambda m: changed(m, confirm=b""))
    refused("malformed_message", Pair().run, m4=lambda m: changed(m, confirm=b""))


def test_the_confirmation_covers_both_documents() -> None:
    """Two genuine documents of one signer for one question are not interchangeable."""
    pair = Pair()
    opened, m1 = pair.open()
    answered, m2 = pair.answer(m1)
    user_data = hashlib.sha256(b"strongroom/channel-evidence/v1\1" + answered.keys.transcript).digest()
    again = attest("b")(field(m1, "nonce"), user_data)
    _, m3 = pair.prove(opened, changed(m2, evidence=again))
    refused("channel_handshake", pair.accept, answered, m3)
    _, m3 = pair.prove(opened, m2)
    user_data = hashlib.sha256(b"strongroom/channel-evidence/v1\0" + answered.keys.transcript).digest()
    again = attest("a")(field(field(m2, "core"), "nonce"), user_data)
    refused("channel_handshake", pair.accept, answered, changed(m3, evidence=again))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 4), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(number: int, place: float, difference: int) -> None:
    """Whatever byte of whichever message the host changes, one of the two refuses before both have a channel."""

    def change(message: bytes) -> bytes:
        body = bytearray(message)
        body[int(place * len(body))] ^= difference
        return bytes(body)

    with pytest.raises(Refusal) as caught:
        Pair().run(**{f"m{number}": change})
    assert caught.value.kind in ("malformed", "refused", "fault")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.binary(max_size=50))
def test_rubbish_is_a_refusal(number: int, rubbish: bytes) -> None:
    with pytest.raises(Refusal):
        Pair().run(**{f"m{number}": lambda _: rubbish})
