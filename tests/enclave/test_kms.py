"""Sealing under KMS over real TLS, and what a host before it can try."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strongroom.errors import Refusal
from strongroom.signer.configuration import Sealing
from strongroom.signer.seams import Sealer
from strongroom_enclave import credentials
from strongroom_enclave.kms import _CREDENTIALS, KmsSealer, _refusal
from strongroom_enclave.nsm import Nsm, SocketTransport
from strongroom_simulator import pki
from strongroom_simulator.faults import FORGED_KEY, Faults, forged_envelope
from strongroom_simulator.kms import Answer
from strongroom_simulator.kms_server import KmsServer
from tests.simulator.running import ARN, OTHER_ARN, REGISTERS, Laptop

CONTEXT = {"signer": "alice", "wallet": "ab" * 16, "epoch": "1", "kind": "share"}


@pytest.fixture
def endpoint(laptop: Laptop) -> Iterator[str]:
    with laptop.serve_kms() as address:
        yield address


def sealing(laptop: Laptop, endpoint: str, key: str = ARN) -> Sealing:
    return Sealing("kms", key, endpoint, pki.load(laptop.pki, pki.KMS_AUTHORITY).fingerprint)


def authority(laptop: Laptop) -> bytes:
    return (laptop.pki / f"{pki.KMS_AUTHORITY}.pem").read_bytes()


def sealer_at(laptop: Laptop, nsm: Nsm, endpoint: str, **options: Any) -> KmsSealer:
    return KmsSealer(
        options.pop("sealing", sealing(laptop, endpoint)),
        nsm,
        **{"credentials": credentials.simulated, "authority": authority(laptop), "attempts": 1, **options},
    )


@pytest.fixture
def sealer(laptop: Laptop, nsm: Nsm, endpoint: str) -> KmsSealer:
    return sealer_at(laptop, nsm, endpoint)


def refused(call: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value


# --- Honest service ---


def test_a_data_key_is_wrapped_and_opened_again(sealer: KmsSealer) -> None:
    seam: Sealer = sealer
    key, wrapped = seam.new_key(CONTEXT)
    assert bytes(key.expose()) not in wrapped
    assert seam.open_key(wrapped, CONTEXT).expose() == key.expose()
    other, _ = seam.new_key(CONTEXT)
    assert other.expose() != key.expose()


def test_a_new_boot_and_a_restarted_kms_open_what_the_old_ones_wrapped(laptop: Laptop) -> None:
    opened = []
    wrapped = b""
    for boot in range(2):
        with laptop.serve_kms() as endpoint, laptop.serve_nsm() as path, closing(SocketTransport(path)) as transport:
            sealer = sealer_at(laptop, Nsm(transport), endpoint)
            if boot == 0:
                key, wrapped = sealer.new_key(CONTEXT)
            opened.append(sealer.open_key(wrapped, CONTEXT).expose())
    assert opened[0] == opened[1] == key.expose()


def test_five_hours_later_the_leaf_is_another_and_the_blob_still_opens(laptop: Laptop, sealer: KmsSealer) -> None:
    key, wrapped = sealer.new_key(CONTEXT)
    laptop.clock.offset = 5 * 3600
    assert sealer.open_key(wrapped, CONTEXT).expose() == key.expose()


def test_many_threads_share_one_sealer(sealer: KmsSealer) -> None:
    key, wrapped = sealer.new_key(CONTEXT)
    seen: list[bytearray] = []
    threads = [
        threading.Thread(target=lambda: seen.append(sealer.open_key(wrapped, CONTEXT).expose())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [key.expose()] * 8


# --- A blob in the wrong place ---


@pytest.mark.parametrize("field", sorted(CONTEXT))
def test_a_blob_of_another_signer_wallet_epoch_or_kind(sealer: KmsSealer, field: str) -> None:
    _, wrapped = sealer.new_key(CONTEXT)
    assert refused(lambda: sealer.open_key(wrapped, {**CONTEXT, field: "other"})).code == "sealed_mismatch"


def test_a_blob_that_was_changed(sealer: KmsSealer) -> None:
    _, wrapped = sealer.new_key(CONTEXT)
    for blob in (
        wrapped[:-1] + bytes((wrapped[-1] ^ 1,)),
        wrapped[:40],
        b"x",
        b"",
        bytes(6144),
        bytes(6145),
        bytes(1 << 20),
    ):
        assert refused(lambda blob=blob: sealer.open_key(blob, CONTEXT)).code == "sealed_mismatch"  # type: ignore[misc]


def test_a_blob_that_the_host_had_wrapped_under_a_key_of_its_own(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    """The host may own another key, with a policy that lets it in. The pinned ARN goes into every request."""
    theirs = sealer_at(laptop, nsm, endpoint, sealing=sealing(laptop, endpoint, OTHER_ARN))
    _, wrapped = theirs.new_key(CONTEXT)
    ours = sealer_at(laptop, nsm, endpoint)
    assert refused(lambda: ours.open_key(wrapped, CONTEXT)).code == "sealed_mismatch"


@pytest.mark.parametrize("account", ["111111111111", "000000000001"])
def test_a_key_of_another_account_under_the_same_name(laptop: Laptop, nsm: Nsm, endpoint: str, account: str) -> None:
    """The same key id and alias exist in every account that cares to make them. The ARN has the account in it."""
    twin = ARN.replace(":000000000000:", f":{account}:")
    laptop.own_keys(ARN, twin)
    ours, theirs = (sealer_at(laptop, nsm, endpoint, sealing=sealing(laptop, endpoint, arn)) for arn in (ARN, twin))
    _, wrapped = theirs.new_key(CONTEXT)
    assert refused(lambda: ours.open_key(wrapped, CONTEXT)).code == "sealed_mismatch"
    for other in (twin, twin.replace(":key/", ":alias/"), ARN.replace(":key/", ":alias/"), "alice", "alias/alice"):
        laptop.faults.write_text(f"relabel {other}")
        refusal = refused(lambda: ours.new_key(CONTEXT))
        assert refusal.code == "sealer_refused" and "another key" in refusal.reason


# --- Another enclave ---


@pytest.mark.parametrize("index", sorted(REGISTERS))
def test_another_measurement_opens_nothing(laptop: Laptop, sealer: KmsSealer, endpoint: str, index: int) -> None:
    _, wrapped = sealer.new_key(CONTEXT)
    other = {**REGISTERS, index: b"\xee" * 48}
    with laptop.serve_nsm("other", other) as path, closing(SocketTransport(path)) as transport:
        stranger = sealer_at(laptop, Nsm(transport), endpoint)
        refusal = refused(lambda: stranger.open_key(wrapped, CONTEXT))
    assert refusal.code == "sealer_refused" and "AccessDenied" in refusal.reason


def test_another_configuration_opens_nothing(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    """PCR16 is in the key's policy: the same program, told other officers or another key, gets no data key."""
    honest = nsm.extend_pcr(16, b"the configuration of the roster")
    nsm.lock_pcr(16)
    laptop.own_keys(ARN, registers={**REGISTERS, 16: honest})
    _, wrapped = sealer_at(laptop, nsm, endpoint).new_key(CONTEXT)
    with laptop.serve_nsm("other") as path, closing(SocketTransport(path)) as transport:
        other = Nsm(transport)
        other.extend_pcr(16, b"the host's configuration")
        other.lock_pcr(16)
        stranger = sealer_at(laptop, other, endpoint)
        assert refused(lambda: stranger.open_key(wrapped, CONTEXT)).code == "sealer_refused"


def test_a_document_from_ten_minutes_ago(laptop: Laptop, endpoint: str) -> None:
    behind = dataclasses.replace(laptop, clock=type(laptop.clock)(-600))
    with behind.serve_nsm("behind") as path, closing(SocketTransport(path)) as transport:
        sealer = sealer_at(laptop, Nsm(transport), endpoint)
        assert refused(lambda: sealer.new_key(CONTEXT)).code == "sealer_refused"


# --- A host in the middle: the envelope proves nothing, TLS and the pins do ---


def test_whoever_answers_could_choose_the_key(laptop: Laptop, sealer: KmsSealer) -> None:
    """Why the rest of this section matters: the document shows our public key to whoever carries it, and the envelope
    is not authenticated. If KMS itself forged, its key would be taken."""
    laptop.faults.write_text("forge")
    assert bytes(sealer.new_key(CONTEXT)[0].expose()) == FORGED_KEY


def test_a_forger_before_kms_is_stopped_by_tls(laptop: Laptop, nsm: Nsm, tmp_path: Path) -> None:
    """The host's own server, with a certificate of the host's own authority, forges as above."""
    laptop.faults.write_text("forge")
    pki.create(tmp_path / "impostor")
    with laptop.serve_kms(authorities=tmp_path / "impostor") as endpoint:
        refusal = refused(lambda: sealer_at(laptop, nsm, endpoint).new_key(CONTEXT))
    assert refusal.code == "sealer_refused" and "certificate" in refusal.reason


def test_a_certificate_for_another_name_is_stopped_by_tls(laptop: Laptop, nsm: Nsm) -> None:
    respond = Faults(laptop.kms(), None).answer
    with KmsServer(("127.0.0.2", 0), laptop.pki, respond) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            assert refused(lambda: sealer_at(laptop, nsm, server.endpoint).new_key(CONTEXT)).code == "sealer_refused"
        finally:
            server.shutdown()
            thread.join()


def test_the_hosts_authority_is_not_the_pinned_one(laptop: Laptop, nsm: Nsm, endpoint: str, tmp_path: Path) -> None:
    pki.create(tmp_path / "impostor")
    theirs = (tmp_path / "impostor" / f"{pki.KMS_AUTHORITY}.pem").read_bytes()
    for given in (theirs, authority(laptop) + theirs, b"", b"noise", None):
        refusal = refused(lambda given=given: sealer_at(laptop, nsm, endpoint, authority=given))  # type: ignore[misc]
        assert refusal.code == "bad_configuration"


@pytest.mark.parametrize("fault", [f"other-key {OTHER_ARN}", f"relabel {OTHER_ARN}"])
def test_an_answer_from_another_key_is_stopped_by_the_pinned_arn(laptop: Laptop, sealer: KmsSealer, fault: str) -> None:
    laptop.faults.write_text(fault)
    refusal = refused(lambda: sealer.new_key(CONTEXT))
    assert refusal.code == "sealer_refused" and "another key" in refusal.reason


def test_an_answer_for_an_earlier_boot_is_stopped_by_the_key_in_memory(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    laptop.faults.write_text("replay")
    _, wrapped = sealer_at(laptop, nsm, endpoint).new_key(CONTEXT)
    later = sealer_at(laptop, nsm, endpoint)
    assert "another enclave" in refused(lambda: later.new_key(CONTEXT)).reason
    laptop.faults.unlink()
    later.open_key(wrapped, CONTEXT)


def test_an_envelope_that_the_host_made_itself(laptop: Laptop, nsm: Nsm) -> None:
    """With the public key of the document that it carried, around a key that it knows: a KMS of the host's own gives
    it, to requests that are good. The endpoint's certificate stops the enclave before it has asked for anything."""
    asked: list[str] = []

    def respond(target: str, body: dict[str, Any], caller: str) -> Answer:
        asked.append(target)
        return Answer(200, {"KeyId": ARN, "CiphertextBlob": "AAAA", "CiphertextForRecipient": forged_envelope(body)})

    def from_the_host(authorities: Path) -> Refusal | bytes:
        with KmsServer(("127.0.0.1", 0), authorities, respond) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                return bytes(sealer_at(laptop, nsm, server.endpoint).new_key(CONTEXT)[0].expose())
            except Refusal as refusal:
                return refusal
            finally:
                server.shutdown()
                thread.join()

    pki.create(laptop.directory / "impostor")
    refusal = from_the_host(laptop.directory / "impostor")
    assert isinstance(refusal, Refusal) and refusal.code == "sealer_refused" and not asked
    # All that the certificate stands between: with the pinned authority's own key, the host's envelope opens.
    assert from_the_host(laptop.pki) == FORGED_KEY and asked


def test_a_key_in_the_clear_is_not_taken(laptop: Laptop, sealer: KmsSealer) -> None:
    laptop.faults.write_text("plaintext")
    assert refused(lambda: sealer.new_key(CONTEXT)).code == "sealer_refused"


@pytest.mark.parametrize("field", ["CiphertextBlob", "CiphertextForRecipient", "KeyId"])
def test_an_answer_that_lacks_something(laptop: Laptop, sealer: KmsSealer, field: str) -> None:
    laptop.faults.write_text(f"lacking {field}")
    assert refused(lambda: sealer.new_key(CONTEXT)).code == "sealer_refused"


# --- A KMS that does not serve ---


@pytest.mark.parametrize("fault", ["throttle", "outage", "silent"])
def test_a_kms_that_cannot_serve_now(laptop: Laptop, nsm: Nsm, endpoint: str, fault: str) -> None:
    sealer = sealer_at(laptop, nsm, endpoint, read_timeout=0.3, attempts=2)
    laptop.faults.write_text(fault)
    started = time.monotonic()
    refusal = refused(lambda: sealer.new_key(CONTEXT))
    assert refusal.code == "sealer_unavailable" and refusal.retryable
    assert time.monotonic() - started < 5
    laptop.faults.unlink()
    sealer.new_key(CONTEXT)


def test_a_kms_that_is_gone(laptop: Laptop, nsm: Nsm) -> None:
    with laptop.serve_kms() as endpoint:
        pass
    assert refused(lambda: sealer_at(laptop, nsm, endpoint).new_key(CONTEXT)).code == "sealer_unavailable"


# --- Configuration, environment, credentials ---


@pytest.mark.parametrize(
    "key",
    [
        "alice",
        "arn:aws:kms:eu-central-1:000000000000:alias/alice",
        "arn:aws:s3:eu-central-1:000000000000:key/alice",
        f"{ARN}/..",
        "",
    ],
)
def test_only_a_keys_own_arn_can_be_pinned(laptop: Laptop, nsm: Nsm, key: str) -> None:
    """An alias is a name that its owner can point elsewhere."""
    refusal = refused(lambda: sealer_at(laptop, nsm, "", sealing=sealing(laptop, "https://127.0.0.1:1", key)))
    assert refusal.code == "bad_configuration"


def test_an_endpoint_without_tls_is_refused(laptop: Laptop, nsm: Nsm) -> None:
    assert refused(lambda: sealer_at(laptop, nsm, "http://127.0.0.1:1")).code == "bad_configuration"


def test_an_authority_needs_its_endpoint_and_a_kms_key_its_kind(laptop: Laptop, nsm: Nsm, endpoint: str) -> None:
    honest = sealing(laptop, endpoint)
    for wrong in (dataclasses.replace(honest, endpoint=None), dataclasses.replace(honest, kind="pkcs11")):
        refusal = refused(lambda wrong=wrong: sealer_at(laptop, nsm, "", sealing=wrong))  # type: ignore[misc]
        assert refusal.code == "bad_configuration"


REDIRECTIONS = {
    "AWS_ENDPOINT_URL": "https://127.0.0.1:9",
    "AWS_ENDPOINT_URL_KMS": "https://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "AWS_CA_BUNDLE": "/nonexistent",
    "REQUESTS_CA_BUNDLE": "/nonexistent",
    "AWS_PROFILE": "theirs",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def test_the_environment_chooses_nothing(sealer: KmsSealer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REDIRECTIONS.items():
        monkeypatch.setenv(name, value)
    key, wrapped = sealer.new_key(CONTEXT)
    assert sealer.open_key(wrapped, CONTEXT).expose() == key.expose()


def test_without_an_endpoint_it_is_awss_of_the_keys_region(nsm: Nsm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REDIRECTIONS.items():
        monkeypatch.setenv(name, value)
    sealer = KmsSealer(Sealing("kms", ARN), nsm, credentials=credentials.simulated)
    assert sealer._connected().meta.endpoint_url == "https://kms.eu-central-1.amazonaws.com"


def test_credentials_are_read_anew(laptop: Laptop, nsm: Nsm, endpoint: str, tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    sealer = sealer_at(laptop, nsm, endpoint, credentials=credentials.from_file(file))
    for content in (None, "", "[]", "{}", '{"AccessKeyId": "x"}'):
        if content is not None:
            file.write_text(content)
        assert refused(lambda: sealer.new_key(CONTEXT)).code == "sealer_unavailable"
    for token in (None, "one", "two"):
        file.write_text(json.dumps({"AccessKeyId": "x", "SecretAccessKey": "y", "SessionToken": token}))
        sealer.new_key(CONTEXT)


def test_stale_credentials_are_said_and_new_ones_taken(laptop: Laptop, nsm: Nsm, endpoint: str, tmp_path: Path) -> None:
    """The host's role gives some for hours at a time. What it forgot to renew is retried, and is no lost key."""
    file = tmp_path / "credentials.json"
    sealer = sealer_at(laptop, nsm, endpoint, credentials=credentials.from_file(file))
    for key in ("FIRST", "SECOND"):
        laptop.faults.unlink(missing_ok=True)
        file.write_text(json.dumps({"AccessKeyId": key, "SecretAccessKey": "secret", "SessionToken": "token"}))
        sealer.new_key(CONTEXT)
        laptop.faults.write_text(f"stale {key}")
        refusal = refused(lambda: sealer.new_key(CONTEXT))
        assert refusal.code == "sealer_unavailable" and refusal.retryable
        assert "credentials" in refusal.reason and "ExpiredToken" in refusal.reason
        assert "secret" not in refusal.reason and "token" not in refusal.reason.split()


@pytest.mark.parametrize("code", sorted(_CREDENTIALS))
def test_every_word_of_aws_for_wrong_credentials(code: str) -> None:
    error = ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "Decrypt")
    assert _refusal(error).code == "sealer_unavailable"


def test_credentials_from_the_environment() -> None:
    given = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_SESSION_TOKEN": "z"}
    assert credentials.from_environment(given)() == credentials.Credentials("x", "y", "z")
    assert refused(credentials.from_environment({})).code == "sealer_unavailable"
    assert repr(credentials.Credentials("x", "secret", "token")) == "Credentials(access_key='x')"
