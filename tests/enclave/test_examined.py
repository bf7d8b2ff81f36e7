"""No data key before the key's policy was examined, over the real TLS to the simulated KMS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom.evidence import keypolicy
from strongroom_enclave.examined import POLICY_PCR, ExaminedSealer
from strongroom_enclave.health import WatchedSealer
from strongroom_enclave.keypolicy import KeyFacts
from strongroom_enclave.nsm import Nsm, SocketTransport
from strongroom_simulator.keypolicy import for_measurements
from tests.enclave.test_kms import CONTEXT, refused, sealer_at
from tests.simulator.running import ARN, REGISTERS, Laptop

CONFIGURED = b"\x99" * 48


@pytest.fixture
def nsm(laptop: Laptop) -> Iterator[Nsm]:
    with laptop.serve_nsm() as path, closing(SocketTransport(path)) as transport:
        device = Nsm(transport)
        laptop.own_keys(ARN, registers={**REGISTERS, 16: device.extend_pcr(16, CONFIGURED)})
        device.lock_pcr(16)
        yield device


@pytest.fixture
def endpoint(laptop: Laptop) -> Iterator[str]:
    with laptop.serve_kms() as address:
        yield address


def guarded(laptop: Laptop, nsm: Nsm, endpoint: str) -> ExaminedSealer:
    kms = sealer_at(laptop, nsm, endpoint, read_timeout=1.0)
    return ExaminedSealer(kms, nsm, kms.facts, ARN)


def own(laptop: Laptop, **entry: Any) -> None:
    """The key's owner changes what KMS says of it."""
    file = laptop.directory / "keys.json"
    owned = json.loads(file.read_text())
    file.write_text(json.dumps({"keys": [owned["keys"][0] | entry]}))


def policy_of(laptop: Laptop) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads((laptop.directory / "keys.json").read_text())["keys"][0]["policy"]
    return policy


def test_a_data_key_and_the_register(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    sealer = guarded(laptop, nsm, endpoint)
    key, wrapped = sealer.new_key(CONTEXT)
    assert sealer.open_key(wrapped, CONTEXT).expose() == key.expose()
    register = nsm.describe_pcr(POLICY_PCR)
    assert register.locked and register.value == keypolicy.pcr17(policy_of(laptop), ARN)


def test_a_restarted_program_finds_its_own_register(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    guarded(laptop, nsm, endpoint).examine()
    guarded(laptop, nsm, endpoint).new_key(CONTEXT)


def test_a_register_that_says_something_else(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    nsm.extend_pcr(POLICY_PCR, b"another policy")
    assert refused(guarded(laptop, nsm, endpoint).examine).code == "key_policy"


def test_everything_was_locked_before(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    nsm.lock_pcrs(32)
    assert refused(guarded(laptop, nsm, endpoint).examine).code == "key_policy"


def test_no_data_key_under_a_key_that_others_can_use(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    """Each of these keys gives this enclave its data keys: the policy in force allows it."""
    honest = policy_of(laptop)
    root = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*"}
    for entry in (
        {"policy": {**honest, "Statement": [*honest["Statement"], root]}},
        {"policy": honest, "grants": [{"GrantId": "g", "Operations": ["Decrypt"]}]},
        {"policy": honest, "grants": [], "metadata": {"MultiRegion": True}},
        {"policy": for_measurements(REGISTERS), "metadata": {}},
    ):
        own(laptop, **entry)
        sealer = guarded(laptop, nsm, endpoint)
        assert sealer_at(laptop, nsm, endpoint).new_key(CONTEXT)
        assert refused(lambda sealer=sealer: sealer.new_key(CONTEXT)).code == "key_policy"  # type: ignore[misc]
        assert refused(lambda sealer=sealer: sealer.open_key(b"x", CONTEXT)).code == "key_policy"  # type: ignore[misc]
    assert nsm.describe_pcr(POLICY_PCR).value == bytes(48)


def test_a_key_that_may_not_be_looked_at(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    blind = policy_of(laptop)
    own(laptop, policy={**blind, "Statement": blind["Statement"][:1]})
    assert refused(guarded(laptop, nsm, endpoint).examine).code == "sealer_refused"


@pytest.mark.parametrize("field", ["Policy", "Grants", "KeyMetadata"])
def test_an_answer_that_lacks_something(laptop: Laptop, nsm: Nsm, endpoint: str, field: str) -> None:
    laptop.faults.write_text(f"lacking {field}")
    assert refused(guarded(laptop, nsm, endpoint).examine).code == "sealer_refused"


def watched(sealer: ExaminedSealer, wait: Callable[[float], object]) -> WatchedSealer:
    """Asks by itself in the caller's own thread, so that it is over when a call returns."""
    return WatchedSealer(sealer, lambda: sealer.new_key(CONTEXT), wait, lambda run: run())


def test_a_kms_that_is_mute_for_a_while(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    """The signer waits longer each time, says so, and goes on by itself."""
    sealer = guarded(laptop, nsm, endpoint)
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        assert health.degraded()
        pauses.append(seconds)
        if len(pauses) == 7:
            laptop.faults.unlink()

    health = watched(sealer, wait)
    laptop.faults.write_text("throttle")
    assert refused(lambda: health.watch(sealer.examine)).code == "sealer_unavailable"
    assert pauses == [1, 2, 4, 8, 15, 30, 30] and sum(pauses) > 60
    assert health.degraded() is None
    assert nsm.describe_pcr(POLICY_PCR).locked
    sealer.new_key(CONTEXT)


def test_a_key_that_is_not_safe_is_not_asked_about_again(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    own(laptop, grants=[{"GrantId": "g"}])
    sealer = guarded(laptop, nsm, endpoint)
    health = watched(sealer, lambda _: pytest.fail("it waited"))
    assert refused(lambda: health.watch(sealer.examine)).code == "key_policy"
    assert "grant" in (health.degraded() or "")


def test_a_key_that_turns_out_not_to_be_safe_ends_the_asking(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    """KMS was mute when the signer started, and then says of the key what no signer takes."""
    sealer = guarded(laptop, nsm, endpoint)
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        own(laptop, grants=[{"GrantId": "g"}])
        laptop.faults.unlink()

    health = watched(sealer, wait)
    laptop.faults.write_text("outage")
    refused(lambda: health.watch(sealer.examine))
    assert pauses == [1] and "grant" in (health.degraded() or "")


def test_asked_once(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    kms = sealer_at(laptop, nsm, endpoint)
    asked: list[KeyFacts] = []

    def facts() -> KeyFacts:
        asked.append(kms.facts())
        return asked[-1]

    sealer = ExaminedSealer(kms, nsm, facts, ARN)
    for _ in range(3):
        sealer.new_key(CONTEXT)
    assert len(asked) == 1


def test_refusals_have_words() -> None:
    assert "nobody can change" in Refusal("key_policy", "x").remedy
