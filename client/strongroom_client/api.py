"""The host's HTTP interface, typed. Nothing that it answers is believed here: see `wallets` and `transactions`.

Only what may be repeated is repeated: reads, and writes with the same Idempotency-Key, after a broken connection.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, cast

import httpx

from strongroom.errors import CODES, Refusal, Verdict

Json = Mapping[str, Any]

ATTEMPTS: Final = 3
PAUSE: Final = 0.2
"""Seconds before the second attempt; doubled before the third."""

TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
CEREMONY_TIMEOUT: Final = httpx.Timeout(180.0, connect=5.0)
"""Creating a wallet runs a DKG and its test signatures."""

_VERDICTS: Final = ("proof", "accusation", "unattributed", "link")


class Api:
    def __init__(self, host: str, key: str, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        self._client = httpx.Client(base_url=host, headers=headers, timeout=TIMEOUT, transport=transport)

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def health(self) -> Json:
        return self._get("/v1/health")

    def signers(self) -> list[Json]:
        return _listed(self._get("/v1/signers"), "signers")

    def evidence(self, signer: str, nonce: bytes) -> Json:
        return self._get(f"/v1/signers/{signer}/evidence", {"nonce": nonce.hex()})

    def wallets(self) -> list[Json]:
        return _listed(self._get("/v1/wallets"), "wallets")

    def wallet(self, wallet: str) -> Json:
        return self._get(f"/v1/wallets/{wallet}")

    def create_wallet(self, signed_order: bytes) -> Json:
        return self._post("/v1/wallets", {"order": signed_order.hex()}, CEREMONY_TIMEOUT)

    def certificate(self, wallet: str) -> bytes:
        return unhex(self._get(f"/v1/wallets/{wallet}/certificate"), "certificate")

    def attestations(self, wallet: str, nonce: bytes) -> list[Json]:
        answer = self._post(f"/v1/wallets/{wallet}/attestations", {"nonce": nonce.hex()})
        return _listed(answer, "attestations")

    def direct(self, wallet: str, directive: bytes) -> Json:
        """Who acknowledged it, by the host's word."""
        return self._post(f"/v1/wallets/{wallet}/directives", {"directive": directive.hex()}, CEREMONY_TIMEOUT)

    def directives(self, wallet: str) -> list[bytes]:
        value = self._get(f"/v1/wallets/{wallet}/directives").get("directives")
        if not isinstance(value, list):
            raise Refusal("malformed_message", "the host's answer has no list of directives")
        return [unhex({"directive": each}, "directive") for each in value]

    def standings(self, wallet: str, nonce: bytes) -> Json:
        return self._post(f"/v1/wallets/{wallet}/standings", {"nonce": nonce.hex()})

    def journals(self, wallet: str) -> Json:
        return self._get(f"/v1/wallets/{wallet}/journals")

    def level_journals(self, wallet: str) -> Json:
        """As `journals`, after those that answer have joined and heard each other as far as they can."""
        return self._post(f"/v1/wallets/{wallet}/journals", {}, CEREMONY_TIMEOUT)

    def waive(self, wallet: str, waiver: bytes) -> Json:
        """Which journals took it: a journal takes a waiver once."""
        return self._post(f"/v1/wallets/{wallet}/waivers", {"waiver": waiver.hex()})

    def release(self, wallet: str) -> Json:
        """Goes on with the wallet's next release; how far it has come is the host's word."""
        return self._post(f"/v1/wallets/{wallet}/release", {}, CEREMONY_TIMEOUT)

    def requests(self, wallet: str) -> list[Json]:
        """The newest hundred."""
        return _listed(self._get("/v1/requests", {"wallet": wallet}), "requests")

    def prepare(self, wallet: str, *, to: str, value: int, data: bytes, chain_id: int | None = None) -> Json:
        """chain_id: needed where the wallet's policy allows several."""
        body = {"to": to, "value": str(value), "data": data.hex(), "chain_id": chain_id}
        return self._post(f"/v1/wallets/{wallet}/prepare", body)

    def submit(
        self, intent: bytes, signature: bytes, signers: Sequence[str] = (), proofs: Sequence[bytes] = ()
    ) -> Json:
        """signers: the set to try first; empty: the host's choice. proofs: for lists that the policy has as a root."""
        body: dict[str, Any] = {"intent": intent.hex(), "signature": signature.hex()}
        if signers:
            body["signers"] = list(signers)
        if proofs:
            body["proofs"] = [proof.hex() for proof in proofs]
        return self._post("/v1/requests", body, CEREMONY_TIMEOUT)

    def request(self, request: str) -> Json:
        return self._get(f"/v1/requests/{request}")

    def approve(self, request: str, approval: bytes) -> Json:
        """Of an approval or a rejection. The last one that was missing has the request signed before this returns."""
        return self._post(f"/v1/requests/{request}/approvals", {"approval": approval.hex()}, CEREMONY_TIMEOUT)

    def retry(self, request: str) -> Json:
        return self._post(f"/v1/requests/{request}/retry", {}, CEREMONY_TIMEOUT)

    def _get(self, path: str, parameters: Mapping[str, str] | None = None) -> Json:
        return self._send(self._client.build_request("GET", path, params=parameters))

    def _post(self, path: str, body: Json, timeout: httpx.Timeout = TIMEOUT) -> Json:
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return self._send(self._client.build_request("POST", path, json=body, headers=headers, timeout=timeout))

    def _send(self, request: httpx.Request) -> Json:
        for attempt in range(ATTEMPTS):
            try:
                return _read(self._client.send(request))
            except httpx.TransportError as error:
                if attempt + 1 == ATTEMPTS:
                    reason = f"{request.url.copy_with(query=None)}: {str(error) or type(error).__name__}"
                    raise Refusal("host_unreachable", reason) from error
            time.sleep(PAUSE * 2**attempt)
        raise AssertionError("unreachable")


def _read(response: httpx.Response) -> Json:
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.is_success and isinstance(body, dict):
        return cast(Json, body)
    if isinstance(body, dict) and body.get("code") in CODES:
        raise problem(body)
    raise Refusal("internal", f"the host answered {response.status_code}: {response.text[:200]}")


class HostRefusal(Refusal):
    """What the host answered. request: the id of the request it concerns, if it does. refusals: each signer's own."""

    def __init__(self, cause: Refusal, request: str | None, refusals: tuple[tuple[str, Refusal], ...]) -> None:
        super().__init__(cause.code, cause.reason, culprits=cause.culprits, verdict=cause.verdict, proof=cause.proof)
        self.request = request
        self.refusals = refusals


def problem(body: Json) -> HostRefusal:
    """Out of the members of an RFC 9457 problem."""
    request, refusals = body.get("request"), body.get("refusals") or ()
    each = tuple((str(row.get("signer")), _refusal(row)) for row in refusals if row.get("code") in CODES)
    return HostRefusal(_refusal(body), None if request is None else str(request), each)


def _refusal(body: Json) -> Refusal:
    verdict, culprits = body.get("verdict"), body.get("culprits") or ()
    return Refusal(
        str(body["code"]),
        str(body.get("detail") or "the host gave no reason"),
        culprits=tuple(str(each) for each in culprits),
        verdict=cast(Verdict, verdict) if verdict in _VERDICTS else None,
    )


def unhex(body: Json, key: str) -> bytes:
    """A hexadecimal member of an answer. Raises Refusal `malformed_message`."""
    try:
        return bytes.fromhex(body[key])
    except (KeyError, TypeError, ValueError):
        raise Refusal("malformed_message", f"the host's answer has no hexadecimal {key}") from None


def _listed(body: Json, key: str) -> list[Json]:
    value = body.get(key)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Refusal("malformed_message", f"the host's answer has no list of {key}")
    return cast(list[Json], value)
