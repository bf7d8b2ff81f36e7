"""The simulated KMS: who gets a data key, and in what form."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from strongroom_enclave.cms import RecipientKey
from strongroom_simulator import keypolicy, pki
from strongroom_simulator.document import Document
from strongroom_simulator.keystore import KeyStore
from strongroom_simulator.kms import Answer, Kms
from tests.simulator.running import ARN, OTHER_ARN, REGISTERS, Laptop

CONTEXT = {"signer": "alice", "wallet": "ab" * 16, "epoch": "1", "kind": "share"}


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    pki.create(tmp_path / "pki")
    laptop = Laptop(tmp_path)
    laptop.own_keys(ARN, OTHER_ARN)
    return laptop


@pytest.fixture(scope="module")
def enclave_key() -> RecipientKey:
    return RecipientKey()


def document(laptop: Laptop, public_key: bytes, registers: dict[int, bytes] | None = None, age: float = 0) -> bytes:
    root = pki.load(laptop.pki, pki.NITRO_ROOT)
    at = time.time() - age
    chain = pki.issue_chain(root, "i-alice-enc00", int(at), 10_800)
    pcrs = registers or REGISTERS
    return Document("i-alice-enc00", int(at * 1000), pcrs, chain.leaf.der, chain.bundle, public_key).sign(
        chain.leaf.key
    )


def recipient(document: bytes, algorithm: str = "RSAES_OAEP_SHA_256") -> dict[str, str]:
    return {"KeyEncryptionAlgorithm": algorithm, "AttestationDocument": base64.b64encode(document).decode()}


def generate(kms: Kms, document: bytes | None, **fields: Any) -> Answer:
    body: dict[str, Any] = {"KeyId": ARN, "KeySpec": "AES_256", "EncryptionContext": CONTEXT, **fields}
    if document is not None:
        body["Recipient"] = recipient(document)
    return kms.answer("TrentService.GenerateDataKey", body)


def decrypt(kms: Kms, blob: str, document: bytes, **fields: Any) -> Answer:
    body = {"KeyId": ARN, "CiphertextBlob": blob, "EncryptionContext": CONTEXT, "Recipient": recipient(document)}
    return kms.answer("TrentService.Decrypt", body | fields)


def error(answer: Answer) -> str:
    assert answer.status == 400
    found: str = answer.body["__type"]
    return found


def opened(key: RecipientKey, answer: Answer) -> bytes:
    assert answer.status == 200, answer.body
    return bytes(key.open(base64.b64decode(answer.body["CiphertextForRecipient"])))


def test_a_data_key_goes_to_the_enclave_alone_and_comes_back_after_a_restart(
    laptop: Laptop, enclave_key: RecipientKey
) -> None:
    made = generate(laptop.kms(), document(laptop, enclave_key.public))
    assert "Plaintext" not in made.body and made.body["KeyId"] == ARN
    again = decrypt(laptop.kms(), made.body["CiphertextBlob"], document(laptop, enclave_key.public))
    assert "Plaintext" not in again.body
    assert opened(enclave_key, made) == opened(enclave_key, again)


def test_two_data_keys_differ(laptop: Laptop, enclave_key: RecipientKey) -> None:
    one, two = (generate(laptop.kms(), document(laptop, enclave_key.public)) for _ in range(2))
    assert opened(enclave_key, one) != opened(enclave_key, two)


def test_a_caller_without_a_document_has_the_policy_against_it(laptop: Laptop) -> None:
    assert error(generate(laptop.kms(), None)) == "AccessDeniedException"


@pytest.mark.parametrize("index", sorted(REGISTERS))
def test_another_measurement_is_denied(laptop: Laptop, enclave_key: RecipientKey, index: int) -> None:
    other = {**REGISTERS, index: b"\xee" * 48}
    assert error(generate(laptop.kms(), document(laptop, enclave_key.public, other))) == "AccessDeniedException"


def test_a_register_that_the_document_lacks_is_denied(laptop: Laptop, enclave_key: RecipientKey) -> None:
    laptop.own_keys(ARN, registers={**REGISTERS, 16: b"\x16" * 48})
    assert error(generate(laptop.kms(), document(laptop, enclave_key.public))) == "AccessDeniedException"


def test_a_policy_that_its_owner_changed_holds_at_once(laptop: Laptop, enclave_key: RecipientKey) -> None:
    kms = laptop.kms()
    blob = generate(kms, document(laptop, enclave_key.public)).body["CiphertextBlob"]
    laptop.own_keys(ARN, registers={0: b"\xee" * 48})
    assert error(decrypt(kms, blob, document(laptop, enclave_key.public))) == "AccessDeniedException"


def test_a_debug_enclave_gets_nothing(laptop: Laptop, enclave_key: RecipientKey) -> None:
    zero = {**REGISTERS, 0: bytes(48)}
    laptop.own_keys(ARN, registers=zero)
    assert error(generate(laptop.kms(), document(laptop, enclave_key.public, zero))) == "ValidationException"


def test_an_old_document_is_refused(laptop: Laptop, enclave_key: RecipientKey) -> None:
    old = document(laptop, enclave_key.public, age=400)
    assert error(generate(laptop.kms(), old)) == "ValidationException"


def test_another_root_is_refused(laptop: Laptop, enclave_key: RecipientKey, tmp_path: Path) -> None:
    pki.create(tmp_path / "other" / "pki")
    foreign = document(Laptop(tmp_path / "other"), enclave_key.public)
    assert error(generate(laptop.kms(), foreign)) == "ValidationException"


@pytest.mark.parametrize(
    "public_key",
    [
        pytest.param(b"noise", id="noise"),
        pytest.param(
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            id="P-256",
        ),
        pytest.param(
            rsa.generate_private_key(65537, 1024)
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            id="RSA-1024",
        ),
    ],
)
def test_a_recipient_needs_a_strong_rsa_key(laptop: Laptop, public_key: bytes) -> None:
    assert error(generate(laptop.kms(), document(laptop, public_key))) == "ValidationException"


def test_a_recipient_names_its_algorithm(laptop: Laptop, enclave_key: RecipientKey) -> None:
    given = recipient(document(laptop, enclave_key.public), "RSAES_OAEP_SHA_1")
    assert error(generate(laptop.kms(), None, Recipient=given)) == "ValidationException"


def test_the_context_is_part_of_the_ciphertext(laptop: Laptop, enclave_key: RecipientKey) -> None:
    kms = laptop.kms()
    blob = generate(kms, document(laptop, enclave_key.public)).body["CiphertextBlob"]
    for context in ({}, {**CONTEXT, "epoch": "2"}, {**CONTEXT, "more": "x"}):
        answer = decrypt(kms, blob, document(laptop, enclave_key.public), EncryptionContext=context)
        assert error(answer) == "InvalidCiphertextException"


def test_a_blob_of_another_key(laptop: Laptop, enclave_key: RecipientKey) -> None:
    kms = laptop.kms()
    blob = generate(kms, document(laptop, enclave_key.public), KeyId=OTHER_ARN).body["CiphertextBlob"]
    assert error(decrypt(kms, blob, document(laptop, enclave_key.public))) == "IncorrectKeyException"


def test_a_blob_that_was_changed(laptop: Laptop, enclave_key: RecipientKey) -> None:
    kms = laptop.kms()
    blob = bytearray(base64.b64decode(generate(kms, document(laptop, enclave_key.public)).body["CiphertextBlob"]))
    for at in (0, 1, 40, len(blob) - 1):
        changed = bytearray(blob)
        changed[at] ^= 1
        answer = decrypt(kms, base64.b64encode(changed).decode(), document(laptop, enclave_key.public))
        assert error(answer) == "InvalidCiphertextException"
    for size in (0, 10, 33, 45):
        answer = decrypt(kms, base64.b64encode(blob[:size]).decode(), document(laptop, enclave_key.public))
        assert error(answer) == "InvalidCiphertextException"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"KeyId": "arn:none"}, "NotFoundException"),
        ({"KeySpec": "AES_128"}, "ValidationException"),
        ({"KeySpec": None, "NumberOfBytes": 64}, "ValidationException"),
    ],
)
def test_requests_that_make_no_sense(
    laptop: Laptop, enclave_key: RecipientKey, fields: dict[str, Any], name: str
) -> None:
    assert error(generate(laptop.kms(), document(laptop, enclave_key.public), **fields)) == name


def test_an_operation_that_the_simulator_lacks(laptop: Laptop) -> None:
    assert error(laptop.kms().answer("TrentService.Encrypt", {})) == "UnknownOperationException"


def test_an_explicit_deny_wins(laptop: Laptop) -> None:
    policy = keypolicy.for_measurements({})
    assert keypolicy.allows(policy, "kms:Decrypt", None, {})
    assert not keypolicy.allows(policy, "kms:PutKeyPolicy", None, {})
    policy["Statement"].append({"Effect": "Deny", "Action": "kms:*"})
    assert not keypolicy.allows(policy, "kms:Decrypt", None, {})


def test_a_policy_in_words_that_the_simulator_does_not_know(laptop: Laptop) -> None:
    for extra in ({"NotAction": "x"}, {"Condition": {"Bool": {"a": "b"}}}):
        policy = {"Statement": [{"Effect": "Allow", "Action": "kms:Decrypt", **extra}]}
        with pytest.raises(ValueError):
            keypolicy.allows(policy, "kms:Decrypt", None, {"x": "y"})


def test_master_keys_are_private_files(laptop: Laptop, enclave_key: RecipientKey) -> None:
    generate(laptop.kms(), document(laptop, enclave_key.public))
    files = list((laptop.directory / "state").iterdir())
    assert files and all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert KeyStore(laptop.directory / "state", laptop.directory / "keys.json").find("alice") is not None
