"""What a Linux kernel says of itself: its version, from the boot protocol's header.

Source: linux/Documentation/arch/x86/boot.rst, "kernel_version".
"""

from __future__ import annotations

from typing import Final

from strongroom.errors import Refusal

_MAGIC: Final = slice(0x202, 0x206)
_POINTER: Final = slice(0x20E, 0x210)
_MOST: Final = 128


def version(kernel: bytes) -> str:
    """For instance `6.12.117`. Raises Refusal `bad_image`."""
    if kernel[_MAGIC] != b"HdrS":
        raise Refusal("bad_image", "the kernel is no bzImage")
    start = int.from_bytes(kernel[_POINTER], "little") + 0x200
    words = kernel[start : start + _MOST].partition(b"\0")[0]
    if not words.isascii() or not words.strip():
        raise Refusal("bad_image", "the kernel does not say which version it is")
    return words.decode().split()[0]
