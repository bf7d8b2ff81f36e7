"""Equivocation: two signed broadcasts of one signer for one round. Anyone who has both testimonies can check it."""

from __future__ import annotations

from collections.abc import Mapping

from strongroom import signatures
from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item, text_item

Row = tuple[str, bytes, bytes]


def _row(value: cbor.Value) -> Row:
    if not isinstance(value, list) or len(value) != 3:
        raise Refusal("malformed_message", "a testimony's row is sender, digest and signature")
    return text_item(value[0]), bytes_item(value[1]), bytes_item(value[2])


def _read(testimony: bytes) -> tuple[bytes, int, tuple[Row, ...]]:
    fields = Fields.decode(testimony, "testimony")
    parsed = fields.blob("ceremony", size=32), fields.integer("round", most=255), fields.items("seen", _row, most=9)
    fields.end()
    return parsed


def equivocators(first: bytes, second: bytes, boot_keys: Mapping[str, bytes]) -> tuple[str, ...]:
    """Names that signed two different broadcasts for one round; boot_keys as their evidence attests them.

    Raises Refusal `malformed_message` where the testimonies are not of one ceremony and round.
    """
    ceremony, round_number, rows = _read(first)
    other_ceremony, other_round, other_rows = _read(second)
    if (ceremony, round_number) != (other_ceremony, other_round):
        raise Refusal("malformed_message", "the testimonies are of different ceremonies or rounds")
    others = {sender: (digest, signature) for sender, digest, signature in other_rows}

    def signed(sender: str, digest: bytes, signature: bytes) -> bool:
        # Only names of a roster have a length of one byte; a testimony may say anything.
        if sender not in boot_keys:
            return False
        name = bytes((len(sender),)) + sender.encode()
        message = b"strongroom/broadcast/v1" + ceremony + bytes((round_number,)) + name + digest
        return signatures.verify(boot_keys[sender], signature, message)

    return tuple(
        sender
        for sender, digest, signature in rows
        if sender in others
        and others[sender][0] != digest
        and signed(sender, digest, signature)
        and signed(sender, *others[sender])
    )
