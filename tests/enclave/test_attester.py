"""A document of this enclave answers one question, and a verifier reads the answer out of it."""

from __future__ import annotations

import time

import pytest

from strongroom.errors import Refusal
from strongroom.evidence.statement import require_binding, require_measurements
from strongroom.evidence.verify import verify
from strongroom.signer.seams import Attester
from strongroom_enclave.attester import NitroAttester
from strongroom_enclave.nsm import Nsm
from tests.simulator.running import REGISTERS, Laptop


def test_a_document_is_bound_measured_and_carries_the_key(laptop: Laptop, nsm: Nsm) -> None:
    attester: Attester = NitroAttester(nsm)
    assert attester.root == "nitro"
    document = attester.attest(nonce=b"n" * 32, user_data=b"u" * 64, public_key=b"p" * 32)
    statement = verify(document, kind="nitro", roots=[laptop.nitro_root], at=int(time.time()))
    require_binding(statement, nonce=b"n" * 32, user_data=b"u" * 64)
    require_measurements(statement, {f"pcr{index}": value for index, value in REGISTERS.items()})
    assert statement.public_key == b"p" * 32


def test_configuration_is_measured_once_locked(laptop: Laptop, nsm: Nsm) -> None:
    attester = NitroAttester(nsm)
    value = nsm.extend_pcr(16, b"the digest of a configuration")

    def measured() -> bytes | None:
        document = attester.attest(nonce=b"n", user_data=b"u", public_key=b"p")
        statement = verify(document, kind="nitro", roots=[laptop.nitro_root], at=int(time.time()))
        return statement.measurements.get("pcr16")

    assert measured() is None
    nsm.lock_pcr(16)
    assert measured() == value


def test_what_the_device_does_not_take(nsm: Nsm) -> None:
    with pytest.raises(Refusal) as caught:
        NitroAttester(nsm).attest(nonce=bytes(513), user_data=b"", public_key=b"")
    assert "InputTooLarge" in caught.value.reason
