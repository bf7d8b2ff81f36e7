"""A client shows an address only when all signers vouched for it under its own nonce; everything else is an attack."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom.evidence.statement import Statement
from strongroom.wallet.certificate import Certificate, attested_user_data, certificate_hash, wallet_id
from strongroom.wallet.order import Member
from strongroom_client import keyfiles, officers, orders, wallets
from tests.client.custody import Custody, no_passphrase, signed_order
from tests.native import driver


def verify(custody: Custody) -> wallets.Verified:
    with custody.api() as api:
        return wallets.verify(api, custody.wallet, officers=custody.officers, mode=custody.mode)


def refusal(custody: Custody) -> Refusal:
    with pytest.raises(Refusal) as raised:
        verify(custody)
    return raised.value


def test_honest_wallet_is_shown(custody: Custody) -> None:
    verified = verify(custody)
    assert verified.address == custody.body.address
    assert [member.name for member, _ in verified.statements] == ["enclave-1", "enclave-2", "enclave-3"]


def test_two_enclaves_on_one_instance(custody: Custody) -> None:
    """Whether the roster pins PCR4 or not: whoever gets at that instance reaches two shares."""

    def on(*instances: bytes | None) -> list[tuple[Member, Statement]]:
        made = []
        for (member, statement), instance in zip(verify(custody).statements, instances, strict=True):
            measured = {name: value for name, value in statement.measurements.items() if name != "pcr4"}
            measured |= {} if instance is None else {"pcr4": instance}
            made.append((member, dataclasses.replace(statement, measurements=measured)))
        return made

    one, two = b"\1" * 48, b"\2" * 48
    wallets.require_instances(on(one, two, None))
    wallets.require_instances(on(None, None, one))  # what is no enclave has none
    with pytest.raises(Refusal) as raised:
        wallets.require_instances(on(one, two, one))
    assert (raised.value.code, raised.value.culprits) == ("evidence_measurement", ("enclave-1", "enclave-3"))


def test_every_verification_draws_its_own_nonce(custody: Custody) -> None:
    verify(custody)
    verify(custody)
    first, second = custody.nonces
    assert first != second and len(first) == 32


def test_address_swapped_on_the_way(custody: Custody) -> None:
    custody.lies["wallet"] = lambda honest: {**honest, "address": "00" * 32}
    assert refusal(custody).code == "bad_certificate"


def test_key_swapped_in_the_certificate(custody: Custody) -> None:
    thief = driver.run_dkg("frost-ed25519", 2, 3)[0].public_key
    custody.lies["certificate"] = _certificate(custody, public_key=thief)
    assert refusal(custody).code == "bad_certificate"


def test_key_swapped_with_a_wallet_id_to_match(custody: Custody) -> None:
    """The thief computes a consistent id: the client asked for another one."""
    thief = driver.run_dkg("frost-ed25519", 2, 3)[0].public_key
    identifier = wallet_id(custody.order.order_id, custody.body.transcript, thief)
    custody.lies["certificate"] = _certificate(custody, public_key=thief, wallet=identifier)
    assert refusal(custody).code == "bad_certificate"


def _certificate(custody: Custody, **changes: Any) -> Any:
    body = dataclasses.replace(custody.body, **changes)
    raw = Certificate(body.encode(), ()).encode().hex()
    return lambda _: {"certificate": raw}


def test_order_of_other_officers(custody: Custody, tmp_path: Path) -> None:
    """The host made a wallet of its own, with officers of its own: the pins decide."""
    made = officers.create(tmp_path / "thief", count=3, quorum=2, passphrase=None)
    order = signed_order(made, tmp_path / "thief", custody.order.order.roster, "frost-ed25519")
    custody.lies["certificate"] = _certificate(custody, order=order)
    assert refusal(custody).code == "order_not_signed"


def test_roster_changed_after_the_officers_signed(custody: Custody) -> None:
    order = custody.order
    first, *others = order.order.roster
    swapped = dataclasses.replace(first, measurements={**first.measurements, "pcr0": os.urandom(48)})
    forged = dataclasses.replace(order.order, roster=(swapped, *others))
    signed = dataclasses.replace(order, raw=forged.encode(), order=forged)
    custody.lies["certificate"] = _certificate(custody, order=signed)
    assert refusal(custody).code == "order_not_signed"


def test_too_few_officers(custody: Custody) -> None:
    key = keyfiles.load(officers.officer_files(custody.folder)[0], no_passphrase)
    with pytest.raises(Refusal) as raised:
        orders.sign(custody.order.order, [key])
    assert raised.value.code == "order_not_signed"


def test_attestations_replayed_from_another_nonce(custody: Custody) -> None:
    stale = custody.attest(os.urandom(32))
    custody.lies["attestations"] = lambda _: {"attestations": stale}
    assert refusal(custody).code == "evidence_nonce"


def test_attestations_of_another_certificate(custody: Custody) -> None:
    other = attested_user_data(certificate_hash(b"another body"), 1)
    custody.lies["attestations"] = lambda _: {"attestations": custody.attest(custody.nonces[-1], user_data=other)}
    assert refusal(custody).code == "evidence_binding"


def test_attestations_of_another_epoch(custody: Custody) -> None:
    other = attested_user_data(certificate_hash(custody.certificate.body), 2)
    custody.lies["attestations"] = lambda _: {"attestations": custody.attest(custody.nonces[-1], user_data=other)}
    assert refusal(custody).code == "evidence_binding"


def test_one_signer_missing(custody: Custody) -> None:
    custody.lies["attestations"] = lambda honest: {"attestations": honest["attestations"][:2]}
    refused = refusal(custody)
    assert refused.code == "bad_certificate" and "enclave-3" in refused.reason


@pytest.mark.parametrize(("count", "code"), [(3, None), (2, None), (1, "bad_certificate"), (0, "bad_certificate")])
def test_to_sign_with_a_wallet_as_many_vouch_as_sign(custody: Custody, count: int, code: str | None) -> None:
    """A signer that is down for good stops nobody; fewer than t may all be the host's."""

    def verified() -> int:
        with custody.api() as api:
            known = wallets.verify_for_use(api, custody.wallet, officers=custody.officers, mode=custody.mode)
            return len(known.statements)

    custody.lies["attestations"] = lambda honest: {"attestations": honest["attestations"][3 - count :]}
    if code is None:
        assert verified() == count
    else:
        with pytest.raises(Refusal) as raised:
            verified()
        assert raised.value.code == code
    stranger = [{**row, "signer": f"stranger-{at}"} for at, row in enumerate(custody.attest(bytes(32)))]
    custody.lies["attestations"] = lambda honest: {"attestations": honest["attestations"][:2] + stranger[:1]}
    with pytest.raises(Refusal) as raised:
        verified()
    assert raised.value.code == "bad_certificate"


def test_one_signer_answers_for_another(custody: Custody) -> None:
    """Both run the same image; the configuration in PCR16, which holds the name, tells them apart."""

    def lie(honest: Any) -> Any:
        first, second, third = honest["attestations"]
        return {"attestations": [first, {**first, "signer": second["signer"]}, third]}

    custody.lies["attestations"] = lie
    refused = refusal(custody)
    assert refused.code == "evidence_measurement" and refused.culprits == ("enclave-2",)


def test_another_program(custody: Custody) -> None:
    changed = {**custody.signers[0].registers, 0: os.urandom(48)}
    custody.lies["attestations"] = lambda _: {"attestations": custody.attest(custody.nonces[-1], registers=changed)}
    assert refusal(custody).code == "evidence_measurement"


def test_debug_enclave(custody: Custody) -> None:
    debug = dict.fromkeys(custody.signers[0].registers, bytes(48))
    custody.lies["attestations"] = lambda _: {"attestations": custody.attest(custody.nonces[-1], registers=debug)}
    assert refusal(custody).code == "evidence_debug"


def test_another_root(custody: Custody, tmp_path: Path) -> None:
    impostor = Custody(tmp_path / "impostor")
    impostor.certificate, impostor.body = custody.certificate, custody.body
    custody.lies["attestations"] = lambda _: {"attestations": impostor.attest(custody.nonces[-1])}
    assert refusal(custody).code == "evidence_root"


def test_production_client_refuses_a_simulated_wallet(custody: Custody) -> None:
    with custody.api() as api, pytest.raises(Refusal) as raised:
        wallets.verify(api, custody.wallet, officers=custody.officers, mode="production")
    assert raised.value.code == "mode_mismatch"


def test_wallet_for_another_order(custody: Custody) -> None:
    """Asked to create a wallet, the host answers with one it had: the new order is not in its certificate."""
    order = signed_order(custody.made, custody.folder, custody.order.order.roster, "frost-ed25519")
    with custody.api() as api, pytest.raises(Refusal) as raised:
        wallets.create(api, order, officers=custody.officers, mode="simulated")
    assert raised.value.code == "bad_certificate"
