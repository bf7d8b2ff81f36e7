"""Ethereum: EIP-1559 transactions (EIP-2718 type 2), decoded strictly; addresses with their checksum (EIP-55)."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.chains import rlp
from strongroom.chains.effects import Effects
from strongroom.errors import Refusal
from strongroom.schemes import keccak256, uncompressed

TYPE = b"\x02"
MAX_SIZE = 128 * 1024
"""Bytes of a transaction: what go-ethereum's pool accepts."""


@dataclass(frozen=True)
class Transaction:
    """An unsigned EIP-1559 transaction without access list. Amounts in wei, `to` 20 bytes (no contract creation)."""

    chain_id: int
    nonce: int
    max_priority_fee: int
    max_fee: int
    gas_limit: int
    to: bytes
    value: int
    data: bytes = b""

    @classmethod
    def decode(cls, payload: bytes) -> Transaction:
        """Unsigned bytes with the type byte. Raises Refusal `malformed_transaction` or `unsupported_transaction`."""
        if len(payload) > MAX_SIZE:
            raise Refusal("malformed_transaction", f"{len(payload)} bytes are over the limit of {MAX_SIZE}")
        if payload[:1] != TYPE:
            raise Refusal("unsupported_transaction", "only EIP-1559 transactions (type 2) can be decoded in full")
        items = rlp.decode(payload[1:])
        if isinstance(items, bytes) or len(items) != 9:
            raise Refusal("malformed_transaction", "an unsigned EIP-1559 transaction has nine fields")
        chain_id, nonce, priority, fee, gas, to, value, data, access = items
        if isinstance(access, bytes) or access:
            raise Refusal("unsupported_transaction", "access lists are not decoded in this version")
        if not isinstance(to, bytes) or len(to) != 20:
            raise Refusal("unsupported_transaction", "the recipient is not an address of 20 bytes")
        if not isinstance(data, bytes):
            raise Refusal("malformed_transaction", "call data is not a byte string")
        return cls(
            rlp.integer(chain_id, bits=64, what="chain id"),
            rlp.integer(nonce, bits=64, what="nonce"),
            rlp.integer(priority, bits=256, what="priority fee"),
            rlp.integer(fee, bits=256, what="maximal fee"),
            rlp.integer(gas, bits=64, what="gas limit"),
            to,
            rlp.integer(value, bits=256, what="value"),
            data,
        ).checked()

    def checked(self) -> Transaction:
        if self.max_priority_fee > self.max_fee:
            raise Refusal("malformed_transaction", "the priority fee is over the maximal fee")
        return self

    def _items(self) -> list[rlp.Item]:
        numbers = (self.chain_id, self.nonce, self.max_priority_fee, self.max_fee, self.gas_limit)
        head: list[rlp.Item] = [rlp.encode_integer(number) for number in numbers]
        return [*head, self.to, rlp.encode_integer(self.value), self.data, []]

    def encode(self) -> bytes:
        return TYPE + rlp.encode(self._items())

    def digest(self) -> bytes:
        """What is signed: keccak-256 of the unsigned bytes (EIP-2718)."""
        return keccak256(self.encode())

    def signed(self, signature: bytes) -> bytes:
        """The raw transaction. signature: r ‖ s ‖ recovery id, 65 bytes."""
        r, s, parity = signature[:32], signature[32:64], signature[64]
        numbers = (parity, int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        return TYPE + rlp.encode([*self._items(), *(rlp.encode_integer(number) for number in numbers)])

    def effects(self) -> Effects:
        if 0 < len(self.data) < 4:
            raise Refusal("unsupported_transaction", "call data shorter than a selector cannot be judged")
        selector = self.data[:4] if self.data else None
        fee = self.gas_limit * self.max_fee
        return Effects(self.chain_id, self.nonce, self.to, self.value, fee, selector, self.data)


def address(public_key: bytes) -> bytes:
    """The 20-byte address of a compressed secp256k1 key."""
    return keccak256(uncompressed(public_key)[1:])[12:]


def checksum(raw: bytes) -> str:
    """EIP-55."""
    text = raw.hex()
    digest = keccak256(text.encode()).hex()
    mixed = (char.upper() if int(nibble, 16) >= 8 else char for char, nibble in zip(text, digest, strict=False))
    return "0x" + "".join(mixed)


def parse_address(text: str) -> bytes:
    """Accepts all-lower-case, or a correct EIP-55 checksum. Raises Refusal `malformed_transaction`."""
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raw = b""
    if len(raw) != 20 or len(digits) != 40:
        raise Refusal("malformed_transaction", "an address is 0x and 40 hexadecimal digits")
    if digits != digits.lower() and checksum(raw) != "0x" + digits:
        raise Refusal("malformed_transaction", "the address's checksum (EIP-55) is wrong: a character was mistyped")
    return raw
