"""Endpoints about requests: submitted once, signed at once, followed until their transaction is final."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi.blueprint import APIBlueprint

from strongroom.policy.lists import Proof
from strongroom.policy.shown import Shown
from strongroom.wire import cbor
from strongroom_host.api import views
from strongroom_host.api.http import idempotency_key
from strongroom_host.api.schemas import NewApproval, NewRequest, Nothing, Request, RequestPath, Requests, WalletPath
from strongroom_host.custody import Submission
from strongroom_host.service import Service
from strongroom_host.sources import Sources
from strongroom_host.storage.requests import Request as Kept


def _shown(body: NewRequest, sources: Sources) -> Shown:
    proofs = tuple(Proof.parse(cbor.decode(bytes.fromhex(each))) for each in body.proofs or ())
    return Shown(proofs, *sources.of(request.remote_addr or "", request.headers.get))


def blueprint(service: Service) -> APIBlueprint:
    api = APIBlueprint("requests", __name__, url_prefix="/v1")
    custody = service.custody

    def shown(found: Kept, beside: Shown | None = None) -> dict[str, Any]:
        """beside: where it is known, being new. Whoever never waited for approvals has none, and nobody named a new one
        as what they replace."""
        approvals = custody.gathering.kept.of(found.request) if found.waited else []
        replaced_by = custody.requests.replacing(found.request) if beside is None else []
        beside = custody.wallets.shown.of(found.request) if beside is None else beside
        return views.request(found, approvals, custody.missing(found), beside.proofs, replaced_by)

    @api.post("/requests", responses={201: Request, 200: Request})
    def submit(body: NewRequest) -> tuple[dict[str, Any], int]:
        """Signs an intent, and broadcasts its transaction. 200: it was known; the same bytes are signed once."""
        submission = Submission(
            bytes.fromhex(body.intent),
            bytes.fromhex(body.signature),
            idempotency_key(),
            None if body.signers is None else tuple(body.signers),
            _shown(body, service.sources),
        )
        found, new = custody.submit(submission)
        return shown(found, submission.shown if new else None), 201 if new else 200

    @api.get("/requests", responses={200: Requests})
    def list_requests() -> dict[str, Any]:
        """The newest hundred, of `?wallet=` or of all wallets."""
        wallet = request.args.get("wallet")
        if wallet is not None:
            wallet = WalletPath.model_validate({"wallet": wallet}).wallet
        return {"requests": [views.request(each) for each in custody.listed(wallet)]}

    @api.get("/requests/<request>", responses={200: Request})
    def get_request(path: RequestPath) -> dict[str, Any]:
        """One request; the chain is asked what became of its transaction."""
        return shown(custody.look(path.request))

    @api.post("/requests/<request>/retry", responses={200: Request})
    def retry(path: RequestPath, body: Nothing) -> dict[str, Any]:
        """The same bytes once more: of a request that failed, whose outcome is unknown, or that no node took."""
        return shown(custody.retry(path.request))

    @api.post("/requests/<request>/approvals", responses={200: Request})
    def approve(path: RequestPath, body: NewApproval) -> dict[str, Any]:
        """An approval or a rejection. The one that was missing has the request signed before this answers."""
        return shown(custody.approve(path.request, bytes.fromhex(body.approval)))

    return api
