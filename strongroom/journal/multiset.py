"""A digest of a set that does not depend on the order in which it grew: LtHash16 (Lewi et al., 2019).

1024 lanes of 16 bits, added lane by lane. A plain sum of 256-bit hashes would not do: whoever chooses what is reserved
finds two sets of one sum by the generalised birthday (Wagner, 2002), for 32 elements with some 2^43 hashes.
"""

from __future__ import annotations

import hashlib

SIZE = 2048
_EVEN = int.from_bytes(b"\x00\x00\xff\xff" * (SIZE // 4), "big")
_ODD = _EVEN << 16
_ONE_EVEN = int.from_bytes(b"\x00\x01\x00\x00" * (SIZE // 4), "big")


def element(data: bytes) -> int:
    return int.from_bytes(hashlib.shake_128(b"strongroom/journal-element/v1" + data).digest(SIZE), "big")


class Multiset:
    """Elements are bytes; what is added twice counts twice, so callers add each once."""

    __slots__ = ("_count", "_state")

    def __init__(self) -> None:
        self._state = 0
        self._count = 0

    def add(self, data: bytes) -> None:
        own, other = self._state, element(data)
        self._state = (((own & _EVEN) + (other & _EVEN)) & _EVEN) | (((own & _ODD) + (other & _ODD)) & _ODD)
        self._count += 1

    def remove(self, data: bytes) -> None:
        """Of what was added before."""
        own, other = self._state, element(data)
        # Each lane borrows from a bit of its own, which is masked away.
        even = ((own & _EVEN) + _ONE_EVEN - (other & _EVEN)) & _EVEN
        odd = (((own & _ODD) >> 16) + (_ONE_EVEN) - ((other & _ODD) >> 16)) & _EVEN
        self._state = even | (odd << 16)
        self._count -= 1

    def digest(self) -> bytes:
        return hashlib.sha256(
            b"strongroom/journal-set/v1" + self._count.to_bytes(8, "big") + self._state.to_bytes(SIZE, "big")
        ).digest()
