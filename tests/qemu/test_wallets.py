"""What holds for wallets of processes holds for wallets of enclaves: the same tests, with another `live`."""

from __future__ import annotations

import pytest

from tests.cluster import test_lifecycle
from tests.cluster.test_commands import (
    test_evidence_is_shown_saved_and_verified,
    test_wallet_is_created_shown_and_verified,
)
from tests.cluster.test_lifecycle import (
    test_host_sees_ciphertext,
    test_message_of_each_scheme,
    test_one_tampered_link_costs_one_pair,
    test_wallet_survives_a_restart_of_everything,
)
from tests.fixtures_cluster import ED25519, Running

__all__ = [
    "test_evidence_is_shown_saved_and_verified",
    "test_host_sees_ciphertext",
    "test_message_of_each_scheme",
    "test_one_tampered_link_costs_one_pair",
    "test_wallet_is_created_shown_and_verified",
    "test_wallet_survives_a_restart_of_everything",
]

pytestmark = pytest.mark.timeout(900)  # every instruction is translated, and the machine is busy


def test_silent_enclave_is_replaced_in_the_same_request(live: Running) -> None:
    """The journals of the two others and of the witness are enough."""
    live.wallet(ED25519)
    assert test_lifecycle.sign(live, ED25519)["state"] == "signed"
    live.cluster.pause("enclave-1")
    assert test_lifecycle.sign(live, ED25519)["signers"] == ["enclave-2", "hsm-1"]


@pytest.mark.parametrize("lost", ["enclave-1", "hsm-1"])
def test_killed_signer_is_replaced_and_signs_again(live_ethereum: Running, lost: str) -> None:
    """A transaction is mined without it, and another with it once it was booted anew from the same sealed state.

    One before, with everybody there: three of the four journals may have been restarted by another test, and join when
    they hear all others (docs/adr/0011).
    """
    test_lifecycle.send(live_ethereum)
    test_lifecycle.test_killed_signer_is_replaced_and_signs_again(live_ethereum, lost)


def test_every_link_tampered_signs_nothing(live_ethereum: Running) -> None:
    """The last: the witness has heard of its nonce, which only a replacement takes from then on."""
    test_lifecycle.test_every_link_tampered_signs_nothing(live_ethereum)
