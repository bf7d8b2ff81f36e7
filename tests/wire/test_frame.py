"""Frames, requests and answers."""

from __future__ import annotations

from typing import Any, cast

import pytest

from strongroom.errors import CODES, Refusal
from strongroom.wire import cbor, frame
from tests.wire.refused import refused


def test_a_frame_is_a_length_and_that_many_bytes() -> None:
    assert frame.encode_frame(b"abc") == b"\0\0\0\3abc"
    assert frame.encode_frame(b"") == bytes(4)
    assert frame.frame_length(b"\0\0\1\2") == 258
    largest = frame.encode_frame(bytes(frame.MAX_FRAME))
    assert frame.frame_length(largest[:4]) == frame.MAX_FRAME == 4 << 20


def test_a_frame_over_the_limit_is_refused_by_its_header_alone() -> None:
    refused("oversized_frame", frame.encode_frame, bytes(frame.MAX_FRAME + 1))
    for length in (frame.MAX_FRAME + 1, 100 << 20, 2**32 - 1):
        refused("oversized_frame", frame.frame_length, length.to_bytes(4, "big"))


@pytest.mark.parametrize("header", [b"", b"\0", bytes(3), bytes(5)])
def test_a_header_has_four_bytes(header: bytes) -> None:
    refused("malformed_frame", frame.frame_length, header)


def test_a_request_comes_back_as_it_was_sent() -> None:
    operation, fields = frame.decode_request(frame.encode_request("status", {"a": 1}))
    assert (operation, fields.integer("a")) == ("status", 1)
    fields.end()


@pytest.mark.parametrize(
    "request_",
    [
        {},
        [],
        [1, "status"],
        [1, "status", {}, {}],
        [2, "status", {}],
        ["1", "status", {}],
        [True, "status", {}],
        [1, b"status", {}],
        [1, "status", []],
        [1, "status", None],
    ],
)
def test_what_is_no_request_is_refused(request_: cbor.Value) -> None:
    refused("malformed_message", frame.decode_request, cbor.encode(request_))


def test_a_success_comes_back() -> None:
    assert frame.decode_answer(frame.encode_answer({"a": 1})).integer("a") == 1


def error(**changes: cbor.Value) -> bytes:
    honest: dict[str, cbor.Value] = {
        "code": "aborted",
        "reason": "why",
        "culprits": [],
        "verdict": None,
        "proof": None,
    }
    return cbor.encode([1, False, {**honest, **changes}])


@pytest.mark.parametrize("verdict", [None, "proof", "accusation", "unattributed", "link"])
def test_a_refusal_comes_back_whole(verdict: Any) -> None:
    sent = Refusal("bad_share", "why", culprits=("a", "b"), verdict=verdict, proof=b"signed")
    back = refused("bad_share", frame.decode_answer, frame.encode_refusal(sent))
    assert (back.reason, back.culprits, back.verdict, back.proof) == ("why", ("a", "b"), verdict, b"signed")


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_passes_the_wire(code: str) -> None:
    assert refused(code, frame.decode_answer, frame.encode_refusal(Refusal(code, "why"))).kind == CODES[code].kind


def test_a_long_reason_does_not_hide_the_refusal() -> None:
    back = refused("policy_chain", frame.decode_answer, frame.encode_refusal(Refusal("policy_chain", "é" * 5000)))
    assert back.reason.startswith("é" * 500)


@pytest.mark.parametrize(
    "answer",
    [
        error(code="never_heard_of"),
        error(code=1),
        error(reason="x" * 1025),
        error(reason=None),
        error(verdict="guilty"),
        error(verdict=True),
        error(culprits="a"),
        error(culprits=[b"a"]),
        error(proof=bytes((1 << 16) + 1)),
        error(proof="text"),
        error(more=1),
        cbor.encode([1, False, {"code": "aborted"}]),
        cbor.encode([1, False, []]),
        cbor.encode([1, True, []]),
        cbor.encode([1, 1, {}]),
        cbor.encode([1, None, {}]),
        cbor.encode([2, True, {}]),
        cbor.encode([True, True, {}]),
        cbor.encode([1, True]),
        cbor.encode({}),
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    """A signer that answers rubbish is not taken at its word, whatever code it claims."""
    refused("malformed_message", frame.decode_answer, answer)


def test_an_unknown_code_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        Refusal("never_heard_of", "why")
    with pytest.raises(KeyError):
        Refusal(cast(Any, ""), "why")
