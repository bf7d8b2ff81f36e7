"""Typed structured data by EIP-712, decoded strictly.

Every field is declared and present, every declared type is used, no value is out of its type's range, and the domain
names a chain. What general libraries accept beside the declared fields would be shown to a person and signed by nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from strongroom.chains.evm.address import parse_address
from strongroom.errors import Refusal
from strongroom.schemes import keccak256

MAX_SIZE: Final = 64 * 1024
MAX_DEPTH: Final = 8
MAX_TYPES: Final = 64
MAX_FIELDS: Final = 64
MAX_ITEMS: Final = 1024

Members = tuple[tuple[str, str], ...]
"""(name, type) of a struct's fields, in order."""

_DOMAIN: Final = "EIP712Domain"
_DOMAIN_FIELDS: Final[Members] = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)
_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}")
_ARRAY: Final = re.compile(r"(.+)\[([1-9][0-9]{0,3})?\]")
_INTEGER: Final = re.compile(r"(u?)int([1-9][0-9]{0,2})")
_FIXED: Final = re.compile(r"bytes([1-9][0-9]?)")
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,77})")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]*")
_RESERVED: Final = re.compile(r"(u?int|bytes|u?fixed)[0-9x]*|address|bool|string|function|byte")
"""Names of Solidity's own types, also of those that EIP-712 has not: no struct may look like one."""


def _bad(reason: str) -> Refusal:
    return Refusal("malformed_transaction", f"typed data: {reason}")


@dataclass(frozen=True)
class TypedData:
    """types: by name, the domain's too. domain and message: as the document has them, checked."""

    types: Mapping[str, Members]
    primary: str
    domain: Mapping[str, Any]
    message: Mapping[str, Any]

    @classmethod
    def decode(cls, payload: bytes) -> TypedData:
        """A JSON document of EIP-712. Raises Refusal `malformed_transaction`, or `unsupported_transaction`."""
        document = _json(payload)
        if set(document) != {"types", "primaryType", "domain", "message"}:
            raise _bad("a document has types, primaryType, domain and message, and nothing else")
        types, primary = _types(document["types"]), document["primaryType"]
        if not isinstance(primary, str) or primary not in types or primary == _DOMAIN:
            raise _bad("the primary type is not declared")
        data = cls(types, primary, _object(document["domain"]), _object(document["message"]))
        data._check_domain()
        unused = set(types) - data._used(primary) - {_DOMAIN}
        if unused:
            raise _bad(f"the type {sorted(unused)[0]} is declared and never used")
        _ = data.digest
        if data.chain_id == 0:
            raise Refusal("unsupported_transaction", "typed data without a chain id is good on every chain")
        return data

    def _check_domain(self) -> None:
        declared = self.types[_DOMAIN]
        if not declared or any(field not in _DOMAIN_FIELDS for field in declared):
            raise _bad("the domain has other fields than EIP-712's")
        if list(declared) != sorted(declared, key=_DOMAIN_FIELDS.index):
            raise _bad("the domain's fields are not in EIP-712's order")
        if ("chainId", "uint256") not in declared:
            raise Refusal("unsupported_transaction", "typed data without a chain id is good on every chain")

    @property
    def chain_id(self) -> int:
        return _integer(self.domain["chainId"], 0, (1 << 64) - 1)

    @property
    def contract(self) -> str | None:
        """The verifying contract, in lower case."""
        raw = self.domain.get("verifyingContract")
        return None if raw is None else str(raw).lower()

    @cached_property
    def digest(self) -> bytes:
        """keccak-256(0x19 0x01 ‖ domain separator ‖ hash of the message)."""
        separator = self._hash_struct(_DOMAIN, self.domain, 0)
        return keccak256(b"\x19\x01" + separator + self._hash_struct(self.primary, self.message, 0))

    def encoded_type(self, name: str) -> str:
        """EIP-712's encodeType: the struct, then those that it refers to, by name."""
        others = sorted(self._used(name) - {name})
        return "".join(f"{each}({','.join(f'{t} {n}' for n, t in self.types[each])})" for each in (name, *others))

    def _used(self, name: str) -> set[str]:
        used: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current not in used:
                used.add(current)
                bases = (_base(kind) for _, kind in self.types[current])
                waiting += [base for base in bases if base in self.types]
        return used

    def _hash_struct(self, name: str, value: Mapping[str, Any], depth: int) -> bytes:
        if depth > MAX_DEPTH:
            raise _bad("nested too deeply")
        members = self.types[name]
        if set(value) != {member for member, _ in members}:
            raise _bad(f"the fields of a {name} are not exactly those declared")
        words = [self._word(kind, value[member], depth) for member, kind in members]
        return keccak256(self._type_hashes[name] + b"".join(words))

    @cached_property
    def _type_hashes(self) -> Mapping[str, bytes]:
        """Once for each type: a document may hold thousands of structs."""
        return {name: keccak256(self.encoded_type(name).encode()) for name in self.types}

    def _word(self, kind: str, value: Any, depth: int) -> bytes:
        """EIP-712's encodeData of one field, 32 bytes."""
        array = _ARRAY.fullmatch(kind)
        if array:
            if not isinstance(value, list) or len(value) > MAX_ITEMS or (array[2] and len(value) != int(array[2])):
                raise _bad(f"a {kind} is a list of its length")
            if depth >= MAX_DEPTH:
                raise _bad("nested too deeply")
            return keccak256(b"".join(self._word(array[1], item, depth + 1) for item in value))
        if kind in self.types:
            return self._hash_struct(kind, _object(value), depth + 1)
        return _atom(kind, value)


def _json(payload: bytes) -> dict[str, Any]:
    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise _bad("a key stands twice in one object")
        return dict(pairs)

    def no_float(_text: str) -> Any:
        raise _bad("there are no fractions in typed data")

    if len(payload) > MAX_SIZE:
        raise _bad(f"{len(payload)} bytes are over the limit of {MAX_SIZE}")
    try:
        document = json.loads(
            payload.decode(), object_pairs_hook=distinct, parse_float=no_float, parse_constant=no_float
        )
    except (ValueError, RecursionError):
        raise _bad("it is not JSON") from None
    return _object(document)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad("an object was expected")
    return value


def _types(value: Any) -> dict[str, Members]:
    declared = _object(value)
    if _DOMAIN not in declared or len(declared) > MAX_TYPES:
        raise _bad(f"types declare {_DOMAIN} and at most {MAX_TYPES} in all")
    types = {name: _members(name, members) for name, members in declared.items()}
    for name, members in types.items():
        for _, kind in members:
            base = _base(kind)
            if base not in types and not _is_atomic(base):
                raise _bad(f"{name} uses the type {base[:40]}, which is not declared")
    return types


def _members(name: str, value: Any) -> Members:
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name) or not isinstance(value, list) or len(value) > MAX_FIELDS:
        raise _bad("a type's name or its list of fields is not sound")
    members: list[tuple[str, str]] = []
    for field in value:
        if not isinstance(field, dict) or set(field) != {"name", "type"}:
            raise _bad("a field has a name and a type")
        member, kind = field["name"], field["type"]
        if not isinstance(member, str) or not isinstance(kind, str) or not _NAME.fullmatch(member) or len(kind) > 80:
            raise _bad("a field's name or type is not sound")
        members.append((member, kind))
    if len({member for member, _ in members}) != len(members):
        raise _bad("two fields share a name")
    return tuple(members)


def _base(kind: str) -> str:
    """The type inside all brackets."""
    depth = 0
    while (array := _ARRAY.fullmatch(kind)) is not None:
        kind, depth = array[1], depth + 1
        if depth > MAX_DEPTH:
            raise _bad("nested too deeply")
    return kind


def _is_atomic(kind: str) -> bool:
    if kind in ("address", "bool", "string", "bytes"):
        return True
    integer, fixed = _INTEGER.fullmatch(kind), _FIXED.fullmatch(kind)
    if integer:
        return int(integer[2]) <= 256 and int(integer[2]) % 8 == 0
    return fixed is not None and int(fixed[1]) <= 32


def _atom(kind: str, value: Any) -> bytes:
    if kind == "bool":
        if not isinstance(value, bool):
            raise _bad("a bool is true or false")
        return int(value).to_bytes(32, "big")
    if kind == "string":
        if not isinstance(value, str):
            raise _bad("a string is text")
        try:
            return keccak256(value.encode())
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
            raise _bad("a string is not Unicode") from None
    if kind == "bytes":
        return keccak256(_bytes(value, None))
    if kind == "address":
        if not isinstance(value, str):
            raise _bad("an address is text")
        return parse_address(value).rjust(32, b"\0")
    fixed = _FIXED.fullmatch(kind)
    if fixed:
        return _bytes(value, int(fixed[1])).ljust(32, b"\0")
    integer = _INTEGER.fullmatch(kind)
    if integer is None:
        raise _bad(f"the type {kind[:40]} is not declared")
    bits = int(integer[2])
    low, high = (0, (1 << bits) - 1) if integer[1] else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return (_integer(value, low, high) % (1 << 256)).to_bytes(32, "big")


def _bytes(value: Any, size: int | None) -> bytes:
    if not isinstance(value, str) or not _HEX.fullmatch(value) or len(value) % 2:
        raise _bad("bytes are written 0x and pairs of hexadecimal digits")
    raw = bytes.fromhex(value[2:])
    if size is not None and len(raw) != size:
        raise _bad(f"{len(raw)} bytes where {size} belong")
    return raw


def _integer(value: Any, low: int, high: int) -> int:
    """A JSON number, or text in decimal or after 0x, as wallets write large ones."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        number = int(value)
    elif isinstance(value, str) and _HEX.fullmatch(value) and 3 <= len(value) <= 66:
        number = int(value, 16)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise _bad("an integer is a number, or its text in decimal or hexadecimal")
    if not low <= number <= high:
        raise _bad("an integer is out of its type's range")
    return number


def integer(value: Any) -> int:
    """A checked document's unsigned integer."""
    return _integer(value, 0, (1 << 256) - 1)


__all__: Sequence[str] = ("MAX_SIZE", "TypedData", "integer")
