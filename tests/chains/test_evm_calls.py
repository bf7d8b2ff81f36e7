"""Known calls: what each would do, encoded by eth-abi, and every bent encoding refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from eth_abi.abi import encode as their_encode
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chains.effects import Allowance, Call, Transfer
from strongroom.chains.evm import Transaction, abi, calls
from strongroom.chains.evm.calls import Understood, understand
from strongroom.errors import Refusal
from strongroom.schemes import keccak256
from tests.wire.refused import refused

CHAIN = "evm:1"
TOKEN = b"\xaa" * 20
ME, THEM, TO, SPENDER = (bytes((value,)) * 20 for value in (1, 2, 3, 4))
ASSET = "evm:1/token:0x" + "aa" * 20
EVERYTHING = 2**256 - 1


def text(address: bytes) -> str:
    return "0x" + address.hex()


def data(signature: str, *arguments: Any) -> bytes:
    """Call data, by the method's signature and another ABI encoder."""
    types = signature[signature.index("(") + 1 : -1].split(",")
    return keccak256(signature.encode())[:4] + their_encode(types, arguments)


def understood(payload: bytes, owner: bytes | None = ME) -> Understood:
    return understand(CHAIN, TOKEN, 0, payload, owner)


PERMIT = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
SAFE = "safeTransferFrom(address,address,uint256)"
SAFE_DATA = "safeTransferFrom(address,address,uint256,bytes)"
SOME = "safeTransferFrom(address,address,uint256,uint256,bytes)"
BATCH = "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)"
INCREASE = "increaseAllowance(address,uint256)"

KNOWN: list[tuple[bytes, Understood]] = [
    (data("transfer(address,uint256)", TO, 5), Understood((Transfer(ASSET, text(TO), 5),))),
    (data("transfer(address,uint256)", TO, EVERYTHING), Understood((Transfer(ASSET, text(TO), EVERYTHING),))),
    # A transfer of nothing still puts an address into the history of a wallet.
    (data("transfer(address,uint256)", TO, 0), Understood((Transfer(ASSET, text(TO), 0),))),
    (data("transferFrom(address,address,uint256)", ME, TO, 5), Understood((Transfer(ASSET, text(TO), 5),))),
    (
        data("transferFrom(address,address,uint256)", THEM, TO, 5),
        Understood((Transfer(ASSET, text(TO), 5, text(THEM)),)),
    ),
    (data("approve(address,uint256)", SPENDER, 7), Understood(allowances=(Allowance(ASSET, text(SPENDER), 7),))),
    (data("approve(address,uint256)", SPENDER, 0), Understood(allowances=(Allowance(ASSET, text(SPENDER), 0),))),
    (
        data("approve(address,uint256)", SPENDER, EVERYTHING),
        Understood(allowances=(Allowance(ASSET, text(SPENDER), None),)),
    ),
    # On top of what there is: two of 7 are 14, where a second approval of 7 would be 7.
    (data(INCREASE, SPENDER, 7), Understood(allowances=(Allowance(ASSET, text(SPENDER), 7, added=True),))),
    (
        data(INCREASE, SPENDER, EVERYTHING),
        Understood(allowances=(Allowance(ASSET, text(SPENDER), None, added=True),)),
    ),
    # The deadline of EIP-2612 is for handing the permit in; the allowance stays.
    (
        data(PERMIT, ME, SPENDER, 9, 1_800_000_000, 27, b"\1" * 32, b"\2" * 32),
        Understood(allowances=(Allowance(ASSET, text(SPENDER), 9, expires=None),)),
    ),
    (data(SAFE, ME, TO, 7), Understood((Transfer(f"{ASSET}/7", text(TO), 1),))),
    (data(SAFE_DATA, ME, TO, 7, b"hello"), Understood((Transfer(f"{ASSET}/7", text(TO), 1),))),
    (data(SAFE_DATA, THEM, TO, 7, b""), Understood((Transfer(f"{ASSET}/7", text(TO), 1, text(THEM)),))),
    (data(SOME, ME, TO, 7, 30, bytes(33)), Understood((Transfer(f"{ASSET}/7", text(TO), 30),))),
    (
        data(BATCH, ME, TO, [7, 8], [30, 1], b""),
        Understood((Transfer(f"{ASSET}/7", text(TO), 30), Transfer(f"{ASSET}/8", text(TO), 1))),
    ),
    (
        data("setApprovalForAll(address,bool)", SPENDER, True),
        Understood(allowances=(Allowance(f"{ASSET}/*", text(SPENDER), None),)),
    ),
    (
        data("setApprovalForAll(address,bool)", SPENDER, False),
        Understood(allowances=(Allowance(f"{ASSET}/*", text(SPENDER), 0),)),
    ),
]


@pytest.mark.parametrize(("payload", "expected"), KNOWN, ids=range(len(KNOWN)))
def test_what_a_known_call_does(payload: bytes, expected: Understood) -> None:
    assert understood(payload) == expected


def test_every_known_method_is_in_the_list_above() -> None:
    assert {payload[:4] for payload, _ in KNOWN} == set(calls._KNOWN)


@pytest.mark.parametrize("payload", [payload for payload, _ in KNOWN], ids=range(len(KNOWN)))
def test_one_encoding_and_no_other(payload: bytes) -> None:
    """Contracts read what these say; a person, or another decoder, might read something else."""
    refused("malformed_transaction", understood, payload + b"\0")
    refused("malformed_transaction", understood, payload + bytes(32))
    refused("malformed_transaction", understood, payload[:-1])
    refused("malformed_transaction", understood, payload[:-32])
    refused("malformed_transaction", understood, payload[:4])
    dirty = bytearray(payload)
    dirty[4] = 1  # padding of the first address
    refused("malformed_transaction", understood, bytes(dirty))


def test_a_bool_is_zero_or_one() -> None:
    payload = data("setApprovalForAll(address,bool)", SPENDER, True)
    refused("malformed_transaction", understood, payload[:-1] + b"\2")
    refused("malformed_transaction", understood, payload[:-32] + b"\1" + bytes(31))


def words(*values: int | bytes) -> bytes:
    return b"".join(each.to_bytes(32, "big") if isinstance(each, int) else each.rjust(32, b"\0") for each in values)


HEAD = keccak256(BATCH.encode())[:4] + words(ME, TO)


@pytest.mark.parametrize(
    "bent",
    [
        words(0xE0, 0xA0, 0x120, 1, 7, 1, 30, 0),  # arrays in another order
        words(0xA0, 0xA0, 0xE0, 1, 7, 0),  # one array for both
        words(0xA0, 0xE0, 0x140, 1, 7, 1, 30, 0, 0),  # a gap
        words(0xA0, 0xE0, 0x120, 2, 7, 1, 30, 0),  # overlapping
        words(2**256 - 1, 0xE0, 0x120, 1, 7, 1, 30, 0),
        words(0xA0, 0xE0, 0x120, 2**255, 7, 1, 30, 0),
        words(0xA0, 0xE0, 0x120, 1, 7, 1, 30, 2**64),
        words(0xA0, 0xE0, 0x120, 1, 7, 1, 30, 1, 1 << 255 | 1),  # padding of bytes that is not zero
        words(0xA0, 0xE0, 0x120, 1, 7, 1, 30),  # no bytes at all
        words(0xA1, 0xE0, 0x120, 1, 7, 1, 30, 0),
    ],
    ids=range(10),
)
def test_bent_offsets_and_lengths_are_refused(bent: bytes) -> None:
    honest = words(0xA0, 0xE0, 0x120, 1, 7, 1, 30, 0)
    assert HEAD + honest == data(BATCH, ME, TO, [7], [30], b"")
    assert understood(HEAD + honest).transfers == (Transfer(f"{ASSET}/7", text(TO), 30),)
    refused("malformed_transaction", understood, HEAD + bent)


def test_a_batch_names_an_amount_for_each_item() -> None:
    for items, amounts in (([7], []), ([], [7]), ([7, 8], [1]), ([], [])):
        refused("malformed_transaction", understood, data(BATCH, ME, TO, items, amounts, b""))


def test_a_batch_is_bounded() -> None:
    most = list(range(abi.MAX_ITEMS))
    assert len(understood(data(BATCH, ME, TO, most, most, b"")).transfers) == 256
    refused("malformed_transaction", understood, data(BATCH, ME, TO, [*most, 1], [*most, 1], b""))


# --- What is not understood ---


@pytest.mark.parametrize(
    "payload",
    [
        b"\xde\xad\xbe\xef" + bytes(7),
        data("multicall(bytes[])", [data("transfer(address,uint256)", TO, 5)]),
        data("decreaseAllowance(address,uint256)", SPENDER, 5),
        bytes(4),
    ],
)
def test_another_method_is_a_call_that_a_rule_must_name(payload: bytes) -> None:
    """A multicall too: nothing inside it is looked at."""
    call = Call(text(TOKEN), "0x" + payload[:4].hex(), payload[4:])
    assert understood(payload) == Understood(calls=(call,))


@pytest.mark.parametrize("payload", [payload for payload, _ in KNOWN], ids=range(len(KNOWN)))
def test_a_tokens_method_with_ether_is_a_call(payload: bytes) -> None:
    """No token takes any: the contract is another one, and the ether would not be seen."""
    call = Call(text(TOKEN), "0x" + payload[:4].hex(), payload[4:], 1)
    assert understand(CHAIN, TOKEN, 1, payload, ME) == Understood(calls=(call,))
    assert understand(CHAIN, TOKEN, 1, payload[:5], ME).calls[0].data == payload[4:5]


def test_whose_it_is_without_an_owner() -> None:
    payload = data("transferFrom(address,address,uint256)", ME, TO, 5)
    assert understood(payload, None).transfers == (Transfer(ASSET, text(TO), 5, text(ME)),)
    assert understood(data("transfer(address,uint256)", TO, 5), None).transfers[0].sender is None


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (2**255, None),
        (2**255 - 1, 2**255 - 1),
        (2**160 - 1, None),
        (2**160 - 2, 2**160 - 2),
        (2**160, 2**160),
        (2**96 - 1, None),
        (2**96 - 2, 2**96 - 2),
        (2**96, 2**96),
        (0, 0),
    ],
)
def test_what_means_everything(amount: int, expected: int | None) -> None:
    assert calls.limited(amount) == expected


def test_a_transaction_gives_the_effects_of_its_call() -> None:
    transaction = Transaction(5, 9, 1, 2, 50_000, TOKEN, 0, data("transfer(address,uint256)", TO, 5))
    effects = transaction.effects(ME)
    assert effects.transfers == (Transfer(ASSET.replace("evm:1", "evm:5"), text(TO), 5),)
    assert (effects.chain, effects.fee_asset, effects.fee_ceiling) == ("evm:5", "evm:5/native", 100_000)
    assert (effects.allowances, effects.calls, effects.once) == ((), (), ("nonce:9",))
    called = dataclasses.replace(transaction, value=3).effects(ME)
    assert (called.transfers, called.calls[0].value) == ((), 3)


# --- The ABI, against another implementation ---

WORD = st.integers(0, EVERYTHING)
VALUES: dict[abi.Type, st.SearchStrategy[Any]] = {
    "address": st.binary(min_size=20, max_size=20),
    "uint256": WORD,
    "bool": st.booleans(),
    "bytes": st.binary(max_size=70),
    "uint256[]": st.lists(WORD, max_size=4),
}
ROWS = st.lists(st.sampled_from(list(VALUES)), max_size=5).flatmap(
    lambda kinds: st.tuples(st.just(kinds), st.tuples(*(VALUES[kind] for kind in kinds)))
)


def theirs(kinds: Sequence[abi.Type], values: Sequence[Any]) -> bytes:
    return bytes(their_encode(kinds, values))


@settings(max_examples=60)
@given(ROWS)
def test_encoding_is_eth_abis_and_is_read_back(row: tuple[list[abi.Type], tuple[Any, ...]]) -> None:
    kinds, values = row
    assert abi.encode(kinds, values) == theirs(kinds, values)
    assert abi.decode(kinds, theirs(kinds, values)) == list(values)


@settings(max_examples=60)
@given(ROWS, st.data())
def test_whatever_is_read_is_written_again_byte_for_byte(
    row: tuple[list[abi.Type], tuple[Any, ...]], draw: st.DataObject
) -> None:
    kinds, values = row
    bent = mutated(theirs(kinds, values), draw)
    try:
        read = abi.decode(kinds, bent)
    except Refusal as refusal:
        assert refusal.code == "malformed_transaction"
        return
    assert theirs(kinds, read) == bent


@settings(max_examples=100)
@given(st.sampled_from([payload for payload, _ in KNOWN]), st.data())
def test_mutated_calls_are_refused_or_understood(payload: bytes, draw: st.DataObject) -> None:
    total(understood, mutated(payload, draw))


def mutated(raw: bytes, draw: st.DataObject) -> bytes:
    changed = bytearray(raw)
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(changed)))
        changed[place : place + draw.draw(st.integers(0, 2))] = draw.draw(st.binary(max_size=2))
    return bytes(changed)


def total(read: Callable[[bytes], object], raw: bytes) -> None:
    try:
        read(raw)
    except Refusal as refusal:
        assert refusal.code in ("malformed_transaction", "unsupported_transaction")


@pytest.mark.parametrize(
    ("kind", "value"), [("address", bytes(19)), ("uint256", b""), ("bool", 1), ("bytes", 1), ("uint256[]", b"")]
)
def test_values_of_another_type_are_not_encoded(kind: abi.Type, value: abi.Value) -> None:
    with pytest.raises(TypeError):
        abi.encode([kind], [value])
