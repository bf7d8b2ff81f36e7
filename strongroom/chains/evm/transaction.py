"""Transactions of EVM chains, decoded strictly: legacy with EIP-155, EIP-2930, EIP-1559.

Those that carry authorisations (type 4, EIP-7702) are refused: a wallet signs an authorisation of its own by itself
(`authorization`), and whoever likes carries it. Blobs (type 3) are nobody's payment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.chains import rlp
from strongroom.chains.effects import Effects, Transfer
from strongroom.chains.evm.address import SIZE, text
from strongroom.chains.evm.calls import Understood, understand
from strongroom.errors import Refusal
from strongroom.schemes import keccak256

LEGACY: Final = 0
ACCESS_LIST: Final = 1
FEE_MARKET: Final = 2
MAX_SIZE: Final = 128 * 1024
"""Bytes of a transaction: what go-ethereum's pool accepts."""

AccessList = tuple[tuple[bytes, tuple[bytes, ...]], ...]
"""Addresses (20 bytes) and storage keys (32 bytes each)."""

_NAMES: Final = {3: "blob transactions (EIP-4844)", 4: "transactions that carry authorisations (EIP-7702)"}


@dataclass(frozen=True)
class Transaction:
    """Unsigned. Amounts in wei, `to` 20 bytes (no contract creation).

    max_fee: for each unit of gas; of types 0 and 1 the gas price, which max_priority_fee then equals.
    kind: 0 legacy, 1 EIP-2930, 2 EIP-1559.
    """

    chain_id: int
    nonce: int
    max_priority_fee: int
    max_fee: int
    gas_limit: int
    to: bytes
    value: int
    data: bytes = b""
    access: AccessList = ()
    kind: int = FEE_MARKET

    @classmethod
    def decode(cls, payload: bytes) -> Transaction:
        """Unsigned bytes with the type byte. Raises Refusal `malformed_transaction` or `unsupported_transaction`."""
        if not payload:
            raise Refusal("malformed_transaction", "there are no bytes")
        if len(payload) > MAX_SIZE:
            raise Refusal("malformed_transaction", f"{len(payload)} bytes are over the limit of {MAX_SIZE}")
        kind = payload[0]
        if kind >= 0xC0:
            transaction = _legacy(_list(payload, 9, "legacy transaction with EIP-155's chain id"))
        elif kind in (ACCESS_LIST, FEE_MARKET):
            fields = 9 if kind == FEE_MARKET else 8
            transaction = _typed(kind, _list(payload[1:], fields, f"transaction of type {kind}"))
        else:
            what = _NAMES.get(kind, f"transactions of type {kind}")
            raise Refusal("unsupported_transaction", f"{what} are not signed")
        return transaction.checked()

    def checked(self) -> Transaction:
        """Itself, if a decoder would take it. Raises Refusal as `decode`."""
        if self.max_priority_fee > self.max_fee:
            raise Refusal("malformed_transaction", "the priority fee is over the maximal fee")
        if self.chain_id == 0:
            raise Refusal("unsupported_transaction", "without a chain id (EIP-155) it would be good on every chain")
        return self

    def _items(self) -> list[rlp.Item]:
        """What is common to all types: from nonce or chain id to call data."""
        fees = [self.max_priority_fee, self.max_fee] if self.kind == FEE_MARKET else [self.max_fee]
        chain = [] if self.kind == LEGACY else [self.chain_id]
        head: list[rlp.Item] = [rlp.encode_integer(each) for each in (*chain, self.nonce, *fees, self.gas_limit)]
        items = [*head, self.to, rlp.encode_integer(self.value), self.data]
        if self.kind == LEGACY:
            return items
        return [*items, [[address, list(keys)] for address, keys in self.access]]

    def _encode(self, items: list[rlp.Item]) -> bytes:
        return (b"" if self.kind == LEGACY else bytes((self.kind,))) + rlp.encode(items)

    def encode(self) -> bytes:
        """The bytes whose keccak-256 is signed (EIP-2718; EIP-155 for legacy ones)."""
        if self.kind == LEGACY:
            return self._encode([*self._items(), rlp.encode_integer(self.chain_id), b"", b""])
        return self._encode(self._items())

    def digest(self) -> bytes:
        return keccak256(self.encode())

    def signed(self, signature: bytes) -> bytes:
        """The raw transaction. signature: r ‖ s ‖ recovery id, 65 bytes."""
        r, s, parity = signature[:32], signature[32:64], signature[64]
        v = self.chain_id * 2 + 35 + parity if self.kind == LEGACY else parity
        numbers = (v, int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        return self._encode([*self._items(), *(rlp.encode_integer(number) for number in numbers)])

    @property
    def fee_ceiling(self) -> int:
        """Wei that the network takes at most."""
        return self.gas_limit * self.max_fee

    @property
    def selector(self) -> bytes:
        """The first four bytes of call data. Raises Refusal `unsupported_transaction` where there are fewer."""
        if len(self.data) < 4:
            raise Refusal("unsupported_transaction", "call data shorter than a selector cannot be judged")
        return self.data[:4]

    def effects(self, owner: bytes | None = None) -> Effects:
        """owner: the wallet's address, where it is known: what a token moves from it is its own transfer.

        Raises Refusal for call data that a known method cannot have.
        """
        chain = f"evm:{self.chain_id}"
        native = f"{chain}/native"
        if self.data:
            _ = self.selector
            done = understand(chain, self.to, self.value, self.data, owner)
        else:
            done = Understood(transfers=(Transfer(native, text(self.to), self.value),))
        return Effects(
            chain,
            done.transfers,
            done.allowances,
            done.calls,
            fee_asset=native,
            fee_ceiling=self.fee_ceiling,
            once=(f"nonce:{self.nonce}",),
        )


def _list(data: bytes, fields: int, what: str) -> list[rlp.Item]:
    items = rlp.decode(data)
    if isinstance(items, bytes) or len(items) != fields:
        raise Refusal("malformed_transaction", f"an unsigned {what} has {fields} fields")
    return list(items)


def _legacy(items: list[rlp.Item]) -> Transaction:
    nonce, price, gas, to, value, data, chain_id, zero, other = items
    if zero != b"" or other != b"":
        raise Refusal("malformed_transaction", "an unsigned legacy transaction ends with its chain id and two zeros")
    chain = rlp.integer(chain_id, bits=64, what="chain id")
    return _assemble(LEGACY, chain, [nonce, price, price, gas], to, value, data, ())


def _typed(kind: int, items: list[rlp.Item]) -> Transaction:
    chain_id, nonce, *fees, gas, to, value, data, access = items
    chain = rlp.integer(chain_id, bits=64, what="chain id")
    both = fees if kind == FEE_MARKET else [fees[0], fees[0]]
    return _assemble(kind, chain, [nonce, *both, gas], to, value, data, _access(access))


def _assemble(
    kind: int, chain: int, numbers: list[rlp.Item], to: rlp.Item, value: rlp.Item, data: rlp.Item, access: AccessList
) -> Transaction:
    nonce, priority, fee, gas = numbers
    if not isinstance(to, bytes) or len(to) != SIZE:
        raise Refusal("unsupported_transaction", "the recipient is not an address of 20 bytes")
    if not isinstance(data, bytes):
        raise Refusal("malformed_transaction", "call data is not a byte string")
    return Transaction(
        chain,
        rlp.integer(nonce, bits=64, what="nonce"),
        rlp.integer(priority, bits=256, what="priority fee"),
        rlp.integer(fee, bits=256, what="maximal fee"),
        rlp.integer(gas, bits=64, what="gas limit"),
        to,
        rlp.integer(value, bits=256, what="value"),
        data,
        access,
        kind,
    )


def _access(item: rlp.Item) -> AccessList:
    if isinstance(item, bytes):
        raise Refusal("malformed_transaction", "the access list is not a list")
    entries: list[tuple[bytes, tuple[bytes, ...]]] = []
    for entry in item:
        if isinstance(entry, bytes) or len(entry) != 2 or not isinstance(entry[0], bytes) or len(entry[0]) != SIZE:
            raise Refusal("malformed_transaction", "an access list's entry is an address and its storage keys")
        keys = entry[1]
        if isinstance(keys, bytes) or any(not isinstance(key, bytes) or len(key) != 32 for key in keys):
            raise Refusal("malformed_transaction", "a storage key has 32 bytes")
        entries.append((entry[0], tuple(key for key in keys if isinstance(key, bytes))))
    return tuple(entries)
