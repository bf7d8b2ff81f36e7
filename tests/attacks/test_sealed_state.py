"""Sealed records in the hands of a host: swapped, spliced, cut, bent and kept. A signer opens what it sealed itself for
this wallet and epoch, and nothing else; whatever is refused leaves it as it was."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom.wallet.record import MAX_SIZE, Record
from strongroom.wire.fields import Fields
from strongroom_client.cluster.plan import KMS
from strongroom_client.cluster.process import environment
from strongroom_client.cluster.signers import soft_token
from strongroom_enclave.health import PAUSES
from strongroom_simulator import pki
from strongroom_simulator.faults import forged_envelope
from strongroom_simulator.kms import Answer
from strongroom_simulator.kms_server import KmsServer
from tests.attacks.custody import ECDSA, ED25519, Custody
from tests.attacks.hand import flipped, refused

A, B, C = "enclave-1", "enclave-2", "hsm-1"


@pytest.fixture(scope="module")
def forgetful(breakable: Custody) -> Iterator[Custody]:
    """An enclave and the HSM signer were restarted and have nothing but what the host gives them. After all attacks
    they are given the truth."""
    wallets = [breakable.wallet(ECDSA), breakable.wallet(ED25519), breakable.wallet(ED25519, 3)]
    # Earlier attacks may have restarted B: it is to hold every wallet while A and C hold none.
    for wallet in wallets:
        breakable.require_intact(wallet)
    for wallet in wallets:
        breakable.require_intact(wallet)
    breakable.rest()
    for name in (A, C):
        breakable.cluster.restart(name)
    yield breakable
    for wallet in wallets:
        breakable.require_intact(wallet)


@pytest.fixture(params=[A, C])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass(frozen=True)
class Blobs:
    """own: this signer's of the wallet under attack; other: this signer's of another wallet; foreign: another
    signer's of the same wallet."""

    own: Record
    other: Record
    foreign: Record


@pytest.fixture
def blobs(forgetful: Custody, name: str) -> Blobs:
    wallet, other = forgetful.wallet(ED25519), forgetful.wallet(ED25519, 3)
    of = forgetful.record
    return Blobs(
        Record.decode(of(wallet, name)), Record.decode(of(other, name)), Record.decode(of(wallet, B))
    )  # fmt: skip


Forge = Callable[[Blobs], Record]


def put(**fields: Callable[[Blobs], Any]) -> Forge:
    return lambda blobs: dataclasses.replace(blobs.own, **{key: value(blobs) for key, value in fields.items()})


SEALER, SHARE = "sealed_mismatch", "seal_mismatch"
FORGERIES: Mapping[str, tuple[Forge, str]] = {
    "another signer's": (lambda blobs: blobs.foreign, SEALER),
    "another signer's under one's own name": (
        lambda blobs: dataclasses.replace(blobs.foreign, signer=blobs.own.signer),
        SEALER,
    ),
    "one's own under another's name": (put(signer=lambda blobs: blobs.foreign.signer), SEALER),
    "another signer's key": (put(wrapped=lambda blobs: blobs.foreign.wrapped), SEALER),
    "another signer's share": (put(share=lambda blobs: blobs.foreign.share), SHARE),
    "another wallet's id": (put(wallet=lambda blobs: blobs.other.wallet), SEALER),
    "another wallet's key": (put(wrapped=lambda blobs: blobs.other.wrapped), SEALER),
    "another wallet's share": (put(share=lambda blobs: blobs.other.share), SHARE),
    "another wallet's key and share": (
        put(wrapped=lambda blobs: blobs.other.wrapped, share=lambda blobs: blobs.other.share),
        SEALER,
    ),
    "another wallet's, all but its order": (
        lambda blobs: dataclasses.replace(blobs.other, order=blobs.own.order),
        SHARE,
    ),
    "another wallet's order": (put(order=lambda blobs: blobs.other.order), SHARE),
    "another transcript": (put(transcript=lambda blobs: blobs.other.transcript), SHARE),
    "another epoch": (put(epoch=lambda _: 2), SEALER),
    "no key": (put(wrapped=lambda _: b""), SEALER),
    "half a key": (put(wrapped=lambda blobs: blobs.own.wrapped[: len(blobs.own.wrapped) // 2]), SEALER),
    "a key with more behind it": (put(wrapped=lambda blobs: blobs.own.wrapped + b"\0"), SEALER),
    "a key of zeros": (put(wrapped=lambda blobs: bytes(len(blobs.own.wrapped))), SEALER),
    "no share": (put(share=lambda _: b""), SHARE),
    "half a share": (put(share=lambda blobs: blobs.own.share[: len(blobs.own.share) // 2]), SHARE),
    "a share with more behind it": (put(share=lambda blobs: blobs.own.share + b"\0"), SHARE),
}


def load(custody: Custody, name: str, record: bytes, body: bytes | None = None) -> Fields:
    return custody.ask(name, "wallet.load", {"record": record, "body": body})


@pytest.mark.parametrize(("forge", "code"), FORGERIES.values(), ids=FORGERIES)
def test_a_blob_that_is_not_ones_own(forgetful: Custody, name: str, blobs: Blobs, forge: Forge, code: str) -> None:
    with refused(code, by=name):
        load(forgetful, name, forge(blobs).encode())
    with refused("unknown_wallet", by=name):
        forgetful.signing(forgetful.wallet(ED25519), (name, B) if name == A else (B, name))


def test_one_bit_of_a_blob(forgetful: Custody, name: str, blobs: Blobs) -> None:
    """Anywhere: in the seals, and in what is in the clear beside them."""
    raw = blobs.own.encode()
    for position in [*range(3, 8 * len(raw), 8 * len(raw) // 60), *(-1 - 8 * place for place in range(10))]:
        with pytest.raises(Refusal) as caught:
            load(forgetful, name, flipped(raw, position))
        assert caught.value.kind in ("malformed", "refused"), caught.value
    for field in ("wrapped", "share"):
        blob = getattr(blobs.own, field)
        for place in range(5, 8 * len(blob), 8 * len(blob) // 12):
            changes: dict[str, Any] = {field: flipped(blob, place)}
            with pytest.raises(Refusal) as caught:
                load(forgetful, name, dataclasses.replace(blobs.own, **changes).encode())
            assert caught.value.code in (SEALER, SHARE), (field, place, caught.value)


def test_what_is_no_record(forgetful: Custody, name: str, blobs: Blobs) -> None:
    raw = blobs.own.encode()
    for nothing in (b"", b"\xa0", raw[:-1], raw + b"\0", os.urandom(1000)):
        with pytest.raises(Refusal) as caught:
            load(forgetful, name, nothing)
        assert caught.value.kind == "malformed"
    # Larger than any record of ours: refused by its size, in whichever layer looks first.
    with pytest.raises(Refusal) as caught:
        load(forgetful, name, raw + bytes(MAX_SIZE))
    assert caught.value.code in ("malformed_message", "oversized_message")


def test_the_certificate_of_another_wallet_with_ones_own_blob(forgetful: Custody, name: str) -> None:
    """The share is loaded, and signs nothing before the certificate is its own."""
    wallet, other = forgetful.wallet(ED25519), forgetful.wallet(ED25519, 3)
    record = forgetful.record(wallet, name)
    with refused("bad_certificate", by=name):
        load(forgetful, name, record, other.body_bytes)
    with refused("wrong_phase", by=name):
        forgetful.signing(wallet, (name, B) if name == A else (B, name))
    assert load(forgetful, name, record, wallet.body_bytes).text("phase") == "certified"


# --- Kept ---


def test_the_blob_of_an_earlier_deal(breakable: Custody) -> None:
    """The DKG of an order ended at the signers, but not for the host, and was run again: the first deal's blobs are
    good, but of another wallet. They cannot be mixed with the second's."""
    order = breakable.signed(breakable.order(ED25519))
    with breakable.dealing(order) as run:
        steps = run.finish()
    first = {name: Fields.decode(step.result or b"", "result") for name, step in steps.items()}
    old = {name: fields.blob("record") for name, fields in first.items()}
    wallet = breakable.create(order)
    assert wallet.body.wallet != Record.decode(old[A]).wallet
    breakable.rest()
    breakable.cluster.restart(A)
    with refused("bad_certificate", by=A):
        load(breakable, A, old[A], wallet.body_bytes)
    with refused("unknown_wallet", by=A):
        breakable.signing(wallet, (A, B))
    breakable.cluster.restart(A)
    breakable.require_intact(wallet)


# --- KMS ---


@pytest.fixture
def blank(breakable: Custody) -> Iterator[Callable[[], Fields]]:
    """A restarted enclave, and what loads its share. Afterwards KMS is as it was, and the wallet signs."""
    custody, wallet = breakable, breakable.wallet(ED25519)
    record = custody.record(wallet, A)
    custody.rest()
    custody.cluster.restart(A)
    keys = custody.cluster.plan.kms_keys
    before = keys.read_bytes()
    yield lambda: load(custody, A, record, wallet.body_bytes)
    custody.cluster.plan.kms_faults.unlink(missing_ok=True)
    keys.write_bytes(before)
    if not custody.cluster.process(KMS).running:
        custody.cluster.restart(KMS)
    custody.require_intact(wallet)


def recovers(custody: Custody, blank: Callable[[], Fields]) -> None:
    """Without a restart of the signer."""
    boot = custody.status(A).boot
    assert blank().text("phase") == "certified"
    status = custody.status(A)
    assert (status.phase, status.reason, status.boot) == ("ready", None, boot)


def test_kms_is_down(breakable: Custody, blank: Callable[[], Fields]) -> None:
    """It says so, may be asked again, and is as it was once KMS is back."""
    breakable.cluster.kill(KMS)
    with refused("sealer_unavailable", by=A) as caught:
        blank()
    assert caught.value.retryable
    status = breakable.status(A)
    assert status.phase == "degraded" and status.reason
    breakable.cluster.restart(KMS)
    recovers(breakable, blank)


@pytest.mark.parametrize("fault", ["throttle", "outage"])
def test_kms_is_out_of_order(breakable: Custody, blank: Callable[[], Fields], fault: str) -> None:
    breakable.cluster.plan.kms_faults.write_text(fault)
    with refused("sealer_unavailable", by=A):
        blank()
    breakable.cluster.plan.kms_faults.unlink()
    recovers(breakable, blank)


def recovers_by_itself(custody: Custody) -> None:
    """Nobody asks the signer for anything that needs KMS: it asks, and says that all is well."""
    deadline = time.monotonic() + 2 * PAUSES[-1]
    while custody.status(A).phase == "degraded":
        assert time.monotonic() < deadline, custody.status(A)
        select.select([], [], [], 0.2)


def test_kms_is_silent(breakable: Custody, blank: Callable[[], Fields]) -> None:
    """The others sign meanwhile. The signer keeps what it has, says what is wrong, and goes on when KMS does."""
    boot = breakable.status(A).boot
    breakable.cluster.plan.kms_faults.write_text("silent")
    began = time.monotonic()
    with refused("sealer_unavailable", by=A) as caught:
        blank()
    assert caught.value.retryable and time.monotonic() - began < 30
    assert breakable.status(A).phase == "degraded"
    wallet = breakable.wallet(ED25519)
    assert breakable.sign(wallet, (B, C)).signers == (B, C)
    breakable.cluster.plan.kms_faults.unlink()
    recovers_by_itself(breakable)
    recovers(breakable, blank)
    assert breakable.status(A).boot == boot


def test_the_host_hands_over_stale_credentials(breakable: Custody, blank: Callable[[], Fields]) -> None:
    breakable.cluster.plan.kms_faults.write_text("stale SIMULATED")
    with refused("sealer_unavailable", by=A) as caught:
        blank()
    assert "credentials" in caught.value.reason and "credentials" in (breakable.status(A).reason or "")
    file = breakable.cluster.plan.signer(A).folder / "credentials.json"
    stale = file.read_text()
    file.write_text(stale.replace("SIMULATED", "RENEWED"))
    try:
        recovers_by_itself(breakable)
        recovers(breakable, blank)
    finally:
        file.write_text(stale)


def test_the_endpoint_has_another_certificate(breakable: Custody, blank: Callable[[], Fields], tmp_path: Path) -> None:
    """The host's own server stands where KMS was. It learns nothing, not even what was to be opened."""
    asked: list[str] = []

    def respond(target: str, body: dict[str, Any], caller: str) -> Answer:
        asked.append(target)
        return Answer(200, {"CiphertextForRecipient": forged_envelope(body)})

    pki.create(tmp_path / "impostor")
    breakable.cluster.kill(KMS)
    with KmsServer(("127.0.0.1", breakable.cluster.plan.kms_port), tmp_path / "impostor", respond) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            with refused("sealer_refused", by=A) as caught:
                blank()
        finally:
            server.shutdown()
            thread.join()
    status = breakable.status(A)
    assert (
        "certificate" in caught.value.reason and status.phase == "degraded" and "certificate" in (status.reason or "")
    )
    assert not asked
    breakable.cluster.restart(KMS)
    recovers_by_itself(breakable)
    recovers(breakable, blank)


LIES = {"relabel": "sealer_refused", "other-key": "sealed_mismatch", "forge": SHARE}


@pytest.mark.parametrize("fault", LIES)
def test_kms_lies(breakable: Custody, blank: Callable[[], Fields], fault: str) -> None:
    """Another key than the pinned one, in word or in deed; and a key of the liar's own choice."""
    argument = f" {breakable.cluster.plan.signer(B).key}" if fault != "forge" else ""
    breakable.cluster.plan.kms_faults.write_text(fault + argument)
    with refused(LIES[fault], by=A):
        blank()
    breakable.cluster.plan.kms_faults.unlink()
    recovers(breakable, blank)


def test_a_policy_for_another_program(breakable: Custody, blank: Callable[[], Fields]) -> None:
    """KMS gives the key to a measurement alone: with another one in its policy, this enclave gets nothing."""
    keys = breakable.cluster.plan.kms_keys
    right = keys.read_text()
    listed = json.loads(right)
    key = breakable.cluster.plan.signer(A).key
    [policy] = [each["policy"] for each in listed["keys"] if each["arn"] == key]
    policy["Statement"][0]["Condition"]["StringEqualsIgnoreCase"]["kms:RecipientAttestation:PCR16"] = "00" * 48
    keys.write_text(json.dumps(listed))
    with refused("sealer_refused", by=A):
        blank()
    keys.write_text(right)
    recovers(breakable, blank)


# --- SoftHSM ---


FLAGS = """
import sys, pkcs11
[token] = [each for each in pkcs11.lib(sys.argv[1]).get_tokens() if each.label]
print(bool(token.flags & pkcs11.TokenFlag.USER_PIN_COUNT_LOW), bool(token.flags & pkcs11.TokenFlag.USER_PIN_LOCKED))
"""


def pin_flags(custody: Custody) -> str:
    """Whether a wrong PIN came since the last right one, and whether the token is locked. In a process of its own: a
    library belongs to whoever initialised it."""
    token = soft_token(custody.cluster.plan.signer(C))
    command = [sys.executable, "-c", FLAGS, str(token.module)]
    done = subprocess.run(command, env=environment(token.variables), capture_output=True, check=True, text=True)
    return done.stdout.strip()


def test_a_wrong_pin(breakable: Custody) -> None:
    """The program ends, and says why and what to do. The token saw the PIN, and was not locked by it."""
    plan, wallet = breakable.cluster.plan.signer(C), breakable.wallet(ED25519)
    pin_file = soft_token(plan).pin_file
    right = pin_file.read_bytes()
    breakable.cluster.stop_process(C)
    process = breakable.cluster.process(C)
    logged = process.log.stat().st_size
    pin_file.write_bytes(b"0000")
    assert pin_flags(breakable) == "False False"
    try:
        with refused("cluster_failed"):
            process.start()
    finally:
        pin_file.write_bytes(right)
    assert pin_flags(breakable) == "True False"
    said = process.log.read_bytes()[logged:].decode()
    assert "pin_incorrect: " in said and "restart the signer" in said and "Traceback" not in said
    assert said.count("pin_incorrect") == 1, "a wrong PIN is never sent again"
    process.start()
    assert pin_flags(breakable) == "False False"
    breakable.require_intact(wallet)


def test_a_token_that_is_lost_and_comes_back(breakable: Custody) -> None:
    """While it is away the signer says so, and signs with the share that it has; afterwards it attests again."""
    plan, wallet = breakable.cluster.plan.signer(C), breakable.wallet(ED25519)
    breakable.require_intact(wallet)
    boot = breakable.status(C).boot
    tokens = soft_token(plan).folder / "tokens"
    away = tokens.with_name("away")
    tokens.rename(away)
    try:
        with refused("token_unavailable", by=C) as caught:
            breakable.ask(C, "evidence", {"nonce": bytes(32)})
        assert caught.value.retryable and breakable.status(C).phase == "degraded"
        assert breakable.sign(wallet, (A, C)).signers == (A, C)
    finally:
        away.rename(tokens)
    while breakable.status(C).phase == "degraded":
        try:
            breakable.ask(C, "evidence", {"nonce": bytes(32)})
        except Refusal as refusal:
            assert refusal.code == "token_unavailable"
    assert breakable.status(C).boot == boot
    breakable.require_intact(wallet)
