"""Addresses and output scripts: BIP-173's and BIP-350's vectors, every network, and what is not understood."""

from __future__ import annotations

import pytest
from embit import script as oracle  # type: ignore[import-untyped]
from embit.networks import NETWORKS as THEIRS  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains.bitcoin import NETWORKS, address_of, bech32, script, script_of
from strongroom.chains.solana import base58
from strongroom.errors import Refusal
from tests.wire.refused import refused

# BIP-350, "Test vectors for v0-v16 native segregated witness addresses"; BIP-173's are among them.
VALID = [
    ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
    (
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
    ),
    (
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
        "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
    ),
    ("BC1SW50QGDZ25J", "6002751e"),
    ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "5210751e76e8199196d454941c45d1b3a323"),
    (
        "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
        "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
        "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    ),
]
INVALID = [
    "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut",  # human-readable part
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",  # bech32 instead of bech32m
    "tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf",
    "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",  # bech32m instead of bech32
    "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47",
    "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",  # a character in the checksum
    "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",  # witness version
    "bc1pw5dgrnzv",  # 1 byte
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",  # 41 bytes
    "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",  # 16 bytes in version 0
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq",  # mixed case
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",  # more than 4 bits of padding
    "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",  # padding that is not zero
    "bc1gmk9yu",  # nothing
]


@pytest.mark.parametrize(("address", "script_hex"), VALID)
def test_bip350_valid(address: str, script_hex: str) -> None:
    written = bytes.fromhex(script_hex)
    prefix = address[:2].lower()
    version, program = bech32.decode(prefix, address)
    assert (version and version + 0x50, len(program), program) == (written[0], written[1], written[2:])
    assert bech32.encode(prefix, version, program) == address.lower()


@pytest.mark.parametrize("address", INVALID)
def test_bip350_invalid(address: str) -> None:
    refused("malformed_transaction", bech32.decode, address[:2].lower().replace("tc", "bc"), address)
    for network in NETWORKS:
        refused("malformed_transaction", script_of, address, network)


@pytest.mark.parametrize(("address", "script_hex"), VALID)
def test_addresses_of_versions_in_use_are_scripts(address: str, script_hex: str) -> None:
    network = "mainnet" if address.lower().startswith("bc") else "signet"
    if script_hex.startswith(("0014", "0020", "5120")):
        assert script_of(address, network).hex() == script_hex
        assert address_of(bytes.fromhex(script_hex), network) == address.lower()
    else:  # a later soft fork may say what they mean; until then anyone may take what lies there
        refused("unsupported_transaction", script_of, address, network)
        refused("unsupported_transaction", address_of, bytes.fromhex(script_hex), network)


KINDS = st.sampled_from(["p2wpkh", "p2wsh", "p2tr", "p2pkh", "p2sh"])
FOREIGN = {"mainnet": "main", "testnet": "test", "signet": "signet", "regtest": "regtest"}


@settings(max_examples=60)
@given(KINDS, st.binary(min_size=32, max_size=32), st.sampled_from(list(NETWORKS)))
def test_addresses_are_embits_and_read_back(kind: script.Kind, key: bytes, network: str) -> None:
    program = key if kind in ("p2wsh", "p2tr") else key[:20]
    written = script.write(kind, program)
    assert script.recognise(written) == (kind, program)
    address = address_of(written, network)
    assert address == oracle.Script(written).address(THEIRS[FOREIGN[network]])
    assert script_of(address, network) == written
    assert oracle.address_to_scriptpubkey(address).data == written


@settings(max_examples=60)
@given(KINDS, st.binary(min_size=32, max_size=32), st.integers(0, 200), st.sampled_from("02zZqQ1lI"))
def test_a_mistyped_character_is_noticed(kind: script.Kind, key: bytes, place: int, char: str) -> None:
    address = address_of(script.write(kind, key if kind in ("p2wsh", "p2tr") else key[:20]), "mainnet")
    place %= len(address)
    wrong = address[:place] + char + address[place + 1 :]
    if wrong != address:
        refused("malformed_transaction", script_of, wrong, "mainnet")


def test_an_address_of_another_network_is_refused() -> None:
    written = script.write("p2pkh", bytes(20))
    main, test = address_of(written, "mainnet"), address_of(written, "testnet")
    assert (main[0], test[0]) == ("1", "m")
    assert "no address of testnet" in refused("malformed_transaction", script_of, main, "testnet").reason
    refused("malformed_transaction", script_of, test, "mainnet")
    segwit = address_of(script.write("p2wpkh", bytes(20)), "regtest")
    assert "begins with bc1" in refused("malformed_transaction", script_of, segwit, "mainnet").reason


def test_checksum_and_version_of_base58check() -> None:
    payload = base58.decode(address_of(script.write("p2sh", b"\1" * 20), "mainnet"), 25)
    refused("malformed_transaction", script_of, base58.encode(payload[:-1] + bytes((payload[-1] ^ 1,))), "mainnet")
    for text in ("", "1", "1" * 26, "bc1", "bc1q", "é" * 30, "0" * 34):
        refused("malformed_transaction", script_of, text, "mainnet")


def test_there_are_four_networks() -> None:
    for name in ("", "main", "mainnet ", "testnet4"):
        refused("unsupported_transaction", script_of, VALID[0][0], name)
        refused("unsupported_transaction", address_of, bytes(22), name)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"\x00\x14" + bytes(19),
        b"\x00\x14" + bytes(21),
        b"\x00\x20" + bytes(33),
        b"\x51\x20" + bytes(31),
        b"\x51\x02\x4e\x73",  # pay to anchor
        b"\x52\x20" + bytes(32),  # witness version 2
        b"\x21" + bytes(33) + b"\xac",  # pay to public key
        b"\x51\x21" + bytes(33) + b"\x51\xae",  # bare multisig
        b"\x76\xa9\x14" + bytes(20) + b"\x88",
        b"\x6a",
    ],
)
def test_scripts_that_are_not_understood(written: bytes) -> None:
    refused("unsupported_transaction", script.recognise, written)


@given(st.binary(min_size=1, max_size=80))
def test_op_return_carries_one_push(carried: bytes) -> None:
    pushed = oracle.Script(b"\x6a" + (b"\x4c" if len(carried) > 75 else b"") + bytes((len(carried),)) + carried)
    assert script.data(pushed.data) == carried


@pytest.mark.parametrize(
    "written",
    [
        b"\x6a",  # BIP-322's
        b"\x6a\x00",
        b"\x6a\x51",
        b"\x6a\x5d\x01\x02",  # a runestone
        b"\x6a\x02\x01",
        b"\x6a\x01\x01\x02",
        b"\x6a\x01\x01\x01\x02",  # two pushes
        b"\x6a\x4c\x03abc",  # not the shortest push
        b"\x6a\x4c\x4b" + bytes(75),
        b"\x6a\x4c\x51" + bytes(81),
        b"\x6a\x4c",
        b"\x6a\x4d\x50\x00" + bytes(80),
    ],
)
def test_other_op_returns_are_refused(written: bytes) -> None:
    refused("unsupported_transaction", script.data, written)


@given(st.binary(max_size=90))
def test_any_script_is_recognised_or_refused(written: bytes) -> None:
    for read in (script.recognise, script.data):
        try:
            read(written)
        except Refusal as refusal:
            assert refusal.code == "unsupported_transaction"
    assert written[:1] == b"\x6a" or script.data(written) is None


@given(st.text(max_size=100))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for network in NETWORKS:
        try:
            script_of(text, network)
        except Refusal as refusal:
            assert refusal.code in ("malformed_transaction", "unsupported_transaction")
