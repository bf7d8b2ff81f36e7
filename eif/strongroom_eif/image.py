"""The Enclave Image Format, version 4, written and read strictly: one image has one encoding.

    image   = header[548] ‖ section…
    header  = ".eif" ‖ u16 version ‖ u16 flags ‖ u64 memory ‖ u64 cpus ‖ u16 0 ‖ u16 sections ‖ u64 offset[32] ‖
              u64 size[32] ‖ u32 0 ‖ u32 crc
    section = u16 kind ‖ u16 flags ‖ u64 size ‖ data

Everything is big-endian. An offset is that of a section's header, a size that of its data; both are zero for sections
that are not there. crc is CRC-32 (IEEE 802.3) of everything but itself. Flag 1 of the header says aarch64.

Source: AWS's aws-nitro-enclaves-image-format, src/defs/mod.rs and src/utils/mod.rs; QEMU's hw/core/eif.c.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import takewhile
from typing import Final

from strongroom.errors import Refusal

MAGIC: Final = b".eif"
VERSION: Final = 4
ARM64: Final = 1
MAX_SECTIONS: Final = 32
MAX_SIZE: Final = 1 << 30
"""Bytes of a whole image: more than any enclave of ours, less than what a reader's memory bears."""

_HEADER: Final = struct.Struct(">4sHHQQHH32Q32QII")
_SECTION: Final = struct.Struct(">HHQ")
_CRC: Final = 4


class Kind(IntEnum):
    KERNEL = 1
    CMDLINE = 2
    RAMDISK = 3
    SIGNATURE = 4
    METADATA = 5


@dataclass(frozen=True)
class Section:
    kind: Kind
    data: bytes

    def encode(self) -> bytes:
        return _SECTION.pack(self.kind, 0, len(self.data)) + self.data


@dataclass(frozen=True)
class Image:
    """memory (bytes) and cpus are what an enclave gets where nobody says otherwise; neither is measured."""

    kernel: bytes
    cmdline: bytes
    ramdisks: tuple[bytes, ...]
    metadata: bytes
    signature: bytes | None = None
    arm64: bool = False
    memory: int = 256 << 20
    cpus: int = 1

    def __post_init__(self) -> None:
        if not self.kernel or not self.ramdisks or not all(self.ramdisks):
            raise bad("an image has a kernel and at least one ramdisk, and none is empty")
        if len(self.sections()) > MAX_SECTIONS:
            raise bad(f"an image has at most {MAX_SECTIONS} sections")
        if not self.cmdline.isascii() or not self.cmdline.decode().isprintable():
            raise bad("a kernel's command line is printable ASCII")

    def sections(self) -> tuple[Section, ...]:
        """In the order in which AWS's own builder writes them."""
        return (
            Section(Kind.KERNEL, self.kernel),
            Section(Kind.CMDLINE, self.cmdline),
            Section(Kind.METADATA, self.metadata),
            *(Section(Kind.RAMDISK, ramdisk) for ramdisk in self.ramdisks),
            *(() if self.signature is None else (Section(Kind.SIGNATURE, self.signature),)),
        )

    def signed(self, signature: bytes) -> Image:
        """signature: the content of a signature section; it replaces an earlier one."""
        return replace(self, signature=signature)

    def unsigned(self) -> Image:
        return replace(self, signature=None)

    def encode(self) -> bytes:
        sections = self.sections()
        offsets, place = [], _HEADER.size
        for section in sections:
            offsets.append(place)
            place += _SECTION.size + len(section.data)
        sizes = [len(section.data) for section in sections]
        unused = [0] * (MAX_SECTIONS - len(sections))
        flags = ARM64 if self.arm64 else 0
        header = _HEADER.pack(
            MAGIC, VERSION, flags, self.memory, self.cpus, 0, len(sections), *offsets, *unused, *sizes, *unused, 0, 0
        )
        body = b"".join(section.encode() for section in sections)
        crc = zlib.crc32(body, zlib.crc32(header[:-_CRC]))
        return header[:-_CRC] + crc.to_bytes(_CRC, "big") + body

    @classmethod
    def decode(cls, data: bytes) -> Image:
        """Raises Refusal `bad_image`: for another version, for damage, and for bytes that `encode` would not write."""
        if not _HEADER.size <= len(data) <= MAX_SIZE:
            raise bad(f"an image has {_HEADER.size} bytes to {MAX_SIZE >> 20} MiB, not {len(data)} bytes")
        magic, version, flags, memory, cpus, _, count, *table, _, _ = _HEADER.unpack_from(data)
        if magic != MAGIC:
            raise bad("this is no enclave image: it does not begin with .eif")
        if version != VERSION:
            raise bad(f"this image is of version {version}; version {VERSION} is read here")
        offsets, sizes = table[:MAX_SECTIONS], table[MAX_SECTIONS:]
        if count > MAX_SECTIONS:
            raise bad(f"an image has at most {MAX_SECTIONS} sections, not {count}")
        image = _assemble([_section(data, *place) for place in zip(offsets[:count], sizes[:count], strict=True)])
        image = replace(image, arm64=flags == ARM64, memory=memory, cpus=cpus)
        if image.encode() != data:
            raise bad("the image is damaged, or has gaps, another order or a checksum that does not hold")
        return image


def _section(data: bytes, offset: int, size: int) -> Section:
    end = offset + _SECTION.size + size
    if offset < _HEADER.size or end > len(data):
        raise bad("a section lies outside the image")
    kind, _, length = _SECTION.unpack_from(data, offset)
    if kind not in set(Kind) or length != size:
        raise bad(f"the section at {offset} is of unknown kind {kind}, or of another size than the header says")
    return Section(Kind(kind), data[offset + _SECTION.size : end])


def _assemble(sections: list[Section]) -> Image:
    kinds = [section.kind for section in sections]
    if kinds[:3] != [Kind.KERNEL, Kind.CMDLINE, Kind.METADATA]:
        raise bad("an image begins with kernel, command line and metadata")
    ramdisks = tuple(each.data for each in takewhile(lambda each: each.kind is Kind.RAMDISK, sections[3:]))
    rest = sections[3 + len(ramdisks) :]
    if [each.kind for each in rest] not in ([], [Kind.SIGNATURE]):
        raise bad("after the ramdisks comes one signature, or nothing")
    kernel, cmdline, metadata = (each.data for each in sections[:3])
    return Image(kernel, cmdline, ramdisks, metadata, rest[0].data if rest else None)


def bad(reason: str) -> Refusal:
    return Refusal("bad_image", reason)
