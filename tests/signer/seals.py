"""A sealed share opened, and sealed again, with the data key that the test's own sealer remembers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.wallet.record import Record, share_aad
from tests.signer.cluster import Cluster


def _parts(record: Record) -> tuple[bytes, bytes, bytes]:
    """Version and suite; nonce; ciphertext with its tag."""
    head = 2 + record.share[1]
    return record.share[:head], record.share[head : head + 12], record.share[head + 12 :]


def _bound(record: Record) -> bytes:
    order = record.order.order_id
    return _parts(record)[0] + share_aad(record.signer, record.wallet, record.epoch, order, record.transcript)


def secret(cluster: Cluster, name: str) -> bytes:
    """The share's scalar: 32 bytes, and what no answer may hold."""
    record = Record.decode(cluster.records[name])
    cipher = AESGCM(cluster[name].sealer.keys[record.wrapped])
    _, nonce, sealed = _parts(record)
    return cipher.decrypt(nonce, sealed, _bound(record))[-32:]


def resealed(cluster: Cluster, name: str, change: Callable[[bytes], bytes]) -> Record:
    """The record with another scalar in it, under an honest seal."""
    record = Record.decode(cluster.records[name])
    cipher = AESGCM(cluster[name].sealer.keys[record.wrapped])
    head, nonce, sealed = _parts(record)
    content = cipher.decrypt(nonce, sealed, _bound(record))
    changed = content[:-32] + change(content[-32:])
    return dataclasses.replace(record, share=head + nonce + cipher.encrypt(nonce, changed, _bound(record)))
