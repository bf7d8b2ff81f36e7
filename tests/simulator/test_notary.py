"""QEMU's own documents are refused; what the notary made of them is accepted under its root, and says the same."""

from __future__ import annotations

import socket
import threading

import cbor2
import pytest

from strongroom.errors import Refusal
from strongroom.evidence import nitro
from strongroom.evidence.statement import TrustRoot
from strongroom.wire import cbor
from strongroom_simulator import notary, pki
from strongroom_simulator.device import LEAF_LIFE
from strongroom_simulator.document import Document
from strongroom_simulator.notary import Notary
from strongroom_simulator.pki import Identity
from tests.simulator.bench import NOW
from tests.simulator.running import REGISTERS

ZERO = bytes(64)
MODULE = "i-alice-enc0000000000000001"


@pytest.fixture(scope="module")
def root() -> Identity:
    return pki.root("simulated.nitro-enclaves")


def pinned(root: Identity) -> TrustRoot:
    return TrustRoot("nitro", "simulated", root.fingerprint)


def unsigned(at: int = NOW) -> bytes:
    """As QEMU 10 writes it (hw/virtio/virtio-nsm.c): algorithm -1, and 64 zero bytes for whatever it has not."""
    made = Document(MODULE, at * 1000, REGISTERS, ZERO, (ZERO,), public_key=b"key", user_data=None, nonce=b"nonce")
    return cbor.encode([cbor2.dumps({1: -1}), {}, made.payload(), ZERO])


def test_qemus_own_document_is_refused(root: Identity) -> None:
    with pytest.raises(Refusal) as raised:
        nitro.verify(unsigned(), root=pinned(root), at=NOW)
    assert raised.value.code == "evidence_malformed"


def test_a_signed_one_says_what_qemu_said(root: Identity) -> None:
    statement = nitro.verify(Notary(root).sign(unsigned()), root=pinned(root), at=NOW)
    assert (statement.subject, statement.timestamp) == (MODULE, NOW)
    assert (statement.public_key, statement.user_data, statement.nonce) == (b"key", None, b"nonce")
    assert statement.measurements == {f"pcr{index}": value for index, value in REGISTERS.items()}


def test_another_notarys_is_refused(root: Identity) -> None:
    with pytest.raises(Refusal) as raised:
        nitro.verify(Notary(pki.root("another")).sign(unsigned()), root=pinned(root), at=NOW)
    assert raised.value.code == "evidence_root"


def test_a_leaf_is_renewed_before_it_ends(root: Identity) -> None:
    made = Notary(root)
    for at in (NOW, NOW + LEAF_LIFE - 60, NOW + 2 * LEAF_LIFE):
        assert nitro.verify(made.sign(unsigned(at)), root=pinned(root), at=at).timestamp == at


@pytest.mark.parametrize(
    "sent",
    [b"", cbor.encode([1, 2, 3]), cbor.encode([b"", {}, b"\xff", b""]), cbor.encode([b"", {}, cbor.encode({}), b""])],
    ids=["nothing", "no-cose", "no-cbor", "no-fields"],
)
def test_what_is_no_document_gets_no_answer(root: Identity, sent: bytes) -> None:
    """And the next one does."""
    here, there = socket.socketpair()
    listener = _Once([there])
    server = threading.Thread(target=notary.serve, args=(listener, Notary(root)))
    server.start()
    with here:
        here.settimeout(20)
        here.sendall(len(sent).to_bytes(4, "big") + sent)
        assert here.recv(4) == b""
    server.join(20)
    assert not server.is_alive()


class _Once(socket.socket):
    """A listener with these callers, and then closed."""

    def __init__(self, callers: list[socket.socket]) -> None:
        super().__init__(socket.AF_UNIX)
        self._callers = callers

    def accept(self) -> tuple[socket.socket, None]:
        if not self._callers:
            self.close()
            raise OSError
        return self._callers.pop(), None
