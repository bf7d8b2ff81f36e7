"""Bytes from the wire: whatever they are, the answer is a result or a `NativeError`, never a panic."""

import hashlib
import os
from collections.abc import Callable

import pytest
import strongroom_native as native
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.native.conftest import ECDSA, ED25519, MUSIG2, TAPROOT, Keys, reloaded
from tests.native.driver import Relay, run_contributions, run_dkg, run_pair

DIGEST = hashlib.sha256(b"messages").digest()
HEADER = 16
Ceremonies = dict[int, native.Ceremony]


def signing(keys: Keys, suite: str, session: bytes = bytes(32)) -> Ceremonies:
    threshold = 3 if suite == MUSIG2 else 2
    shares = keys(suite, threshold, 3)[:threshold]
    signers = [share.index for share in shares]
    return {share.index: native.sign(share, session, signers, DIGEST) for share in shares}


def dealing(suite: str, session: bytes = bytes(32), parties: int = 2) -> Ceremonies:
    return {i: native.dkg(suite, session, i, parties, parties) for i in range(1, parties + 1)}


def started(ceremonies: Ceremonies) -> Relay:
    relay = Relay(ceremonies)
    relay.start()
    return relay


def refusal(ceremony: native.Ceremony, messages: list[tuple[int, bool, bytes]]) -> native.NativeError:
    with pytest.raises(native.NativeError) as caught:
        ceremony.receive(messages)
    with pytest.raises(native.NativeError) as after:
        ceremony.receive(messages)
    assert after.value.code == "misuse"
    with pytest.raises(native.NativeError) as result:
        ceremony.result()
    assert result.value.code == "misuse"
    return caught.value


Messages = list[tuple[int, bool, bytes]]

SETS: list[tuple[str, Callable[[Messages], Messages], str]] = [
    ("nothing", lambda m: [], "missing_message"),
    ("one too few", lambda m: m[1:], "missing_message"),
    ("one twice", lambda m: [*m, m[0]], "duplicate_message"),
    ("from oneself", lambda m: [(1, *m[0][1:]), *m[1:]], "unexpected_sender"),
    ("from nobody", lambda m: [(0, *m[0][1:]), *m[1:]], "unexpected_sender"),
    ("from a stranger", lambda m: [*m, (9, *m[0][1:])], "unexpected_sender"),
    ("from a huge number", lambda m: [*m, (2**80, *m[0][1:])], "unexpected_sender"),
    ("of the other kind", lambda m: [(m[0][0], not m[0][1], m[0][2]), *m[1:]], "unexpected_message"),
    ("swapped senders", lambda m: [(m[1][0], *m[0][1:]), (m[0][0], *m[1][1:])], "foreign_message"),
    ("empty", lambda m: [(*m[0][:2], b""), *m[1:]], "malformed_message"),
    ("half a header", lambda m: [(*m[0][:2], m[0][2][:15]), *m[1:]], "malformed_message"),
    ("a header alone", lambda m: [(*m[0][:2], m[0][2][:16]), *m[1:]], "malformed_message"),
    ("cut", lambda m: [(*m[0][:2], m[0][2][:-1]), *m[1:]], "malformed_message"),
    ("trailing", lambda m: [(*m[0][:2], m[0][2] + b"\0"), *m[1:]], "malformed_message"),
    ("too large", lambda m: [(*m[0][:2], m[0][2] + bytes(1 << 20)), *m[1:]], "oversized_message"),
]


@pytest.mark.parametrize("suite", [ECDSA, ED25519, TAPROOT, MUSIG2])
@pytest.mark.parametrize(("name", "change", "code"), SETS, ids=[name for name, _, _ in SETS])
def test_the_set_of_messages_must_be_exact(
    suite: str, name: str, change: Callable[[Messages], Messages], code: str
) -> None:
    relay = started(dealing(suite, parties=3))
    error = refusal(relay.ceremonies[1], change(relay.inboxes[1]))
    assert error.code == code
    assert error.culprits == ((2,) if code in ("malformed_message", "oversized_message") else ())
    assert error.verdict == {
        "malformed_message": "accusation",
        "oversized_message": "accusation",
        "foreign_message": "unattributed",
    }.get(code)


def test_order_does_not_matter() -> None:
    relay = started(dealing(ED25519, parties=3))
    for party in relay.inboxes:
        relay.inboxes[party].reverse()
    while not relay.done:
        relay.turn()
    assert isinstance(relay.ceremonies[1].result(), native.KeyShare)


@pytest.mark.parametrize("suite", [ECDSA, ED25519, TAPROOT, MUSIG2])
def test_replays_are_foreign(keys: Keys, suite: str) -> None:
    """Of another session, of an earlier round, to another party: noticed before the protocol takes it for a cheat."""
    relay, other = started(signing(keys, suite)), started(signing(keys, suite, b"\1" * 32))
    assert refusal(relay.ceremonies[1], other.inboxes[1]).code == "foreign_message"

    relay = started(dealing(suite))
    first = dict(relay.inboxes)
    relay.turn()
    assert [len(inbox) for inbox in first.values()] == [1, 1]
    error = refusal(relay.ceremonies[1], [(2, broadcast, first[1][0][2]) for _, broadcast, _ in relay.inboxes[1]])
    assert error.code == "foreign_message"


def pairing(keys: Keys) -> Ceremonies:
    one, two = reloaded(*keys(ECDSA, 2, 2))
    return {1: native.pair(one, bytes(32), 2), 2: native.pair(two, bytes(32), 1)}


def making(keys: Keys, suite: str, kind: str) -> Ceremonies:
    if kind == "pair":
        return pairing(keys)
    return dealing(suite) if kind == "dkg" else signing(keys, suite)


@pytest.mark.parametrize(
    ("suite", "kind", "rounds"), [(row["suite"], *kind) for row in native.suites() for kind in row["rounds"].items()]
)
@pytest.mark.parametrize("change", ["one byte more", "one byte less"])
def test_every_message_has_its_exact_length(keys: Keys, suite: str, kind: str, rounds: int, change: str) -> None:
    """postcard and the FROST crates ignore trailing bytes by themselves."""
    for at in range(1, rounds + 1):
        for broadcast in (True, False):
            relay = started(making(keys, suite, kind))
            for _ in range(at - 1):
                relay.turn()
            inbox = relay.inboxes[1]
            places = [i for i, message in enumerate(inbox) if message[:2] == (2, broadcast)]
            for i in places:
                payload = inbox[i][2]
                inbox[i] = (2, broadcast, payload + b"\0" if change == "one byte more" else payload[:-1])
                error = refusal(relay.ceremonies[1], inbox)
                assert (error.code, error.culprits) == ("malformed_message", (2,))


def test_ecdsa_messages_name_the_sender_that_the_channel_does(keys: Keys) -> None:
    """Party 2 speaks for party 3: the two numbers stand first in the body."""
    one, two, three = keys(ECDSA, 3, 5)[:3]
    signers = {s.index: native.sign(s, bytes(32), [1, 2, 3], DIGEST) for s in (one, two, three)}
    relay = started(signers)
    inbox = {sender: payload for sender, _, payload in relay.inboxes[1]}
    assert inbox[2][HEADER : HEADER + 2] == b"\2\1"
    forged = inbox[2][:HEADER] + b"\3\1" + inbox[2][HEADER + 2 :]
    error = refusal(relay.ceremonies[1], [(2, False, forged), (3, False, inbox[3])])
    assert (error.code, error.culprits) == ("malformed_message", (2,))


@pytest.mark.parametrize(
    ("suite", "identity"), [(ED25519, b"\1" + bytes(31)), (TAPROOT, bytes(33)), (MUSIG2, bytes(33))]
)
def test_identity_commitments_are_refused(keys: Keys, suite: str, identity: bytes) -> None:
    relay = started(signing(keys, suite))
    sender, broadcast, payload = relay.inboxes[1][0]
    relay.inboxes[1][0] = (sender, broadcast, payload[: -2 * len(identity)] + identity * 2)
    error = refusal(relay.ceremonies[1], relay.inboxes[1])
    assert (error.code, error.culprits) == ("malformed_message", (2,))


@pytest.mark.parametrize("suite", [ED25519, TAPROOT, MUSIG2])
def test_signers_of_different_messages_do_not_meet(keys: Keys, suite: str) -> None:
    threshold = 3 if suite == MUSIG2 else 2
    shares = keys(suite, threshold, 3)[:threshold]
    signers = [share.index for share in shares]
    relay = started({s.index: native.sign(s, bytes(32), signers, bytes([s.index]) * 32) for s in shares})
    assert refusal(relay.ceremonies[1], relay.inboxes[1]).code == "foreign_message"


@pytest.mark.parametrize("suite", [ECDSA, ED25519, MUSIG2])
def test_calls_out_of_order_are_misuse(keys: Keys, suite: str) -> None:
    ceremonies = signing(keys, suite)
    one = ceremonies[1]
    for call in (lambda: one.receive([]), one.result):
        with pytest.raises(native.NativeError) as caught:
            call()
        assert caught.value.code == "misuse"
    assert one.round == 0
    relay = started(ceremonies)
    assert one.round == 1
    for call in (one.start, one.result):
        with pytest.raises(native.NativeError) as caught:
            call()
        assert caught.value.code == "misuse"
    while not relay.done:  # misuse of an idle handle did not end the ceremony
        relay.turn()
    assert isinstance(one.result(), bytes)
    with pytest.raises(native.NativeError) as caught:
        one.result()
    assert caught.value.code == "misuse"


# Mutations of valid messages

EXPECTED = {
    "malformed_message", "oversized_message", "foreign_message", "aborted", "bad_proof", "bad_share", "ot_check_failed",
}  # fmt: skip


def mutate(data: st.DataObject, payload: bytes) -> bytes:
    """Mostly in the body: a changed header is caught at the door."""
    body = bytearray(payload)
    first = data.draw(st.sampled_from([0, HEADER, HEADER, HEADER]))
    place = data.draw(st.integers(first, max(first, len(body) - 1)) | st.integers(first, first + 80))
    place = min(place, len(body) - 1)
    match data.draw(st.sampled_from(["flip", "set", "cut", "append", "drop", "zeros", "ones", "swap"])):
        case "flip":
            body[place] ^= 1 << data.draw(st.integers(0, 7))
        case "set":
            body[place] = data.draw(st.integers(0, 255))
        case "cut":
            del body[place:]
        case "append":
            body += data.draw(st.binary(min_size=1, max_size=40))
        case "drop":
            del body[place]
        case "zeros":
            body[place : place + 33] = bytes(len(body[place : place + 33]))
        case "ones":
            body[place : place + 33] = b"\xff" * len(body[place : place + 33])
        case "swap":
            body[HEADER:] = data.draw(st.binary(max_size=200))
    return bytes(body)


def run_mutated(data: st.DataObject, ceremonies: Ceremonies, rounds: int) -> None:
    """Party 2 sends one changed message, somewhere; everybody ends with a result or a named fault."""
    at = data.draw(st.integers(1, rounds))

    def tamper(round_: int, sender: int, recipient: int, payload: bytes) -> bytes:
        return mutate(data, payload) if (round_, sender) == (at, 2) else payload

    try:
        Relay(ceremonies, tamper).run()
    except native.NativeError as error:
        assert error.code in EXPECTED, error.code
        assert set(error.culprits) <= {2}
        assert bool(error.culprits) == (error.verdict in ("proof", "accusation"))


QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(QUICK, max_examples=120)
@given(data=st.data())
def test_mutated_ecdsa_signings(own_pair: list[native.KeyShare], data: st.DataObject) -> None:
    if not all(share.paired() for share in own_pair):  # the last mutation was a ban
        run_pair(own_pair[0], own_pair[1])
    session = os.urandom(32)
    run_mutated(data, {s.index: native.sign(s, session, [1, 2], DIGEST) for s in own_pair}, 2)


@pytest.fixture
def own_pair(keys: Keys) -> list[native.KeyShare]:
    return reloaded(*keys(ECDSA, 2, 2))


@settings(QUICK, max_examples=150)
@given(data=st.data(), suite=st.sampled_from([ED25519, TAPROOT, MUSIG2]))
def test_mutated_schnorr_signings(keys: Keys, data: st.DataObject, suite: str) -> None:
    run_mutated(data, signing(keys, suite), 1)


@settings(QUICK, max_examples=150)
@given(data=st.data(), suite=st.sampled_from([ED25519, TAPROOT, MUSIG2]))
def test_mutated_schnorr_dkgs(data: st.DataObject, suite: str) -> None:
    run_mutated(data, dealing(suite, parties=3), 2)


@settings(QUICK, max_examples=6)
@given(data=st.data())
def test_mutated_ecdsa_dkgs(data: st.DataObject) -> None:
    run_mutated(data, dealing(ECDSA), 3)


@settings(QUICK, max_examples=8)
@given(data=st.data())
def test_mutated_pairings(keys: Keys, data: st.DataObject) -> None:
    one, two = reloaded(*keys(ECDSA, 2, 2))
    session = os.urandom(32)
    run_mutated(data, {1: native.pair(one, session, 2), 2: native.pair(two, session, 1)}, 2)


@settings(QUICK, max_examples=200)
@given(data=st.data(), suite=st.sampled_from([ECDSA, ED25519, TAPROOT, MUSIG2]))
def test_mutated_contributions(keys: Keys, data: st.DataObject, suite: str) -> None:
    """`combine` gives a signature that verifies, or a fault; honest signers are never named."""
    threshold = 3 if suite == MUSIG2 else 2
    shares = keys(suite, threshold, 3)[:threshold]
    parts = _contributions(suite, shares)
    changed = [(i, mutate(data, part) if i == 2 else part) for i, part in parts]
    package = shares[0].public_package()
    try:
        signature = native.combine(suite, package, bytes(32), DIGEST, changed)
        assert native.verify(suite, shares[0].public_key, DIGEST, signature)
    except native.NativeError as error:
        assert error.code in EXPECTED
        assert set(error.culprits) <= {2}


_parts: dict[str, list[tuple[int, bytes]]] = {}


def _contributions(suite: str, shares: list[native.KeyShare]) -> list[tuple[int, bytes]]:
    if suite not in _parts:
        _parts[suite] = run_contributions(shares, bytes(32), DIGEST)
    return _parts[suite]


@settings(QUICK, max_examples=100)
@given(package=st.binary(max_size=300), part=st.binary(max_size=300))
def test_random_packages_and_contributions(package: bytes, part: bytes) -> None:
    for suite in (ECDSA, ED25519, TAPROOT, MUSIG2):
        with pytest.raises(native.NativeError):
            native.combine(suite, package, bytes(32), DIGEST, [(1, part), (2, part)])


def test_a_fresh_key_after_all_that() -> None:
    """Nothing above left the process in a state that matters."""
    run_dkg(ED25519, 2, 2)[0].check()
