"""The hand of a dishonest host: raw connections, and ceremonies whose messages it carries as it likes."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest

from strongroom.errors import Refusal, Verdict
from strongroom.wire import cbor, frame
from strongroom.wire.fields import Fields, bytes_item, pair_item
from strongroom_client.cluster.plan import PORT
from strongroom_host.signers import Signers
from strongroom_simulator.adversary import read_frame

PREAMBLE = b"CONNECT %d\n" % PORT
Letter = tuple[str, bytes]
"""Said sender, sealed bytes."""


class Wire:
    """A connection to a signer's socket. preamble None: none is sent."""

    def __init__(self, path: Path, preamble: bytes | None = PREAMBLE) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self.welcome = b""
        if preamble is not None:
            self.send(preamble)
            self.welcome = self._line()

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, raw: bytes) -> None:
        """What a signer that hung up no longer hears is lost, as for any host."""
        try:
            self._socket.sendall(raw)
        except OSError:
            pass

    def answer(self) -> bytes | None:
        """A frame's payload, None where the signer hung up."""
        try:
            return read_frame(self._socket)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            return None

    def exchange(self, payload: bytes) -> Fields:
        """One whole frame there and back. Raises the signer's Refusal."""
        self.send(frame.encode_frame(payload))
        answer = self.answer()
        assert answer is not None, "the signer hung up"
        return frame.decode_answer(answer)

    def _line(self) -> bytes:
        read = b""
        try:
            while not read.endswith(b"\n") and (byte := self._socket.recv(1)):
                read += byte
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
        return read


@dataclass(frozen=True)
class Step:
    """A signer's answer within a ceremony. messages: sealed, by recipient. acknowledged: by its journal, likewise."""

    name: str
    ceremony: bytes
    round: int
    messages: Mapping[str, bytes]
    result: bytes | None
    signature: bytes | None
    acknowledged: Mapping[str, bytes]


def read_step(name: str, answer: Fields) -> Step:
    ceremony, number = answer.blob("ceremony", size=32), answer.integer("round")
    messages = dict(answer.items("messages", pair_item))
    result, signature = answer.optional_blob("result"), answer.optional_blob("signature")
    acknowledged = read_acknowledged(answer.fields("journal")) if answer.has("journal") else {}
    answer.end()
    return Step(name, ceremony, number, messages, result, signature, acknowledged)


def read_acknowledged(answer: Fields) -> dict[str, bytes]:
    """What a journal says when it has reserved: sealed, by recipient. What it sealed for itself, this host loses."""
    acknowledged = dict(answer.items("acknowledgements", pair_item))
    answer.blob("digest", size=32), answer.flag("counted"), answer.items("blocks", bytes_item)
    answer.end()
    return acknowledged


class Run:
    """One ceremony. `steps`: where each signer is. Aborted at the end of a `with`, wherever it got to."""

    def __init__(self, signers: Signers) -> None:
        self._signers = signers
        self.steps: dict[str, Step] = {}
        self._started: list[tuple[str, bytes]] = []

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name, ceremony in self._started:
            self._signers.ask([(name, "ceremony.abort", {"ceremony": ceremony})])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.steps)

    @property
    def done(self) -> bool:
        return all(step.result is not None for step in self.steps.values())

    def take(self, step: Step) -> Step:
        self.steps[step.name] = step
        if step.round <= 1:
            self._started.append((step.name, step.ceremony))
        return step

    def letters(self, name: str) -> list[Letter]:
        """What the others wrote to `name` last."""
        return [(each, step.messages[name]) for each, step in self.steps.items() if name in step.messages]

    def feed(
        self,
        name: str,
        letters: Sequence[Letter] | None = None,
        *,
        number: int | None = None,
        ceremony: bytes | None = None,
        keep: bool = True,
        acknowledged: Sequence[Letter] = (),
    ) -> Step:
        """One round for one signer: honestly, but for what is given. keep: its answer is its step now. acknowledged:
        by other journals."""
        own = self.steps[name]
        carried: list[cbor.Value] = [list(letter) for letter in (self.letters(name) if letters is None else letters)]
        body: dict[str, cbor.Value] = {
            "ceremony": own.ceremony if ceremony is None else ceremony,
            "round": own.round if number is None else number,
            "messages": carried,
        }
        if acknowledged:
            body["acknowledgements"] = [list(each) for each in acknowledged]
        step = read_step(name, self._signers.call(name, "ceremony.step", body, timeout=60.0))
        return self.take(step) if keep else step

    def turn(self) -> None:
        """One honest round for everybody."""
        boxes = {name: self.letters(name) for name, step in self.steps.items() if step.result is None}
        for name, letters in boxes.items():
            self.feed(name, letters)

    def turns(self, count: int) -> Run:
        for _ in range(count):
            self.turn()
        return self

    def finish(self) -> dict[str, Step]:
        while not self.done:
            self.turn()
        return dict(self.steps)


@contextmanager
def refused(
    code: str, *, by: str | None = None, culprits: Sequence[str] = (), verdict: Verdict | None = None
) -> Iterator[pytest.ExceptionInfo[Refusal]]:
    """With this code, by this signer, naming these and nobody else, and saying who could believe it."""
    with pytest.raises(Refusal) as caught:
        yield caught
    refusal = caught.value
    assert (refusal.code, refusal.culprits, refusal.verdict) == (code, tuple(culprits), verdict), refusal.reason
    if by is not None:
        assert getattr(refusal, "by", None) == by


def flipped(raw: bytes, bit: int) -> bytes:
    """bit: from the start, or from the end where negative."""
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)
