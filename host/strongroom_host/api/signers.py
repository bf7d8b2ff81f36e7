"""Endpoints about signers: what they say of themselves. Only evidence that the asker verifies counts."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi.blueprint import APIBlueprint

from strongroom.errors import Refusal
from strongroom.wire.fields import Fields
from strongroom_host.api import views
from strongroom_host.api.schemas import Evidence, Nonce, SignerPath, Signers
from strongroom_host.service import Service

_BYTES = ("boot", "configuration", "public_key")
_PLAIN = ("mode", "root", "phase", "reason", "clock", "inflight", "suites")


def blueprint(service: Service) -> APIBlueprint:
    api = APIBlueprint("signers", __name__, url_prefix="/v1")

    @api.get("/signers", responses={200: Signers})
    def list_signers() -> dict[str, Any]:
        """Every configured signer, asked now."""
        known = service.signers
        answers = known.ask([(name, "status", {}) for name in known.names], timeout=2.0)
        labels = _labels(service)
        rows = [_signer(name, answer) for name, answer in zip(known.names, answers, strict=True)]
        for row in rows:
            row["address"] = service.addresses[row["name"]]
            row["labels"] = labels.get(row["name"])
        return {"signers": rows}

    @api.get("/signers/<name>/evidence", responses={200: Evidence})
    def evidence(path: SignerPath) -> dict[str, Any]:
        """Fresh evidence for `?nonce=`, 32 bytes in hex."""
        nonce = Nonce.model_validate({"nonce": request.args.get("nonce", "")}).nonce
        if path.name not in service.signers.names:
            raise Refusal("not_found", f"this host knows no signer {path.name}")
        answer = service.signers.call(path.name, "evidence", {"nonce": bytes.fromhex(nonce)})
        return {"signer": path.name, "document": answer.blob("document").hex(), "root": answer.text("root")}

    return api


def _labels(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for wallet in service.custody.wallets.all():
        order = wallet.signed_order.order
        for member in (*order.roster, *order.witnesses):
            found[member.name] = views.labels(member)
    return found


def _signer(name: str, answer: Fields | Refusal) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {"name": name, "reachable": False, "phase": "unreachable", "reason": answer.reason}
    row: dict[str, Any] = {"name": name, "reachable": True}
    row |= {key: answer.raw(key) for key in _PLAIN}
    row |= {key: answer.blob(key).hex() for key in _BYTES}
    row["wallets"] = _plain(answer.raw("wallets"))
    return row


def _plain(value: Any) -> Any:
    """CBOR as JSON: bytes become hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
