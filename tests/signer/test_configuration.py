"""A signer's attested configuration: one encoding, and a digest that covers all of it."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.signer.configuration import Configuration, Officers, Sealing
from strongroom.wire import cbor
from tests.wallet.orders import OFFICER_KEYS, OFFICERS, configuration
from tests.wire.refused import refused

HONEST = Configuration("simulated", "a", OFFICERS, Sealing("kms", "arn", "https://localhost", bytes(32)))
KEYS = tuple(OFFICER_KEYS)


def changed(**changes: Any) -> bytes:
    value = cbor.decode(HONEST.encode())
    assert isinstance(value, dict)
    return cbor.encode({**value, **changes})


def test_the_bytes_are_those_of_the_specification() -> None:
    sealing: dict[str, cbor.Value] = {
        "kind": "kms",
        "key": "arn",
        "endpoint": "https://localhost",
        "authority": bytes(32),
    }
    officers: dict[str, cbor.Value] = {"keys": list(KEYS), "quorum": 2}
    assert HONEST.encode() == cbor.encode(
        {"v": 1, "mode": "simulated", "name": "a", "officers": officers, "sealing": sealing}
    )
    digest = hashlib.sha384(b"strongroom/configuration/v1" + HONEST.encode()).digest()
    assert HONEST.digest() == digest
    assert HONEST.pcr16() == hashlib.sha384(bytes(48) + digest).digest()
    assert Configuration.decode(HONEST.encode()) == HONEST


def test_the_digest_covers_every_field() -> None:
    others = [
        dataclasses.replace(HONEST, name="b"),
        dataclasses.replace(HONEST, officers=Officers(KEYS, 1)),
        dataclasses.replace(HONEST, officers=Officers(KEYS[:2], 2)),
        *(
            dataclasses.replace(HONEST, sealing=dataclasses.replace(HONEST.sealing, **changes))
            for changes in CHANGED_SEALING
        ),
        dataclasses.replace(HONEST, mode="production", sealing=Sealing("kms", "arn")),
    ]
    assert len({HONEST.digest(), *(other.digest() for other in others)}) == 1 + len(others)


CHANGED_SEALING: list[dict[str, Any]] = [
    {"kind": "pkcs11"},
    {"key": "other"},
    {"endpoint": None},
    {"authority": None},
    {"authority": b"\1" * 32},
]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"v": 2}, "malformed_message"),
        ({"more": 1}, "malformed_message"),
        ({"mode": "debug"}, "bad_configuration"),
        ({"name": ""}, "bad_configuration"),
        ({"name": "A"}, "bad_configuration"),
        ({"name": "a_b"}, "bad_configuration"),
        ({"name": "a-"}, "bad_configuration"),
        ({"name": "a\n"}, "bad_configuration"),
        ({"name": "a" * 33}, "bad_configuration"),
        ({"officers": {"keys": [], "quorum": 0}}, "bad_configuration"),
        ({"officers": {"keys": [KEYS[0]], "quorum": 0}}, "bad_configuration"),
        ({"officers": {"keys": [KEYS[0]], "quorum": 2}}, "bad_configuration"),
        ({"officers": {"keys": [KEYS[1], KEYS[0]], "quorum": 1}}, "bad_configuration"),
        ({"officers": {"keys": [KEYS[0], KEYS[0]], "quorum": 1}}, "bad_configuration"),
        ({"officers": {"keys": [bytes(31)], "quorum": 1}}, "bad_configuration"),
        ({"officers": {"keys": [bytes((n,)) * 32 for n in range(17)], "quorum": 1}}, "malformed_message"),
        ({"officers": {"keys": [KEYS[0]], "quorum": 1, "more": 1}}, "malformed_message"),
        ({"sealing": {"kind": "none", "key": "", "endpoint": None, "authority": None}}, "bad_configuration"),
        ({"sealing": {"kind": "kms", "key": "", "endpoint": None, "authority": bytes(31)}}, "malformed_message"),
        ({"sealing": {"kind": "kms", "key": "", "endpoint": None}}, "malformed_message"),
        ({"mode": "production"}, "mode_mismatch"),
    ],
    ids=range(21),
)
def test_another_form_is_refused(changes: dict[str, Any], code: str) -> None:
    refused(code, Configuration.decode, changed(**changes))


@pytest.mark.parametrize("own", [{"endpoint": "https://kms"}, {"authority": bytes(32)}])
def test_production_takes_no_endpoint_and_no_authority_of_its_own(own: dict[str, Any]) -> None:
    """A host that may name the endpoint may know every data key."""
    Configuration("production", "a", OFFICERS, Sealing("kms", "arn"))
    refused("mode_mismatch", Configuration, "production", "a", OFFICERS, Sealing("kms", "arn", **own))


@given(st.data())
def test_whatever_is_read_is_written_again_byte_for_byte(data: st.DataObject) -> None:
    raw = bytearray(HONEST.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = Configuration.decode(bytes(raw))
    except Refusal:
        return
    assert again.encode() == bytes(raw)


# --- As people write it ---


def as_json(**changes: Any) -> dict[str, Any]:
    officers = {"keys": [key.hex() for key in reversed(KEYS)], "quorum": 2}
    sealing: dict[str, cbor.Value] = {"kind": "kms", "key": "arn:aws:kms:key/a"}
    return {"mode": "simulated", "name": "a", "officers": officers, "sealing": sealing, **changes}


def test_a_file_gives_the_same_configuration() -> None:
    assert Configuration.from_json(as_json()) == configuration("a")
    full = {"kind": "kms", "key": "arn", "endpoint": "https://localhost", "authority": bytes(32).hex()}
    assert Configuration.from_json(as_json(sealing=full)) == HONEST


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "text",
        {},
        as_json(more=1),
        as_json(name=1),
        as_json(name="A"),
        as_json(officers=None),
        as_json(officers={"keys": ["zz"], "quorum": 1}),
        as_json(officers={"keys": [1], "quorum": 1}),
        as_json(officers={"keys": 1, "quorum": 1}),
        as_json(officers={"keys": [KEYS[0].hex()], "quorum": 1.0}),
        as_json(sealing=[]),
        as_json(sealing={"kind": "kms"}),
        as_json(sealing={"kind": "kms", "key": "arn", "authority": 1}),
        as_json(mode="production", sealing={"kind": "kms", "key": "arn", "endpoint": "https://kms"}),
        as_json(extra={1: 2}),
    ],
    ids=range(17),
)
def test_a_bad_file_is_one_code(value: object) -> None:
    refused("bad_configuration", Configuration.from_json, value)
