"""Signs what the NSM of a virtual machine measured: QEMU's own documents bear no signature.

QEMU, with our patch (infra/enclave/qemu), sends each document to a Unix socket and hands the enclave what comes back.
Measurements, user data, nonce, key and time stay QEMU's word; chain and signature are the simulator's. Both ways a
frame is a four-byte big-endian length and that many bytes.
"""

from __future__ import annotations

import logging
import socket
from typing import Final

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom_simulator.device import LEAF_LIFE
from strongroom_simulator.document import Document
from strongroom_simulator.pki import Chain, Identity, issue_chain

_log = logging.getLogger(__name__)

MAX_DOCUMENT: Final = 16 << 10
_HEADER: Final = 4
_PATIENCE: Final = 10.0


class Notary:
    """For one enclave: its leaf is kept until a sixth of its life is left, as an NSM does it. Not thread-safe."""

    def __init__(self, root: Identity, leaf_life: int = LEAF_LIFE) -> None:
        self._root = root
        self._leaf_life = leaf_life
        self._chain: Chain | None = None

    def sign(self, unsigned: bytes) -> bytes:
        """Raises Refusal for what is no attestation document."""
        cose = cbor.decode_foreign(unsigned)
        payload = cose[2] if isinstance(cose, list) and len(cose) == 4 else None
        fields = cbor.decode_foreign(payload) if isinstance(payload, bytes) else None
        if not isinstance(fields, dict):
            raise Refusal("evidence_malformed", "QEMU's NSM sent no attestation document")
        module, timestamp = str(fields["module_id"]), fields["timestamp"]
        registers = fields["pcrs"]
        if not isinstance(timestamp, int) or not isinstance(registers, dict):
            raise Refusal("evidence_malformed", "QEMU's NSM sent a document without a time, or without registers")
        chain = self._renewed(module, timestamp // 1000)
        document = Document(
            module_id=module,
            timestamp=timestamp,
            pcrs={int(index): _bytes(value) or b"" for index, value in registers.items()},
            certificate=chain.leaf.der,
            cabundle=chain.bundle,
            public_key=_bytes(fields["public_key"]),
            user_data=_bytes(fields["user_data"]),
            nonce=_bytes(fields["nonce"]),
        )
        return document.sign(chain.leaf.key)

    def _renewed(self, module: str, now: int) -> Chain:
        if self._chain is None or not self._leaf_life // 6 < self._chain.expires - now <= self._leaf_life:
            self._chain = issue_chain(self._root, module, now, self._leaf_life)
        return self._chain


def _bytes(value: cbor.Foreign) -> bytes | None:
    return value if isinstance(value, bytes) else None


def serve(listener: socket.socket, notary: Notary) -> None:
    """One document a connection, one at a time, until the listener is closed. A bad one gets no answer."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                connection.settimeout(_PATIENCE)
                length = int.from_bytes(connection.recv(_HEADER, socket.MSG_WAITALL), "big")
                unsigned = connection.recv(min(length, MAX_DOCUMENT), socket.MSG_WAITALL)
                signed = notary.sign(unsigned)
                connection.sendall(len(signed).to_bytes(_HEADER, "big") + signed)
            except (OSError, Refusal, KeyError) as error:
                _log.error("a document is not signed: %s", error)
