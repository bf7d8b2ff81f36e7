"""The host's configuration and process: the one program of the cluster that nobody trusts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strongroom_client.cluster.chain import CHAIN_ID
from strongroom_client.cluster.plan import HOST, PORT, Plan
from strongroom_client.cluster.process import Process, module
from strongroom_client.keyfiles import write_private

PROGRAM = "strongroom_host"


def api_key_file(plan: Plan) -> Path:
    path = plan.host / "api-key"
    if not path.exists():
        write_private(path, secrets.token_hex(24).encode() + b"\n")
    return path


def write_config(plan: Plan, sockets: Mapping[str, Path], arriving: Mapping[str, Path], *, chain: bool) -> Path:
    """sockets: where the host believes that each signer listens. arriving: likewise, of a next release."""
    chains = {str(CHAIN_ID): {"url": plan.chain_url, "confirmations": 1}} if chain else {}
    config: dict[str, Any] = {
        "listen": f"127.0.0.1:{plan.host_port}",
        "database": f"sqlite:///{plan.host / 'host.db'}",
        "api_keys_file": str(api_key_file(plan)),
        "mode": "simulated",
        "signers": {name: f"uds:{path}#{PORT}" for name, path in sockets.items()},
        "arriving": {name: f"uds:{path}#{PORT}" for name, path in arriving.items()},
        "chains": chains,
    }
    path = plan.host / "config.json"
    path.write_text(json.dumps(config, indent=2) + "\n")
    return path


def process(plan: Plan, config: Path) -> Process:
    return Process(HOST, module(PROGRAM, "serve", "--config", config), plan.logs)
