"""The application: endpoints registered, document generated."""

from __future__ import annotations

from typing import Any, Final

from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.info import Info
from flask_openapi.openapi import OpenAPI

from strongroom_host import __version__
from strongroom_host.api import http, requests, signers, wallets
from strongroom_host.api.schemas import Health, Problem
from strongroom_host.problems import MEDIA_TYPE
from strongroom_host.service import Service

DESCRIPTION: Final = """Threshold custody. This host relays and stores; it is trusted for availability only. What it
says about keys, addresses and evidence is to be verified with the wallet's certificate and fresh attestations."""

_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The key with the same body is the same request; with another body it is refused.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def create_app(service: Service) -> OpenAPI:
    """service: what the endpoints translate to."""
    app = OpenAPI(
        "strongroom_host",
        info=Info(title="Strongroom host", version=__version__, description=DESCRIPTION),
        security_schemes={"key": {"type": "http", "scheme": "bearer"}},
        validation_error_status=400,
        validation_error_model=Problem,
        validation_error_callback=http.invalid,
        doc_ui=False,
        static_folder=None,
    )
    app.openapi_version = "3.1.0"
    http.install(app, service.key_hashes)
    for blueprint in (_health(service), signers.blueprint(service), wallets.blueprint(service)):
        app.register_api(blueprint)
    app.register_api(requests.blueprint(service))
    spec = document(app)
    app.add_url_rule("/v1/openapi.json", "openapi", lambda: spec)
    return app


def _health(service: Service) -> APIBlueprint:
    blueprint = APIBlueprint("health", __name__, url_prefix="/v1")

    @blueprint.get("/health", responses={200: Health})
    def health() -> dict[str, Any]:
        """Whether the host serves; needs no key."""
        return {"status": "ok", "version": __version__, "mode": service.mode}

    return blueprint


def document(app: OpenAPI) -> dict[str, Any]:
    """OpenAPI 3.1: the generated document with what its generator cannot say."""
    spec: dict[str, Any] = app.api_doc
    problem = {
        "description": "A refusal, as RFC 9457 has it.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            operation["responses"]["default"] = problem
            if path not in http.OPEN_PATHS:
                operation["security"] = [{"key": []}]
            if path in ("/v1/wallets", "/v1/requests") and method == "post":
                operation.setdefault("parameters", []).append(_IDEMPOTENCY)
    return spec
