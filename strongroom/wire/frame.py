"""Frames between host and signer: a four-byte big-endian length, then that many bytes of CBOR.

request  = [1, operation, body]
response = [1, true, body] or [1, false, error]
error    = {"code", "reason", "culprits", "verdict", "proof"}
"""

from __future__ import annotations

from typing import Final

from strongroom.errors import CODES, Refusal, Verdict
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, text_item

VERSION: Final = 1
MAX_FRAME: Final = 4 << 20
"""Bytes of one frame's payload: the DKG of 5-of-9 needs about 1.5 MiB towards one signer."""

HEADER: Final = 4
MAX_REASON: Final = 1024
"""Characters of a refusal's reason: a policy's lists, say, may make it longer than anybody reads."""


def encode_frame(payload: bytes) -> bytes:
    if len(payload) > MAX_FRAME:
        raise Refusal("oversized_frame", f"{len(payload)} bytes are over the limit of {MAX_FRAME}")
    return len(payload).to_bytes(HEADER, "big") + payload


def frame_length(header: bytes | bytearray) -> int:
    """The payload's length. Raises Refusal `oversized_frame` before a byte of it is read or stored."""
    if len(header) != HEADER:
        raise Refusal("malformed_frame", "a frame's header was cut short")
    length = int.from_bytes(header, "big")
    if length > MAX_FRAME:
        raise Refusal("oversized_frame", f"{length} bytes are over the limit of {MAX_FRAME}")
    return length


def encode_request(operation: str, body: dict[str, cbor.Value]) -> bytes:
    return cbor.encode([VERSION, operation, body])


def decode_request(payload: bytes) -> tuple[str, Fields]:
    value = cbor.decode(payload)
    if not isinstance(value, list) or len(value) != 3 or not _of_version(value[0]) or not isinstance(value[1], str):
        raise Refusal("malformed_message", "a request is [1, operation, body]")
    return value[1], Fields(value[2], "request")


def _of_version(value: cbor.Value) -> bool:
    return value == VERSION and not isinstance(value, bool)


def encode_answer(body: dict[str, cbor.Value]) -> bytes:
    return cbor.encode([VERSION, True, body])


def encode_refusal(refusal: Refusal) -> bytes:
    error: dict[str, cbor.Value] = {
        "code": refusal.code,
        "reason": refusal.reason[:MAX_REASON],
        "culprits": list(refusal.culprits),
        "verdict": refusal.verdict,
        "proof": refusal.proof,
    }
    return cbor.encode([VERSION, False, error])


_VERDICTS: Final[dict[str | None, Verdict | None]] = {
    None: None,
    "proof": "proof",
    "accusation": "accusation",
    "unattributed": "unattributed",
    "link": "link",
}


def decode_answer(payload: bytes) -> Fields:
    """The body of a success. Raises the signer's Refusal, or `malformed_message` where the answer is no answer."""
    value = cbor.decode(payload)
    if not isinstance(value, list) or len(value) != 3 or not _of_version(value[0]) or not isinstance(value[1], bool):
        raise Refusal("malformed_message", "an answer is [1, success, body]")
    if value[1]:
        return Fields(value[2], "answer")
    error = Fields(value[2], "error")
    code = error.text("code")
    reason = error.text("reason", most=MAX_REASON)
    culprits = error.items("culprits", text_item)
    verdict = error.optional_text("verdict")
    proof = error.optional_blob("proof", most=1 << 16)
    error.end()
    if code not in CODES or verdict not in _VERDICTS:
        raise Refusal("malformed_message", "an answer with an unknown error code or verdict")
    raise Refusal(code, reason, culprits=culprits, verdict=_VERDICTS[verdict], proof=proof)
