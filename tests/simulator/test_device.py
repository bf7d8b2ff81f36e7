"""The simulated NSM answers as the real one: registers, locks, limits, documents, errors by name."""

from __future__ import annotations

import hashlib
from typing import Any

import cbor2
import pytest

from strongroom.evidence import nitro
from strongroom.evidence.statement import TrustRoot
from strongroom_simulator import pki
from strongroom_simulator.device import LEAF_LIFE, Nsm
from strongroom_simulator.pki import Identity
from tests.simulator.bench import NOW
from tests.simulator.running import REGISTERS


class Time:
    now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def root() -> Identity:
    return pki.root("simulated.nitro-enclaves")


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def nsm(root: Identity, clock: Time) -> Nsm:
    return Nsm(root, "i-alice", REGISTERS, clock)


def ask(nsm: Nsm, request: object) -> Any:
    return cbor2.loads(nsm.answer(cbor2.dumps(request)))


def document(nsm: Nsm, **arguments: bytes | None) -> bytes:
    answer = ask(nsm, {"Attestation": {"user_data": None, "nonce": None, "public_key": None, **arguments}})
    found: bytes = answer["Attestation"]["document"]
    return found


def test_it_describes_itself(nsm: Nsm) -> None:
    described = ask(nsm, "DescribeNSM")["DescribeNSM"]
    assert described["module_id"].startswith("i-alice-enc")
    assert (described["max_pcrs"], described["digest"]) == (32, "SHA384")
    assert described["locked_pcrs"] == list(range(16))


def test_registers_at_boot(nsm: Nsm) -> None:
    for index in range(32):
        register = ask(nsm, {"DescribePCR": {"index": index}})["DescribePCR"]
        assert register == {"lock": index < 16, "data": REGISTERS.get(index, bytes(48))}


def test_a_register_is_extended_and_then_locked(nsm: Nsm) -> None:
    once = hashlib.sha384(bytes(48) + b"one").digest()
    twice = hashlib.sha384(once + b"two").digest()
    assert ask(nsm, {"ExtendPCR": {"index": 16, "data": b"one"}}) == {"ExtendPCR": {"data": once}}
    assert ask(nsm, {"ExtendPCR": {"index": 16, "data": b"two"}}) == {"ExtendPCR": {"data": twice}}
    assert ask(nsm, {"LockPCR": {"index": 16}}) == "LockPCR"
    assert ask(nsm, {"ExtendPCR": {"index": 16, "data": b"three"}}) == {"Error": "ReadOnlyIndex"}
    assert ask(nsm, {"LockPCR": {"index": 16}}) == {"Error": "ReadOnlyIndex"}
    assert ask(nsm, {"DescribePCR": {"index": 16}})["DescribePCR"]["data"] == twice


def test_registers_are_locked_up_to_an_end(nsm: Nsm) -> None:
    assert ask(nsm, {"LockPCRs": {"range": 20}}) == "LockPCRs"
    assert ask(nsm, "DescribeNSM")["DescribeNSM"]["locked_pcrs"] == list(range(20))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"DescribePCR": {"index": 32}}, "InvalidIndex"),
        ({"DescribePCR": {"index": -1}}, "InvalidIndex"),
        ({"DescribePCR": {"index": "0"}}, "InvalidArgument"),
        ({"DescribePCR": {}}, "InvalidArgument"),
        ({"DescribePCR": None}, "InvalidArgument"),
        ({"ExtendPCR": {"index": 0, "data": b"x"}}, "ReadOnlyIndex"),
        ({"ExtendPCR": {"index": 32, "data": b"x"}}, "InvalidIndex"),
        ({"ExtendPCR": {"index": 16, "data": "x"}}, "InvalidArgument"),
        ({"LockPCR": {"index": 0}}, "ReadOnlyIndex"),
        ({"LockPCRs": {"range": 33}}, "InvalidIndex"),
        ({"Attestation": {"user_data": bytes(513)}}, "InputTooLarge"),
        ({"Attestation": {"nonce": bytes(513)}}, "InputTooLarge"),
        ({"Attestation": {"public_key": bytes(1025)}}, "InputTooLarge"),
        ({"Attestation": {"nonce": "text"}}, "InvalidArgument"),
        ({"ExtendPCR": {"index": 16, "data": bytes(0x1000)}}, "InputTooLarge"),
        ("Reboot", "InvalidOperation"),
        ({"Reboot": {}}, "InvalidOperation"),
        ({"LockPCR": {"index": 16}, "LockPCRs": {"range": 1}}, "InvalidOperation"),
        (7, "InvalidOperation"),
    ],
)
def test_errors_are_the_devices_own(nsm: Nsm, request_: object, error: str) -> None:
    assert ask(nsm, request_) == {"Error": error}


def test_noise_is_an_error_too(nsm: Nsm) -> None:
    assert cbor2.loads(nsm.answer(b"\xff\x00")) == {"Error": "InvalidArgument"}


def test_random_bytes_differ(nsm: Nsm) -> None:
    first, second = (ask(nsm, "GetRandom")["GetRandom"]["random"] for _ in range(2))
    assert len(first) == len(second) == 256 and first != second


def test_a_document_lists_the_locked_registers(nsm: Nsm, root: Identity) -> None:
    trust = TrustRoot("nitro", "simulated", root.fingerprint)
    before = nitro.verify(document(nsm, nonce=b"n"), root=trust, at=NOW)
    assert len(before.measurements) == 16 and before.nonce == b"n"
    ask(nsm, {"ExtendPCR": {"index": 16, "data": b"one"}})
    ask(nsm, {"LockPCR": {"index": 16}})
    after = nitro.verify(document(nsm), root=trust, at=NOW)
    assert after.measurements["pcr16"] == hashlib.sha384(bytes(48) + b"one").digest()


def test_the_leaf_is_renewed_before_it_ends_and_not_sooner(nsm: Nsm, root: Identity, clock: Time) -> None:
    trust = TrustRoot("nitro", "simulated", root.fingerprint)

    def expires() -> int:
        return nitro.verify(document(nsm), root=trust, at=int(clock.now)).expires

    assert expires() == NOW + LEAF_LIFE
    clock.now += LEAF_LIFE * 0.8
    assert expires() == NOW + LEAF_LIFE
    clock.now += LEAF_LIFE * 0.1
    assert expires() == int(clock.now) + LEAF_LIFE
    # Five hours on, and a clock that is set back.
    for jump in (5 * 3600, -40 * 3600):
        clock.now += jump
        assert expires() == int(clock.now) + LEAF_LIFE


def test_real_documents_and_ours_have_one_shape(nsm: Nsm) -> None:
    payload = cbor2.loads(cbor2.loads(document(nsm))[2])
    order = "module_id digest timestamp pcrs certificate cabundle public_key user_data nonce"
    assert list(payload) == order.split()
    assert list(payload["pcrs"]) == list(range(16))
    assert [len(payload["cabundle"]), payload["public_key"]] == [4, None]
