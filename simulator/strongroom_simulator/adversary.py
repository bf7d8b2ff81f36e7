"""A malicious link: sits between the host and one signer, sees every frame, and changes what its rules say.

A Unix socket in the place of the signer's. It speaks the preamble and the frames of docs/specification.md section 2
and understands no ciphertext. A rule is a function of a call and of the way on:

    def rule(call: Call, forward: Forward) -> bytes:
        return forward(call.request)        # an honest link

It may change the request before it goes on, the answer that comes back, ask twice, wait, or raise `Drop`. The last rule
added acts first. Everything that passed is in `seen`: what a malicious host knows.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import log2
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

from strongroom.errors import Refusal
from strongroom.wire import cbor, frame
from strongroom_simulator.programs import end_on_sigterm

_PREAMBLE: Final = 32
_PATIENCE: Final = 120.0


class Drop(Exception):
    """Ends the connection without an answer."""


@dataclass(frozen=True)
class Call:
    """One request on its way to the signer. nth: from 1, among the requests of this operation."""

    operation: str
    nth: int
    request: bytes

    @property
    def body(self) -> dict[str, Any]:
        """Decoded; the values are the wire's own."""
        return cast(dict[str, Any], cast(list[Any], cbor.decode(self.request))[2])

    def with_body(self, body: dict[str, Any]) -> bytes:
        return frame.encode_request(self.operation, body)


@dataclass(frozen=True)
class Seen:
    """What passed: a request and what was answered (None where nothing was). at: Unix seconds."""

    at: float
    call: Call
    answer: bytes | None


Forward = Callable[[bytes], bytes]
Rule = Callable[[Call, Forward], bytes]


class Adversary:
    """`with Adversary(listen, target) as link: link.rules.append(...)`. A rule runs in its connection's thread."""

    def __init__(self, listen: Path, target: Path, rules: tuple[Rule, ...] = ()) -> None:
        self.target = target
        self.rules: list[Rule] = list(rules)
        self.seen: list[Seen] = []
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._listen = listen
        self._server = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Adversary:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._listen.unlink(missing_ok=True)
        self._server.bind(str(self._listen))
        self._server.listen(64)
        threading.Thread(target=self._accept, name=f"adversary {self._listen.name}", daemon=True).start()

    def stop(self) -> None:
        # close() alone does not wake a thread that waits in accept().
        try:
            self._server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._server.close()
        self._listen.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, socket.socket(socket.AF_UNIX) as signer:
            try:
                caller.settimeout(_PATIENCE)
                signer.settimeout(_PATIENCE)
                signer.connect(str(self.target))
                signer.sendall(_line(caller))
                caller.sendall(_line(signer))
                caller.settimeout(None)
                while _asked(caller, signer) and (request := read_frame(caller)) is not None:
                    caller.sendall(frame.encode_frame(self._pass(request, signer)))
            except (OSError, Refusal, Drop):
                return

    def _pass(self, request: bytes, signer: socket.socket) -> bytes:
        call = self._call(request)
        answer: bytes | None = None
        try:
            answer = self._through(len(self.rules), call, signer)
            return answer
        finally:
            self.seen.append(Seen(time.time(), call, answer))

    def _call(self, request: bytes) -> Call:
        try:
            operation = frame.decode_request(request)[0]
        except Refusal:
            operation = "?"
        with self._lock:
            self._counts[operation] += 1
            return Call(operation, self._counts[operation], request)

    def _through(self, left: int, call: Call, signer: socket.socket) -> bytes:
        if left == 0:
            return exchange(signer, call.request)
        onward: Forward = lambda request: self._through(  # noqa: E731
            left - 1, Call(call.operation, call.nth, request), signer
        )
        return self.rules[left - 1](call, onward)

    def ciphertext(self) -> bytes:
        """Every sealed message that passed, in both directions, joined."""
        return b"".join(message for each in self.seen for message in sealed_messages(each))


def _asked(caller: socket.socket, signer: socket.socket) -> bool:
    """Waits for a request. False where the signer went away meanwhile, which its caller must notice as without us."""
    ready, _, _ = select.select([caller, signer], [], [])
    return signer not in ready


def exchange(signer: socket.socket, request: bytes) -> bytes:
    """One request and its answer, over a connection past its preamble. Raises Drop where none comes."""
    signer.sendall(frame.encode_frame(request))
    answer = read_frame(signer)
    if answer is None:
        raise Drop
    return answer


def read_frame(connection: socket.socket) -> bytes | None:
    """None at the connection's end. Raises Refusal for what is too large."""
    header = _exactly(connection, frame.HEADER)
    return None if header is None else _exactly(connection, frame.frame_length(header))


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _line(connection: socket.socket) -> bytes:
    read = bytearray()
    while len(read) < _PREAMBLE and read[-1:] != b"\n":
        byte = connection.recv(1)
        if not byte:
            raise Drop
        read += byte
    return bytes(read)


# --- Rules ---


def only(operation: str, rule: Rule, *, nth: int | None = None) -> Rule:
    """`rule` for one operation, and of it for the nth request alone where `nth` is given; counted from now on."""
    count = 0

    def limited(call: Call, forward: Forward) -> bytes:
        nonlocal count
        if call.operation != operation:
            return forward(call.request)
        count += 1
        return rule(call, forward) if nth in (None, count) else forward(call.request)

    return limited


def drop(call: Call, forward: Forward) -> bytes:
    """The signer never hears of it."""
    raise Drop


def mute(call: Call, forward: Forward) -> bytes:
    """The signer works; its answer is lost."""
    forward(call.request)
    raise Drop


def delay(seconds: float) -> Rule:
    def delayed(call: Call, forward: Forward) -> bytes:
        time.sleep(seconds)
        return forward(call.request)

    return delayed


def duplicate(call: Call, forward: Forward) -> bytes:
    """The signer hears everything twice; the host gets the second answer."""
    forward(call.request)
    return forward(call.request)


def replay() -> Rule:
    """From the second time on, the signer hears again what it heard the first time of this operation."""
    first: dict[str, bytes] = {}

    def replayed(call: Call, forward: Forward) -> bytes:
        return forward(first.setdefault(call.operation, call.request))

    return replayed


def flip(bit: int = -1) -> Rule:
    """Flips one bit, in the last sealed message that the signer sends (default: of its last byte, the AEAD's tag)."""

    def flipped(call: Call, forward: Forward) -> bytes:
        return change_messages(forward(call.request), lambda messages: _flip_last(messages, bit))

    return flipped


def _flip_last(messages: list[list[Any]], bit: int) -> list[list[Any]]:
    if messages:
        raw = bytearray(messages[-1][1])
        raw[bit // 8] ^= 1 << (bit % 8)
        messages[-1][1] = bytes(raw)
    return messages


def swap(call: Call, forward: Forward) -> bytes:
    """Each recipient gets what was sealed for another: the payloads of the answer, moved on by one."""

    def moved(messages: list[list[Any]]) -> list[list[Any]]:
        payloads = [payload for _, payload in messages]
        return [[name, payload] for (name, _), payload in zip(messages, payloads[1:] + payloads[:1], strict=True)]

    return change_messages(forward(call.request), moved)


def change_messages(answer: bytes, change: Callable[[list[list[Any]]], list[list[Any]]]) -> bytes:
    """A step's answer with other messages; every other answer as it was."""
    value = cast(list[Any], cbor.decode(answer))
    if value[1] is not True or not isinstance(value[2], dict) or "messages" not in value[2]:
        return answer
    value[2]["messages"] = change([list(pair) for pair in value[2]["messages"]])
    return cbor.encode(value)


# --- What the host sees ---


def sealed_messages(seen: Seen) -> list[bytes]:
    """The sealed messages of one exchange, in both directions."""
    found: list[bytes] = []
    for raw in (seen.call.request, seen.answer or b""):
        try:
            value = cbor.decode(raw)
        except Refusal:
            continue
        body = value[2] if isinstance(value, list) and len(value) == 3 else None
        messages = body.get("messages") if isinstance(body, dict) else None
        if isinstance(messages, list):
            found += [pair[1] for pair in messages if isinstance(pair, list) and isinstance(pair[1], bytes)]
    return found


def entropy(data: bytes) -> float:
    """Shannon's, of single bytes, in bits: 8.0 for what looks random."""
    counts = Counter(data)
    return -sum(n / len(data) * log2(n / len(data)) for n in counts.values()) if data else 0.0


# --- Command line ---

_RULES: Final[dict[str, Rule]] = {"drop": drop, "mute": mute, "duplicate": duplicate, "swap": swap, "flip": flip()}


def main() -> None:
    """`python -m strongroom_simulator.adversary --listen S --target S --do flip --to ceremony.step [--record FILE]`."""
    parser = argparse.ArgumentParser(prog="strongroom-adversary", description=main.__doc__)
    parser.add_argument("--listen", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True, help="the signer's own socket")
    parser.add_argument("--do", choices=[*_RULES, "replay", "delay", "nothing"], default="nothing")
    parser.add_argument("--to", default="ceremony.step", metavar="OPERATION")
    parser.add_argument("--nth", type=int, help="of this operation's requests; all of them where absent")
    parser.add_argument("--seconds", type=float, default=1.0, help="of delay")
    parser.add_argument("--record", type=Path, help="write what passes here, one JSON object a line")
    options = parser.parse_args()
    rules = {**_RULES, "replay": replay(), "delay": delay(options.seconds)}
    end_on_sigterm()
    chosen = () if options.do == "nothing" else (only(options.to, rules[options.do], nth=options.nth),)
    with Adversary(options.listen, options.target, chosen) as link:
        print(json.dumps({"ready": True, "address": str(options.listen)}), flush=True)
        _record(link, options.record)


def _record(link: Adversary, path: Path | None) -> None:
    written = 0
    try:
        while True:
            time.sleep(0.2)
            if path is not None and len(link.seen) > written:
                new, written = link.seen[written:], len(link.seen)
                with path.open("a") as file:
                    file.writelines(json.dumps(_row(each)) + "\n" for each in new)
    except KeyboardInterrupt:
        return


def _row(seen: Seen) -> dict[str, Any]:
    answer = None if seen.answer is None else seen.answer.hex()
    return {"at": seen.at, "operation": seen.call.operation, "request": seen.call.request.hex(), "answer": answer}


if __name__ == "__main__":
    main()
