"""`strongroom up`: a custody on this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from strongroom_client.cli.output import AsJson, err, facts, out, print_json, progress, refusals
from strongroom_client.cluster import Cluster
from strongroom_client.cluster.process import interrupt_once
from strongroom_client.context import VARIABLE


@refusals
def up(
    directory: Annotated[
        Path | None, typer.Option(help="Where its files live on. Default: a new temporary folder.")
    ] = None,
    enclaves: Annotated[int, typer.Option(help="Simulated Nitro enclave signers.", min=0, max=9)] = 2,
    hsms: Annotated[int, typer.Option(help="Signers beside a SoftHSM token.", min=0, max=9)] = 1,
    witnesses: Annotated[
        int,
        typer.Option(help="Enclaves without a share, whose journals limits over time need.", min=0, max=7),
    ] = 1,
    chain: Annotated[bool, typer.Option(help="A development chain (anvil) too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Start signers, a simulated AWS, a host and a development chain on this machine. Mode simulated; not for funds."""
    if not 2 <= enclaves + hsms <= 9:
        raise typer.BadParameter("a cluster has 2 to 9 signers", param_hint="--enclaves, --hsms")
    if enclaves + hsms + witnesses > 9:
        raise typer.BadParameter("a cluster has at most 9 signers and witnesses together", param_hint="--witnesses")
    interrupt_once()
    folder = directory or Path(tempfile.mkdtemp(prefix="strongroom-up-"))
    err.print(
        "[yellow]mode simulated: real programs and cryptography, simulated NSM and KMS, SoftHSM; not for funds[/]"
    )
    cluster = Cluster(folder, enclaves=enclaves, hsms=hsms, witnesses=witnesses, chain=chain, progress=progress)
    with contextlib.suppress(KeyboardInterrupt), cluster:
        if as_json:
            print_json(document(cluster))
        else:
            _print(cluster)
        while True:
            signal.pause()
    err.print("stopped")


def document(cluster: Cluster) -> dict[str, Any]:
    plan = cluster.plan
    return {
        "mode": "simulated",
        "config": str(plan.context),
        "host": plan.host_url,
        "chain": plan.chain_url,
        "roster": str(plan.roster),
        "policy": str(plan.policy),
        "officers": str(plan.officers),
        "logs": str(plan.logs),
        "signers": {signer.name: str(signer.socket) for signer in plan.signers},
        "witnesses": {witness.name: str(witness.socket) for witness in plan.witnessing},
        "processes": cluster.pids(),
    }


def _print(cluster: Cluster) -> None:
    plan = cluster.plan
    facts({"host": plan.host_url, "chain": plan.chain_url, "files": str(plan.directory), "logs": str(plan.logs)})
    out.print("\nIn another terminal:\n")
    for line in try_next(cluster):
        out.print(f"  {line}")
    out.print("\nCtrl-C stops everything.")


def try_next(cluster: Cluster) -> list[str]:
    plan = cluster.plan
    create = f"strongroom wallet create --roster {plan.roster} --policy {plan.policy} --threshold 2"
    return [
        f"export {VARIABLE}={plan.context}",
        "strongroom signer list",
        f"{create} --scheme dkls23-secp256k1 --accept-unaudited",
        "strongroom wallet list",
    ]
