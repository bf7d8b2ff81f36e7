"""The image format, against bytes laid out here by hand, and against whatever a hand may have done to them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom_eif.image import MAX_SECTIONS, Image

KERNEL, CMDLINE, METADATA = b"\x4d\x5akernel", b"console=ttyS0", b"{}"
IMAGE = Image(KERNEL, CMDLINE, (b"first", b"second"), METADATA, memory=128 << 20, cpus=2)
HEADER = 548
"""Bytes, as QEMU and AWS have it: 4 + 4 × 2 + 2 × 8 + 2 × 32 × 8 + 2 × 4."""


def by_hand(sections: list[tuple[int, bytes]], *, version: int = 4, flags: int = 0, gap: bytes = b"") -> bytes:
    """The same bytes, put together with nothing of what is tested."""
    body, offsets, sizes = b"", [0] * 32, [0] * 32
    for number, (kind, data) in enumerate(sections):
        body += gap
        offsets[number], sizes[number] = HEADER + len(body), len(data)
        body += struct.pack(">HHQ", kind, 0, len(data)) + data
    head = b".eif" + struct.pack(">HHQQHH", version, flags, 128 << 20, 2, 0, len(sections))
    head += b"".join(value.to_bytes(8, "big") for value in offsets + sizes) + bytes(4)
    return head + zlib.crc32(head + body).to_bytes(4, "big") + body


SECTIONS = [(1, KERNEL), (2, CMDLINE), (5, METADATA), (3, b"first"), (3, b"second")]


def refused(data: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        Image.decode(data)
    assert caught.value.code == "bad_image"
    return caught.value.reason


def test_the_bytes_are_those_of_the_format() -> None:
    assert IMAGE.encode() == by_hand(SECTIONS)
    assert len(IMAGE.encode()) == HEADER + 5 * 12 + sum(len(data) for _, data in SECTIONS)


def test_what_is_written_is_read_again() -> None:
    for image in (IMAGE, IMAGE.signed(b"\x80"), Image(KERNEL, b"", (b"only",), b"", arm64=True)):
        assert Image.decode(image.encode()) == image


@pytest.mark.parametrize(
    "sections",
    [
        [*SECTIONS[:4], (4, b"s"), SECTIONS[4]],  # a signature among the ramdisks
        [SECTIONS[1], SECTIONS[0], *SECTIONS[2:]],
        SECTIONS[:3],  # nothing to boot into
        [*SECTIONS, (4, b"s"), (4, b"t")],
        [*SECTIONS, (6, b"?")],
        [*SECTIONS, (0, b"?")],
        [*SECTIONS[:4], (3, b"")],
        [(1, b""), *SECTIONS[1:]],
        [SECTIONS[0], (2, b"a\nb"), *SECTIONS[2:]],
        [SECTIONS[0], (2, "ö".encode()), *SECTIONS[2:]],
    ],
)
def test_sections_that_are_not_an_image(sections: list[tuple[int, bytes]]) -> None:
    refused(by_hand(sections))


def test_another_version_a_gap_an_unknown_flag() -> None:
    assert "version 3" in refused(by_hand(SECTIONS, version=3))
    refused(by_hand(SECTIONS, gap=b"\0"))
    refused(by_hand(SECTIONS, flags=2))


def test_what_follows_or_is_missing() -> None:
    data = IMAGE.encode()
    assert "damaged" in refused(data + b"\0")
    for length in (0, 3, HEADER - 1, HEADER, HEADER + 11, len(data) - 1):
        refused(data[:length])


def test_sections_beyond_the_table_and_beyond_the_end() -> None:
    data = bytearray(IMAGE.encode())
    data[26:28] = (MAX_SECTIONS + 1).to_bytes(2, "big")
    assert "at most" in refused(bytes(data))
    data = bytearray(IMAGE.encode())
    data[28:36] = b"\xff" * 8
    assert "outside" in refused(bytes(data))


def test_too_many_ramdisks() -> None:
    with pytest.raises(Refusal, match="at most 32"):
        Image(KERNEL, CMDLINE, (b"x",) * 30, METADATA)


@given(place=st.integers(0, len(IMAGE.encode()) - 1), bit=st.integers(0, 7))
def test_every_flipped_bit_is_noticed(place: int, bit: int) -> None:
    data = bytearray(IMAGE.encode())
    data[place] ^= 1 << bit
    refused(bytes(data))


@given(st.binary(max_size=1200))
def test_any_bytes_give_an_image_or_a_refusal(data: bytes) -> None:
    for candidate in (data, b".eif\0\4" + data, IMAGE.encode()[:HEADER] + data):
        _image_or_refusal(candidate)


@given(st.integers(0, 32), st.lists(st.integers(0, 2**64 - 1), min_size=64, max_size=64))
def test_any_table_of_sections_gives_an_image_or_a_refusal(count: int, table: list[int]) -> None:
    data = IMAGE.encode()
    head = data[:26] + count.to_bytes(2, "big") + b"".join(each.to_bytes(8, "big") for each in table)
    _image_or_refusal(head + data[len(head) :])


def _image_or_refusal(data: bytes) -> None:
    decode: Callable[[bytes], Image] = Image.decode
    try:
        assert decode(data).encode() == data
    except Refusal as refusal:
        assert refusal.code == "bad_image"
