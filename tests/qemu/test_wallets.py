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
from tests.fixtures_cluster import Running

__all__ = [
    "test_evidence_is_shown_saved_and_verified",
    "test_host_sees_ciphertext",
    "test_message_of_each_scheme",
    "test_one_tampered_link_costs_one_pair",
    "test_wallet_is_created_shown_and_verified",
    "test_wallet_survives_a_restart_of_everything",
]

pytestmark = pytest.mark.timeout(900)  # every instruction is translated, and the machine is busy


def test_killed_enclave_is_replaced_and_signs_again(live_ethereum: Running) -> None:
    """A transaction is mined without it, and another with it once it was booted anew from the same sealed state."""
    test_lifecycle.test_killed_signer_is_replaced_and_signs_again(live_ethereum, "enclave-1")
