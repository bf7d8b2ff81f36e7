"""Named lists of addresses: written out, or as the root of a Merkle tree for lists too long to carry along."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from strongroom.errors import Refusal
from strongroom.policy import merkle
from strongroom.policy.names import require, require_address, require_label, require_name, require_sorted
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item

MAX_ENTRIES: Final = 4096
"""Of a list that is written out."""

MAX_SIZE: Final = 1 << 32
"""Entries of a list that is a root."""

MAX_PROOFS: Final = 32
"""That come with one request."""


@dataclass(frozen=True, order=True)
class Entry:
    """since: Unix seconds from which it counts as known, for cool-downs: the officers' word."""

    address: str
    label: str
    since: int = 0

    def __post_init__(self) -> None:
        require_address(self.address)
        require_label(self.label)

    def value(self) -> list[cbor.Value]:
        return [self.address, self.label, self.since]

    @classmethod
    def parse(cls, value: cbor.Value) -> Entry:
        # By hand, without Fields: there are thousands of them in a policy.
        if not isinstance(value, list) or len(value) != 3:
            raise Refusal("malformed_policy", "a list's entry is address, label and since")
        address, label, since = value
        if not isinstance(address, str) or not isinstance(label, str) or type(since) is not int or since < 0:
            raise Refusal("malformed_policy", "a list's entry is address, label and since")
        return cls(address, label, since)

    def leaf(self) -> bytes:
        """The bytes that a Merkle tree's leaf hashes."""
        return cbor.encode(self.value())


@dataclass(frozen=True)
class Proof:
    """That an entry stands at `index` of the list named. path: hashes of 32 bytes, from the leaf upwards."""

    list: str
    entry: Entry
    index: int
    path: tuple[bytes, ...]

    def value(self) -> dict[str, cbor.Value]:
        return {"list": self.list, "entry": self.entry.value(), "index": self.index, "path": [*self.path]}

    @classmethod
    def parse(cls, value: cbor.Value) -> Proof:
        fields = Fields(value, "proof")
        proof = cls(
            fields.text("list", most=32),
            Entry.parse(fields.raw("entry")),
            fields.integer("index", most=MAX_SIZE),
            fields.items("path", bytes_item, most=merkle.MAX_PATH),
        )
        fields.end()
        return proof


@dataclass(frozen=True)
class Recipients:
    """entries: written out, sorted by address. root: of the tree over them instead, sorted likewise, `size` of them."""

    name: str
    entries: tuple[Entry, ...] = ()
    root: bytes | None = None
    size: int = 0

    def __post_init__(self) -> None:
        require_name(self.name, "a list")
        require_sorted((entry.address for entry in self.entries), f"the addresses of list {self.name}")
        require(len(self.entries) <= MAX_ENTRIES, f"list {self.name} has more than {MAX_ENTRIES} entries: use its root")
        if self.root is None:
            require(self.size == 0, f"list {self.name} is written out and has a size")
        else:
            rooted = len(self.root) == 32 and not self.entries and 1 <= self.size <= MAX_SIZE
            require(rooted, f"list {self.name} is a root of 32 bytes with a size, and no entries")

    @classmethod
    def rooted(cls, name: str, entries: Iterable[Entry]) -> Recipients:
        """The same list as a root."""
        leaves = sorted(entries)
        require_sorted((entry.address for entry in leaves), f"the addresses of list {name}")
        return cls(name, (), merkle.Tree(entry.leaf() for entry in leaves).root, len(leaves))

    def value(self) -> dict[str, cbor.Value]:
        entries = [entry.value() for entry in self.entries]
        return {"name": self.name, "entries": entries, "root": self.root, "size": self.size}

    @classmethod
    def parse(cls, value: cbor.Value) -> Recipients:
        fields = Fields(value, "list")
        found = cls(
            fields.text("name", most=32),
            fields.items("entries", Entry.parse, most=MAX_ENTRIES),
            fields.optional_blob("root", size=32),
            fields.integer("size", most=MAX_SIZE),
        )
        fields.end()
        return found

    @cached_property
    def _by_address(self) -> dict[str, Entry]:
        return {entry.address: entry for entry in self.entries}

    def find(self, address: str, proofs: Sequence[Proof]) -> Entry | None:
        """The entry of this address; for a root, the one that a proof shows. A proof that is wrong shows nothing."""
        if self.root is None:
            return self._by_address.get(address)
        for proof in proofs:
            if proof.list == self.name and proof.entry.address == address:
                leaf = proof.entry.leaf()
                if merkle.included(leaf, proof.index, self.size, proof.path, self.root):
                    return proof.entry
        return None


class Prover:
    """Gives proofs for a list that the policy holds as a root; whoever has the whole list can be one."""

    def __init__(self, name: str, entries: Iterable[Entry]) -> None:
        self._name = name
        self._entries = sorted(entries)
        self._index = {entry.address: at for at, entry in enumerate(self._entries)}
        self._tree = merkle.Tree(entry.leaf() for entry in self._entries)

    def prove(self, address: str) -> Proof | None:
        at = self._index.get(address)
        if at is None:
            return None
        return Proof(self._name, self._entries[at], at, self._tree.path(at))
