"""Endpoints about wallets: their creation, their certificate, fresh attestations of it, transactions to be signed."""

from __future__ import annotations

from typing import Any

from flask_openapi.blueprint import APIBlueprint

from strongroom.chains import evm
from strongroom.errors import Refusal
from strongroom.journal.waiver import SignedWaiver
from strongroom.policy.directives import Directive
from strongroom.wallet.order import SignedOrder
from strongroom_host.api import views
from strongroom_host.api.http import idempotency_key
from strongroom_host.api.schemas import (
    Acknowledgements,
    Attestations,
    Certificate,
    Directives,
    Journals,
    NewDirective,
    NewTransaction,
    NewWaiver,
    NewWallet,
    Nonce,
    Nothing,
    Prepared,
    Release,
    Standings,
    Waived,
    Wallet,
    WalletPath,
    Wallets,
)
from strongroom_host.service import Service


def blueprint(service: Service) -> APIBlueprint:
    api = APIBlueprint("wallets", __name__, url_prefix="/v1")
    custody = service.custody

    @api.post("/wallets", responses={201: Wallet})
    def create_wallet(body: NewWallet) -> tuple[dict[str, Any], int]:
        """Has the signers make the wallet of an order that officers signed. The same order gives the same wallet."""
        order = SignedOrder.decode(bytes.fromhex(body.order))
        if service.mode is not None and order.order.mode != service.mode:
            raise Refusal("mode_mismatch", f"the order is of mode {order.order.mode}, this host of {service.mode}")
        return views.wallet(custody.create(order, idempotency_key())), 201

    @api.get("/wallets", responses={200: Wallets})
    def list_wallets() -> dict[str, Any]:
        """Every wallet, those that are still being made included."""
        return {"wallets": [views.wallet(each) for each in custody.wallets.all()]}

    @api.get("/wallets/<wallet>", responses={200: Wallet})
    def get_wallet(path: WalletPath) -> dict[str, Any]:
        """One wallet, as this host has it."""
        return views.wallet(custody.wallets.get(path.wallet))

    @api.get("/wallets/<wallet>/certificate", responses={200: Certificate})
    def certificate(path: WalletPath) -> dict[str, Any]:
        """What all signers agreed on and attested, docs/specification.md section 10."""
        found = custody.wallets.get(path.wallet)
        if found.certificate is None or found.phase != "certified":
            raise Refusal("wrong_phase", "the signers have not certified this wallet yet: send its order again")
        return {"certificate": found.certificate.hex()}

    @api.post("/wallets/<wallet>/attestations", responses={200: Attestations})
    def attestations(path: WalletPath, body: Nonce) -> dict[str, Any]:
        """Every signer's fresh evidence for this certificate and nonce; who gives none is named in `refusals`."""
        return custody.attestations(custody.wallets.get(path.wallet), bytes.fromhex(body.nonce))

    @api.post("/wallets/<wallet>/prepare", responses={200: Prepared})
    def prepare(path: WalletPath, body: NewTransaction) -> dict[str, Any]:
        """Fills a transaction's nonce, gas and fees. Decode the payload before you sign it."""
        found = custody.wallets.get(path.wallet)
        newest = custody.directing.of(found).policies[-1]
        to, data = evm.parse_address(body.to), bytes.fromhex(body.data)
        prepared = custody.chains.prepare(found, to, int(body.value), data, body.chain_id, newest)
        return prepared.json()

    @api.post("/wallets/<wallet>/directives", responses={200: Acknowledgements})
    def direct(path: WalletPath, body: NewDirective) -> dict[str, Any]:
        """Hands a directive that officers signed to every signer: a policy, a renewal, a freeze, the next officers."""
        directive = Directive.decode(bytes.fromhex(body.directive))
        return custody.directing.direct(custody.group(custody.wallets.get(path.wallet)), directive).json()

    @api.get("/wallets/<wallet>/directives", responses={200: Directives})
    def directives(path: WalletPath) -> dict[str, Any]:
        """Every directive that a signer took, in the order in which they came. Check what officers signed."""
        found = custody.directing.of(custody.wallets.get(path.wallet)).directives
        return {"directives": [each.encode().hex() for each in found]}

    @api.post("/wallets/<wallet>/release", responses={200: Release})
    def release(path: WalletPath, body: Nothing) -> dict[str, Any]:
        """Goes on with the wallet's next release: copies, the test, the activation, the ends. Asked again, goes on."""
        return custody.release(custody.wallets.get(path.wallet)).json()

    @api.post("/wallets/<wallet>/standings", responses={200: Standings})
    def standings(path: WalletPath, body: Nonce) -> dict[str, Any]:
        """What each signer says of the wallet's policy, with fresh evidence that it says so."""
        group = custody.group(custody.wallets.get(path.wallet))
        return custody.directing.standings(group, bytes.fromhex(body.nonce))

    @api.get("/wallets/<wallet>/journals", responses={200: Journals})
    def journals(path: WalletPath) -> dict[str, Any]:
        """The journals of its signers and witnesses, asked now, and how many must acknowledge a request."""
        return custody.waiving.journals(custody.group(custody.wallets.get(path.wallet)))

    @api.post("/wallets/<wallet>/journals", responses={200: Journals})
    def bring_up(path: WalletPath, body: Nothing) -> dict[str, Any]:
        """Has those that answer open their journals, join where they can and hear each other; then as GET."""
        return custody.waiving.bring_up(custody.group(custody.wallets.get(path.wallet)))

    @api.post("/wallets/<wallet>/waivers", responses={200: Waived})
    def waive(path: WalletPath, body: NewWaiver) -> dict[str, Any]:
        """Hands a waiver that officers signed to the journals that it names: they go on without the others."""
        signed = SignedWaiver.decode(bytes.fromhex(body.waiver))
        return custody.waiving.waive(custody.group(custody.wallets.get(path.wallet)), signed).json()

    return api
