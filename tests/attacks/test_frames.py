"""Bytes that are no requests. Each is refused by its code, or the connection ends; the signer goes on serving."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from strongroom.signer import serve
from strongroom.wire import cbor, frame
from strongroom_client.cluster.plan import PORT
from strongroom_enclave.listener import listen_uds
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import Custody
from tests.attacks.hand import PREAMBLE, Wire, refused

STATUS = frame.encode_request("status", {})


@pytest.fixture(params=["enclave-1", "hsm-1"])
def name(request: pytest.FixtureRequest, custody: Custody) -> Iterator[str]:
    """Both programs. Afterwards a new connection is served."""
    yield request.param
    with Wire(custody.cluster.socket(request.param)) as wire:
        assert wire.exchange(STATUS).text("name") == request.param


@pytest.fixture
def wire(custody: Custody, name: str) -> Iterator[Wire]:
    with Wire(custody.cluster.socket(name)) as wire:
        yield wire


@pytest.mark.parametrize("raw", [b"\0", b"\0\0\0", b"\0\0\0\x09", b"\0\0\0\x09[1, 2", b"\0\x40\0\0" + bytes(1 << 20)])
def test_a_truncated_frame(wire: Wire, raw: bytes) -> None:
    wire.send(raw)


def test_an_empty_frame(wire: Wire) -> None:
    with refused("malformed_cbor"):
        wire.exchange(b"")


@pytest.mark.parametrize("length", [(4 << 20) + 1, 100 << 20, (1 << 32) - 1])
def test_a_frame_that_announces_too_much(wire: Wire, length: int) -> None:
    """Refused by its header: not one byte of the payload is waited for."""
    wire.send(length.to_bytes(4, "big"))
    answer = wire.answer()
    assert answer is not None
    with refused("oversized_frame"):
        frame.decode_answer(answer)
    assert wire.answer() is None, "what follows cannot be trusted to be frames"


def test_a_hundred_megabytes_that_do_come(wire: Wire) -> None:
    wire.send((100 << 20).to_bytes(4, "big"))
    for _ in range(100):
        wire.send(bytes(1 << 20))
    answer = wire.answer()
    if answer is not None:  # the hang-up may overtake it
        with refused("oversized_frame"):
            frame.decode_answer(answer)


def test_the_largest_frame(wire: Wire) -> None:
    """At the limit: read in full, then refused for what it is."""
    with refused("malformed_cbor"):
        wire.exchange(b"\xff" * frame.MAX_FRAME)


@pytest.mark.parametrize(
    "payload",
    [
        b"garbage",
        STATUS + b"\0",
        STATUS[:-1],
        # [1, "status", {}] with a head that is not minimal, an indefinite array, a tag, a float, an indefinite map
        b"\x83\x18\x01\x66status\xa0",
        b"\x9f\x01\x66status\xa0\xff",
        b"\xc1\x83\x01\x66status\xa0",
        b"\x83\xfb\x3f\xf0\0\0\0\0\0\0\x66status\xa0",
        b"\x83\x01\x66status\xbf\xff",
        # a key twice, keys in another order, a key that is no text
        b"\x83\x01\x67tickets\xa2\x65count\x01\x65count\x02",
        b"\x83\x01\x67tickets\xa2\x61b\x01\x61a\x02",
        b"\x83\x01\x67tickets\xa1\x01\x01",
        b"\x83\x01\x63\xff\xfe\xfd\xa0",
        b"\x81" * 17 + b"\0",
        b"\x81" * 100_000 + b"\0",
        b"\x99\x10\x01" + b"\0" * 4097,
        b"\x9b" + b"\xff" * 8,
        b"\x5b" + b"\xff" * 8,
    ],
)
def test_no_deterministic_cbor(wire: Wire, payload: bytes) -> None:
    with refused("malformed_cbor"):
        wire.exchange(payload)
    assert wire.exchange(STATUS).text("name"), "the connection stays of use: its frames were whole"


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        [],
        [1, "status"],
        [2, "status", {}],
        [True, "status", []],
        [1, b"status", {}],
        [1, "status", []],
        [1, "status", {}, {}],
        [1, "status", {"unknown": 1}],
        [1, "tickets", {}],
        [1, "tickets", {"count": "1"}],
        [1, "tickets", {"count": True}],
        [1, "tickets", {"count": 0}],
        [1, "tickets", {"count": 257}],
        [1, "tickets", {"count": -1}],
        [1, "tickets", {"count": 1, "whose": "mine"}],
        [1, "evidence", {"nonce": bytes(31)}],
        [1, "evidence", {"nonce": None}],
        [1, "channel.open", {"order": "0" * 32, "peer": "hsm-1"}],
        [1, "ceremony.step", {"ceremony": bytes(32), "round": 256, "messages": []}],
        [1, "ceremony.step", {"ceremony": bytes(32), "round": 1, "messages": [["enclave-1"]]}],
        [1, "ceremony.step", {"ceremony": bytes(32), "round": 1, "messages": [["x", b""]] * 10}],
        [1, "wallet.load", {"record": b"\xa0", "body": None}],
    ],
    ids=str,
)
def test_a_request_that_no_signer_has(wire: Wire, value: cbor.Value) -> None:
    with refused("malformed_message"):
        wire.exchange(cbor.encode(value))


@pytest.mark.parametrize(
    "operation", ["", "sign", "sign.digest", "wallet.export", "share.show", "__class__", "status\n", "s" * 4000]
)
def test_an_unknown_operation(wire: Wire, operation: str) -> None:
    """Among them the one that signs a raw digest: there is none."""
    with refused("unknown_request"):
        wire.exchange(frame.encode_request(operation, {"digest": bytes(32)}))


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("channel.open", {"order": bytes(32), "peer": "hsm-1"}, "unknown_order"),
        ("dkg.start", {"order": bytes(32), "tickets": [bytes(16)], "attempt": 1}, "unknown_order"),
        ("wallet.attest", {"wallet": bytes(32), "nonce": bytes(32)}, "unknown_wallet"),
        ("ceremony.step", {"ceremony": bytes(32), "round": 1, "messages": []}, "unknown_ceremony"),
    ],
)
def test_what_was_never_begun(wire: Wire, operation: str, body: dict[str, cbor.Value], code: str) -> None:
    with refused(code):
        wire.exchange(frame.encode_request(operation, body))


@pytest.mark.parametrize(
    "preamble",
    [
        b"CONNECT 5001\n",
        b"CONNECT 05000\n",
        b"CONNECT 5000\r\n",
        b"connect 5000\n",
        b"GET / HTTP/1.1\n",
        b"CONNECT " + b"9" * 64 + b"\n",
        frame.encode_frame(STATUS) * 3,
    ],
)
def test_another_preamble(custody: Custody, name: str, preamble: bytes) -> None:
    with Wire(custody.cluster.socket(name), preamble) as wire:
        assert wire.welcome == b""


def test_a_flood_of_connections(custody: Custody, name: str) -> None:
    """One too many is closed at once; those that were open before are served, and afterwards new ones."""
    custody.ask(name, "status")
    with ExitStack() as opened:
        wires: list[Wire] = []
        while not wires or wires[-1].welcome:
            wires.append(opened.enter_context(Wire(custody.cluster.socket(name))))
            assert len(wires) <= serve.MAX_CONNECTIONS
        assert custody.ask(name, "status").text("name") == name
    while True:
        with Wire(custody.cluster.socket(name)) as wire:
            if wire.welcome:
                break


def test_half_frames_held_open(custody: Custody, ed25519: Wallet) -> None:
    """A slow loris on every signer, in each state of a connection, while the wallet signs."""
    with ExitStack() as opened:
        for each in custody.names:
            for preamble, begun in ((None, b""), (None, b"CONN"), (b"CONNECT 5000\n", b"\0\0"), (None, b"\0")):
                for _ in range(20):
                    wire = opened.enter_context(Wire(custody.cluster.socket(each), preamble))
                    wire.send(begun)
        custody.require_intact(ed25519)


@pytest.mark.parametrize(
    ("preamble", "begun"), [(None, b"CONNECT"), (PREAMBLE, (1000).to_bytes(4, "big"))], ids=["greeting", "frame"]
)
def test_a_dripping_connection_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preamble: bytes | None, begun: bytes
) -> None:
    """A byte now and then buys no time. The signers' own loop, with less patience."""
    monkeypatch.setattr(serve, "REQUEST_TIMEOUT", 1)
    monkeypatch.setattr(serve, "PREAMBLE_TIMEOUT", 1)
    listener = listen_uds(tmp_path / "signer", PORT)
    server = serve.Server(listener.socket, lambda payload: payload, listener.preamble)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        with Wire(tmp_path / "signer", preamble) as wire:
            wire.send(begun)
            dripped = 0
            while not select.select([wire], [], [], 0.05)[0]:
                wire.send(b" ")
                dripped += 1
                assert dripped < 40, "the connection is still open"
            assert wire.answer() is None
    finally:
        server.close()
