"""Merkle trees as RFC 6962 section 2.1 has them: a large list of recipients is one hash in the policy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

MAX_PATH: Final = 40
"""Hashes of an inclusion proof: a list of 2^40 leaves."""


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """All of it, for whoever gives proofs: two hashes for each leaf."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        # Bottom up. A last node without a sibling moves up as it is, which is RFC 6962's split at a power of two.
        self._levels = [[leaf_hash(leaf) for leaf in leaves]]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            pairs = [_node(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
            self._levels.append(pairs + below[len(pairs) * 2 :])

    @property
    def root(self) -> bytes:
        """Of no leaves: the hash of nothing."""
        top = self._levels[-1]
        return top[0] if top else hashlib.sha256(b"").digest()

    def path(self, index: int) -> tuple[bytes, ...]:
        """The inclusion proof of one leaf, from the leaf upwards."""
        found: list[bytes] = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                found.append(level[sibling])
            index >>= 1
        return tuple(found)


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf is at this index of a tree of this root and size (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size or len(path) > MAX_PATH:
        return False
    node, last, found = index, size - 1, leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = _node(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = _node(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root
