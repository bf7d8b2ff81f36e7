"""Statements of rebuilds: who built a release too, and got the same image; signed once, and changed in every byte."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom_client import keyfiles
from strongroom_client.reviewing import rebuilds
from tests.client.reviewing import KEY, described, statement, write
from tests.cluster.commands import inside

HONEST = statement()


def refused(call: Callable[[], object], code: str = "bad_rebuild") -> str:
    with pytest.raises(Refusal) as caught:
        call()
    assert caught.value.code == code
    return caught.value.reason


def test_what_was_signed_is_read_again() -> None:
    rebuild = rebuilds.verify(rebuilds.sign(HONEST, KEY))
    assert rebuild == HONEST


def test_any_cose_library_could_verify_it() -> None:
    """RFC 9052 section 4.4, put together by another CBOR library."""
    protected, unprotected, payload, signature = cbor2.loads(rebuilds.sign(HONEST, KEY))
    assert cbor2.loads(protected) == {1: -8} and unprotected == {}
    signed = cbor2.dumps(["Signature1", protected, b"strongroom/rebuild/v1", payload])
    KEY.public_key().verify(signature, signed)


def test_every_byte_counts() -> None:
    honest = rebuilds.sign(HONEST, KEY)
    for at in range(len(honest)):
        for bit in (1, 0x80):
            changed = honest[:at] + bytes((honest[at] ^ bit,)) + honest[at + 1 :]
            refused(lambda changed=changed: rebuilds.verify(changed))  # type: ignore[misc]


@given(st.binary(max_size=300))
def test_noise(noise: bytes) -> None:
    refused(lambda: rebuilds.verify(noise))


def resigned(**changed: Any) -> bytes:
    payload = cbor.encode(cbor2.loads(HONEST.encode()) | changed)
    return cbor.encode([rebuilds.PROTECTED, {}, payload, KEY.sign(rebuilds.signing_bytes(payload))])


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"v": True},
        {"builder": bytes(32)},
        {"builder": bytes(31)},
        {"release": "x" * 201},
        {"sources": None},
        {"built": -1},
        {"measurements": {}},
        {"measurements": {"pcr0": bytes(48), "pcr1": bytes(48)}},
        {"measurements": dict.fromkeys(("pcr0", "pcr1", "pcr2", "pcr3"), bytes(48))},
        {"measurements": dict.fromkeys(("pcr0", "pcr1", "pcr2"), bytes(32))},
        {"more": 1},
    ],
)
def test_a_payload_of_another_form(changed: dict[str, Any]) -> None:
    refused(lambda: rebuilds.verify(resigned(**changed)))


def test_a_signature_for_something_else_is_none_of_a_rebuild() -> None:
    payload = HONEST.encode()
    for message in (payload, cbor.encode(["Signature1", rebuilds.PROTECTED, b"", payload])):
        other = cbor.encode([rebuilds.PROTECTED, {}, payload, KEY.sign(message)])
        assert "signature" in refused(lambda other=other: rebuilds.verify(other))  # type: ignore[misc]


def test_somebody_elses_key() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    with pytest.raises(ValueError, match="another key"):
        rebuilds.sign(HONEST, other)
    payload = HONEST.encode()
    forged = cbor.encode([rebuilds.PROTECTED, {}, payload, other.sign(rebuilds.signing_bytes(payload))])
    refused(lambda: rebuilds.verify(forged))


def test_a_statement_in_a_file(tmp_path: Path) -> None:
    honest, file = rebuilds.sign(HONEST, KEY), tmp_path / "statement"
    for content in (honest, base64.encodebytes(honest), b"\n" + base64.b64encode(honest)):
        file.write_bytes(content)
        assert rebuilds.load(file) == HONEST
    for content in (b"", b"hello", honest + b"\0", bytes(5000), b"A" * 8000):
        file.write_bytes(content)
        refused(lambda: rebuilds.load(file))
    refused(lambda: rebuilds.load(tmp_path / "nothing"), "bad_file")


def test_names_of_rebuilders(tmp_path: Path) -> None:
    file = tmp_path / "rebuilders.json"
    known = {"name": "Alder", "key": HONEST.builder.hex()}
    file.write_text(json.dumps({"rebuilders": [known]}))
    assert rebuilds.load_builders(file) == {HONEST.builder: "Alder"}
    for rows in ([known, known], [known, known | {"name": "Birch"}], [known | {"key": "00"}], [7], [known | {"x": 1}]):
        file.write_text(json.dumps({"rebuilders": rows}))
        refused(lambda: rebuilds.load_builders(file), "bad_file")


def test_the_command_signs_what_was_built(tmp_path: Path, measured: Path) -> None:
    key, output = tmp_path / "key.pem", tmp_path / "statement"
    first = inside("evidence", "rebuilt", "--release", measured, "--sources", "c0ffee", "--key", key, "-o", output)
    assert first.status == 0 and key.exists()
    said = inside(
        "evidence", "rebuilt", "--release", measured, "--sources", "c0ffee", "--key", key, "-o", output, "--json"
    )
    made = rebuilds.load(output)
    assert said.json["builder"] == made.builder.hex() == keyfiles.public(keyfiles.load(key, lambda: b"")).hex()
    assert made == dataclasses.replace(HONEST, builder=made.builder, built=made.built, tools="", sources="c0ffee")


def test_the_commit_is_the_releases_own_unless_another_is_named(tmp_path: Path) -> None:
    bare, named = (
        write(tmp_path / "a.json", described()),
        write(tmp_path / "b.json", described(made_with={"source": "5"})),
    )
    more = ("--key", tmp_path / "key.pem", "-o", tmp_path / "statement")
    assert inside("evidence", "rebuilt", "--release", bare, *more).status == 2
    assert inside("evidence", "rebuilt", "--release", named, *more).status == 0
    assert rebuilds.load(tmp_path / "statement").sources == "5"


def test_two_rebuilds_of_one_image_differ_in_who_and_when_alone() -> None:
    later = dataclasses.replace(HONEST, built=HONEST.built + 1)
    assert rebuilds.sign(later, KEY) != rebuilds.sign(HONEST, KEY)
