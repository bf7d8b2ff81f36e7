"""What is true of every endpoint: strict JSON, an API key, and problems instead of error pages."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from strongroom.errors import Refusal
from strongroom_host import timing
from strongroom_host.problems import MEDIA_TYPE, Problem, members

_log = logging.getLogger(__name__)

OPEN_PATHS: Final = frozenset({"/v1/health", "/v1/openapi.json"})
MOST_BODY: Final = 1 << 20
"""Bytes: an intent of 128 KiB in hex, and room for an order."""

MOST_KEY: Final = 255

_HTTP_CODES: Final = {404: "not_found", 405: "not_found", 413: "oversized_message"}


class StrictJson(DefaultJSONProvider):
    """RFC 8259 without its traps: no duplicate names, no NaN, no Infinity. Compact, members in the order written."""

    sort_keys = False
    compact = True

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return json.loads(s, object_pairs_hook=_unique, parse_constant=_no_constant, **kwargs)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("an object names a member twice")
    return read


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def answer(problem: Problem, status: int | None = None) -> Response:
    body = members(problem)
    if status is not None:
        body["status"] = status
    response = Response(json.dumps(body), status=body["status"], mimetype=MEDIA_TYPE)
    if problem.cause.code == "unauthorized":
        response.headers["WWW-Authenticate"] = "Bearer"
    if problem.cause.kind in ("busy", "unavailable"):
        response.headers["Retry-After"] = "1"
    return response


def invalid(error: ValidationError) -> Response:
    """flask-openapi's callback. The input is not echoed: it may hold what its sender would not want in a log."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return answer(Problem(Refusal("malformed_message", f"{where}: {first['msg']}")))


def install(app: Flask, key_hashes: Sequence[bytes]) -> None:
    """key_hashes: SHA-256 of the API keys that are known."""
    app.json = StrictJson(app)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY

    @app.before_request
    def check() -> None:
        timing.begin()
        if request.path not in OPEN_PATHS:
            authorize(key_hashes)
        if request.method == "POST":
            read_json()

    @app.after_request
    def tell_time(response: Response) -> Response:
        if (laps := timing.end("answer")) is not None:
            response.headers[timing.HEADER] = laps
        return response

    app.register_error_handler(Refusal, lambda refusal: answer(Problem(refusal)))
    app.register_error_handler(Problem, answer)
    app.register_error_handler(ValidationError, invalid)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _internal)


def authorize(key_hashes: Sequence[bytes]) -> None:
    """Raises Refusal `unauthorized`. Every known key is compared, in constant time."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    given = hashlib.sha256(key.strip().encode()).digest()
    known = [hmac.compare_digest(given, each) for each in key_hashes]
    if scheme.lower() != "bearer" or not any(known):
        raise Refusal("unauthorized", "no API key, or one that this host does not know")


def read_json() -> None:
    """Reads the body once, for whoever asks later. Raises Refusal `malformed_message`."""
    if request.mimetype != "application/json":
        raise Refusal("malformed_message", "the body must be application/json")
    try:
        body = request.get_json()
    except HTTPException as error:
        if error.code == 413:
            raise
        raise Refusal("malformed_message", "the body is not JSON, or names a member twice") from None
    if not isinstance(body, dict):
        raise Refusal("malformed_message", "the body is not a JSON object")


def _http(error: HTTPException) -> Response:
    if isinstance(error.response, Response):
        return error.response
    status = error.code or 500
    code = _HTTP_CODES.get(status, "malformed_message" if status < 500 else "internal")
    return answer(Problem(Refusal(code, error.description or error.name)), status)


def _internal(error: Exception) -> Response:
    _log.error("internal error: %s", type(error).__name__, exc_info=error)
    return answer(Problem(Refusal("internal", "the host failed; its log says why")))


def idempotency_key() -> str | None:
    """The hash of the header's key. Raises Refusal `malformed_message`."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= MOST_KEY:
        raise Refusal("malformed_message", f"an Idempotency-Key has 1 to {MOST_KEY} characters")
    return hashlib.sha256(key.encode()).hexdigest()
