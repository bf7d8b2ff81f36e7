"""EIP-712: the EIP's own example, eth-account's digests over generated documents, and every document that hides one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains import evm
from strongroom.chains.evm.typed_data import MAX_SIZE, TypedData
from strongroom.errors import Refusal
from tests.wire.refused import refused

Document = dict[str, Any]

CONTRACT = "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"

MAIL: Document = {
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [
            {"name": "from", "type": "Person"},
            {"name": "to", "type": "Person"},
            {"name": "contents", "type": "string"},
        ],
    },
    "primaryType": "Mail",
    "domain": {"name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": CONTRACT},
    "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
        "contents": "Hello, Bob!",
    },
}
"""The EIP's example (assets/eip-712/Example.js)."""


def decode(document: Any) -> TypedData:
    return TypedData.decode(json.dumps(document).encode())


def mail(change: Callable[[Document], object]) -> Document:
    document: Document = json.loads(json.dumps(MAIL))
    change(document)
    return document


def bad(change: Callable[[Document], object], code: str = "malformed_transaction") -> str:
    return refused(code, decode, mail(change)).reason


def one(kind: str, value: Any) -> Document:
    """A document whose message is one field."""
    return {
        "types": {"EIP712Domain": [{"name": "chainId", "type": "uint256"}], "One": [{"name": "field", "type": kind}]},
        "primaryType": "One",
        "domain": {"chainId": 1},
        "message": {"field": value},
    }


def theirs(document: Document) -> bytes:
    return bytes(_hash_eip191_message(encode_typed_data(full_message=document)))


def test_the_eips_own_example() -> None:
    data = decode(MAIL)
    assert data.encoded_type("Mail") == (
        "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    )
    assert data.digest.hex() == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    assert (data.chain_id, data.contract) == (1, CONTRACT.lower())


# --- Generated documents, against another implementation ---


def of_bits(bits: int, signed: bool) -> st.SearchStrategy[Any]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.sampled_from([low, high]) | st.integers(low, high)


def hexadecimal(size: int | None) -> st.SearchStrategy[str]:
    raw = st.binary(min_size=size or 0, max_size=40 if size is None else size)
    return raw.map(lambda value: "0x" + value.hex())


TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
ATOMS: dict[str, st.SearchStrategy[Any]] = {
    "address": st.binary(min_size=20, max_size=20).map(evm.checksum),
    "bool": st.booleans(),
    "string": TEXT,
    "bytes": hexadecimal(None),
    **{f"bytes{size}": hexadecimal(size) for size in (1, 4, 31, 32)},
    **{f"uint{bits}": of_bits(bits, False) for bits in (8, 48, 160, 256)},
    **{f"int{bits}": of_bits(bits, True) for bits in (8, 128, 256)},
}


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Structs that refer to later ones, in arrays of arrays too; each is reachable from the first."""
    names = ["Order", "asset", "Zone"][: draw(st.integers(1, 3))]
    types: dict[str, list[dict[str, str]]] = {}
    for place, name in enumerate(names):
        fields = draw(st.lists(st.sampled_from(list(ATOMS)), min_size=1, max_size=3)) + names[place + 1 : place + 2]
        fields += draw(st.lists(st.sampled_from(names[place + 1 :]), max_size=1)) if names[place + 1 :] else []
        arrays = draw(
            st.lists(st.sampled_from(["", "", "[]", "[2]", "[][1]"]), min_size=len(fields), max_size=len(fields))
        )
        types[name] = [
            {"name": f"f{number}", "type": kind + array}
            for number, (kind, array) in enumerate(zip(fields, arrays, strict=True))
        ]

    def value(kind: str) -> Any:
        if kind.endswith("]"):
            inner, _, size = kind[:-1].rpartition("[")
            return [value(inner) for _ in range(int(size) if size else draw(st.integers(0, 2)))]
        if kind in types:
            return {field["name"]: value(field["type"]) for field in types[kind]}
        return draw(ATOMS[kind])

    domain: Document = {"name": draw(TEXT), "version": "1", "chainId": draw(st.integers(1, 2**64 - 1))}
    domain |= {"verifyingContract": CONTRACT, "salt": draw(hexadecimal(32))}
    kept = [dict(field) for field in DOMAIN if field["name"] == "chainId" or draw(st.booleans())]
    return {
        "types": {"EIP712Domain": kept, **types},
        "primaryType": names[0],
        "domain": {field["name"]: domain[field["name"]] for field in kept},
        "message": value(names[0]),
    }


DOMAIN = [*MAIL["types"]["EIP712Domain"], {"name": "salt", "type": "bytes32"}]


@settings(max_examples=60, deadline=None)
@given(documents())
def test_digests_are_eth_accounts(document: Document) -> None:
    assert decode(document).digest == theirs(document)


@settings(max_examples=60, deadline=None)
@given(documents(), st.data())
def test_a_bent_document_is_refused_or_read_with_its_own_digest(document: Document, data: st.DataObject) -> None:
    """Any value in any place: only refusals, and what is accepted is what others sign."""
    holder: Any = document
    while isinstance(holder, dict | list) and holder:
        place: Any = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
        if not isinstance(holder[place], dict | list) or not holder[place] or data.draw(st.booleans()):
            break
        holder = holder[place]
    if not holder:
        return
    holder[place] = data.draw(JSON)
    try:
        changed = decode(document)
    except Refusal as refusal:
        assert refusal.code in ("malformed_transaction", "unsupported_transaction")
        return
    assert changed.digest == theirs(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=3,
)


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_refused(raw: bytes) -> None:
    refused("malformed_transaction", TypedData.decode, raw)


# --- Form ---


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"{",
        b"[" * 100_000,
        b"[" * 60_000,
        b"\xef\xbb\xbf" + json.dumps(MAIL).encode(),
        json.dumps(MAIL).encode() + b"{}",
        json.dumps(MAIL).encode("utf-16"),
        b'{"types": ' + b"9" * 5000 + b"}",
    ],
    ids=range(11),
)
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    refused("malformed_transaction", TypedData.decode, raw)


def test_a_document_has_four_keys() -> None:
    for name in MAIL:
        bad(lambda document, name=name: document.pop(name))  # type: ignore[misc]
    bad(lambda document: document.update(note="shown and signed by nobody"))


@pytest.mark.parametrize("place", ["types", "domain", "message"])
@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_its_parts_are_objects(place: str, value: Any) -> None:
    bad(lambda document: document.update({place: value}))


@pytest.mark.parametrize("value", ["Nobody", "EIP712Domain", "string", "", None, 1, [], {}, ["Mail"]])
def test_the_primary_type_is_declared(value: Any) -> None:
    bad(lambda document: document.update(primaryType=value))


def test_a_key_twice_is_refused() -> None:
    """One reader shows the first, another signs the last."""
    honest = json.dumps(MAIL)
    twice = honest.replace('"contents": "Hello, Bob!"', '"contents": "Hello, Bob!", "contents": "All my ether"')
    assert twice != honest
    assert "twice" in refused("malformed_transaction", TypedData.decode, twice.encode()).reason


def test_undeclared_fields_are_refused() -> None:
    """alloy-dyn-abi 1.7 ignores them: a page would show them, and nobody would sign them."""
    bad(lambda document: document["message"].update(amount=1))
    bad(lambda document: document["message"]["to"].update(amount=1))
    bad(lambda document: document["domain"].update(salt="0x" + "00" * 32))


def test_missing_fields_are_refused() -> None:
    """Other libraries take an empty value for them."""
    bad(lambda document: document["message"].pop("contents"))
    bad(lambda document: document["message"]["to"].pop("wallet"))
    bad(lambda document: document["message"].update(to=None))
    bad(lambda document: document["domain"].pop("version"))


def test_declared_and_unused_types_are_refused() -> None:
    unused = [{"name": "value", "type": "uint256"}]
    assert "never used" in bad(lambda document: document["types"].update(Permit=unused))
    bad(lambda document: document["types"].update(Loop=[{"name": "again", "type": "Loop[]"}]))


def test_the_domain_names_a_chain() -> None:
    def without(document: Document) -> None:
        del document["types"]["EIP712Domain"][2], document["domain"]["chainId"]

    assert "every chain" in bad(without, "unsupported_transaction")
    assert "every chain" in bad(lambda document: document["domain"].update(chainId=0), "unsupported_transaction")
    bad(lambda document: document["domain"].update(chainId=2**64))
    bad(lambda document: document["domain"].update(chainId=-1))
    assert decode(mail(lambda document: document["domain"].update(chainId="0x89"))).chain_id == 137


@pytest.mark.parametrize(
    "fields",
    [
        [],
        list(reversed(DOMAIN)),
        [*DOMAIN, {"name": "more", "type": "string"}],
        [{"name": "chainId", "type": "uint64"}],
        [DOMAIN[2], DOMAIN[2]],
    ],
    ids=range(5),
)
def test_the_domain_has_the_eips_fields_in_its_order(fields: list[dict[str, str]]) -> None:
    bad(lambda document: document["types"].update(EIP712Domain=fields))


def test_without_a_contract() -> None:
    assert decode(one("bool", True)).contract is None


@pytest.mark.parametrize(
    "name",
    ["", "1A", "A B", "Ä", "A" * 65, "uint256", "uint7", "uint", "int", "bytes33", "bytes", "address", "string", "bool",
     "fixed128x18", "function", "A[]", "A(", "A,B"],
)  # fmt: skip
def test_names_of_types_are_sound(name: str) -> None:
    """A name that looks like another type, or that changes encodeType's text, is none."""

    def change(document: Document) -> None:
        document["types"][name] = document["types"].pop("Person")
        for field in document["types"]["Mail"][:2]:
            field["type"] = name

    bad(change)


@pytest.mark.parametrize(
    "field",
    [
        {"name": "to"},
        {"name": "to", "type": "string", "more": 1},
        {"name": "to", "type": ""},
        {"name": "to", "type": None},
        {"name": "", "type": "string"},
        {"name": "a b", "type": "string"},
        {"name": None, "type": "string"},
        {"name": "contents", "type": "string"},  # twice
        {"name": "to", "type": "Nobody"},
        {"name": "to", "type": "uint"},
        {"name": "to", "type": "uint7"},
        {"name": "to", "type": "uint264"},
        {"name": "to", "type": "bytes0"},
        {"name": "to", "type": "bytes33"},
        {"name": "to", "type": "string[0]"},
        {"name": "to", "type": "string[01]"},
        {"name": "to", "type": "string[-1]"},
        {"name": "to", "type": "string [1]"},
        {"name": "to", "type": "[]"},
        {"name": "to", "type": "string" + "[]" * 9},
        {"name": "to", "type": "string" + "[]" * 40},
        ["to", "string"],
        "to",
    ],
    ids=range(23),
)
def test_fields_are_sound(field: Any) -> None:
    bad(lambda document: document["types"]["Mail"].__setitem__(0, field))


def test_counts_are_bounded() -> None:
    many = {f"T{number}": [{"name": "next", "type": f"T{number + 1}[]"}] for number in range(70)}
    bad(lambda document: document["types"].update(many))
    bad(
        lambda document: document["types"].update(Mail=[{"name": f"f{number}", "type": "bool"} for number in range(65)])
    )
    refused("malformed_transaction", decode, one("bool[]", [True] * 1025))
    assert decode(one("bool[]", [True] * 1024)).digest
    refused("malformed_transaction", TypedData.decode, json.dumps(MAIL).encode() + b" " * MAX_SIZE)


@pytest.mark.parametrize("depth", [8, 9])
def test_depth_is_bounded(depth: int) -> None:
    value: Any = {"next": []}
    for _ in range(depth // 2 - 1 if depth == 8 else depth // 2):
        value = {"next": [value]}
    document = {
        "types": {
            "EIP712Domain": [{"name": "chainId", "type": "uint256"}],
            "Node": [{"name": "next", "type": "Node[]"}],
        },
        "primaryType": "Node",
        "domain": {"chainId": 1},
        "message": value,
    }
    if depth == 8:
        assert decode(document).digest == theirs(document)
    else:
        assert "deeply" in refused("malformed_transaction", decode, document).reason


def test_a_type_is_hashed_once_however_many_structs_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 KiB hold thousands of structs of a long type: hashing it anew for each took seconds."""
    encoded: list[str] = []
    honest = TypedData.encoded_type

    def counting(self: TypedData, name: str) -> str:
        encoded.append(name)
        return honest(self, name)

    monkeypatch.setattr(TypedData, "encoded_type", counting)
    document = one("Small[]", [{"x": True}] * 1000)
    document["types"]["Small"] = [{"name": "x", "type": "bool"}]
    assert decode(document).digest
    assert sorted(encoded) == ["EIP712Domain", "One", "Small"]


# --- Values ---


WRONG: list[tuple[str, Any]] = [
    ("uint8", 256), ("uint8", -1), ("uint8", "256"), ("uint8", "0x100"), ("int8", 128), ("int8", -129),
    ("uint256", 2**256), ("uint256", "0x1" + "0" * 64), ("int256", -(2**255) - 1),
    ("uint8", 1.0), ("uint8", 0.5), ("uint8", True), ("uint8", None), ("uint8", ""), ("uint8", "0x"),
    ("uint8", " 1"), ("uint8", "01"), ("uint8", "+1"), ("uint8", "1_0"), ("uint8", "１"), ("uint8", [1]),
    ("bool", 1), ("bool", 0), ("bool", "true"), ("bool", None),
    ("string", 1), ("string", None), ("string", ["a"]), ("string", "\ud800"),
    ("bytes", "00"), ("bytes", "0x0"), ("bytes", "0xgg"), ("bytes", 0), ("bytes", "0X00"), ("bytes", "0x00\n"),
    ("bytes4", "0x"), ("bytes4", "0x000000"), ("bytes4", "0x0000000000"), ("bytes32", "0x" + "00" * 31),
    ("address", "0x" + "00" * 19), ("address", "0x" + "00" * 21), ("address", 0), ("address", "00" * 20),
    ("address", "0xcCCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"),  # EIP-55
    ("bool[]", True), ("bool[]", {}), ("bool[]", None), ("bool[2]", [True]), ("bool[2]", [True] * 3),
    ("bool[][2]", [[True]]), ("bool[2][]", [[True]]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), WRONG, ids=range(len(WRONG)))
def test_a_value_is_of_its_type(kind: str, value: Any) -> None:
    refused("malformed_transaction", decode, one(kind, value))


@pytest.mark.parametrize("written", ["1.0", "1e0", "NaN", "Infinity", "-Infinity"])
def test_there_are_no_fractions(written: str) -> None:
    raw = json.dumps(one("uint8", "HERE")).replace('"HERE"', written).encode()
    refused("malformed_transaction", TypedData.decode, raw)


@pytest.mark.parametrize(
    ("kind", "value", "same"),
    [("uint256", str(2**256 - 1), 2**256 - 1), ("uint256", "0x" + "f" * 64, 2**256 - 1), ("int8", "-128", -128),
     ("address", CONTRACT.lower(), CONTRACT), ("bytes4", "0xABCDEF01", "0xabcdef01")],
)  # fmt: skip
def test_one_value_may_be_written_in_several_ways(kind: str, value: Any, same: Any) -> None:
    assert decode(one(kind, value)).digest == theirs(one(kind, same)) == decode(one(kind, same)).digest
