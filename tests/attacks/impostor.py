"""Signers in the place of rostered ones: the true program, in an enclave or beside a token that is not the order's."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from strongroom_client.cluster import authorities, signers
from strongroom_client.cluster.authorities import SIMULATOR
from strongroom_client.cluster.machines import Processes
from strongroom_client.cluster.plan import Plan, SignerPlan
from strongroom_client.cluster.process import Process, module
from tests.attacks.custody import Custody

NITRO_ROOT: Final = "nitro-root"
OPERATOR: Final = "operator-ca"


@contextmanager
def standing_in(
    custody: Custody,
    name: str,
    folder: Path,
    *,
    nsm: Sequence[str | Path] = (),
    instance: str | None = None,
    other: str | None = None,
    attested: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Custody]:
    """The custody as its host sees it once another signer sits in the place of `name`.

    nsm: flags of its NSM; instance: on which it runs; other: an authority that it has one of its own of; attested: what
    its configuration says otherwise. The true one goes on beside it.
    """
    plan = _elsewhere(custody.cluster.plan, folder, other)
    signer = plan.signer(name)
    signers.write_config(plan, signer, custody.cluster.configurations[name])
    _change(signer, attested, keyless=bool(attested) or "--debug" in nsm)
    processes = [signers.process(plan, signer, Processes())]
    if signer.kind == "enclave":
        processes.insert(0, _nsm(plan, signer, instance or signer.instance, nsm))
    else:
        signers.provision(plan, signer)
    try:
        for process in processes:
            process.start()
        with Custody(custody.cluster, {name: signer.socket}) as host:
            yield host
    finally:
        for process in processes[::-1]:
            process.stop()
        shutil.rmtree(plan.sockets, ignore_errors=True)


def _elsewhere(plan: Plan, folder: Path, other: str | None) -> Plan:
    sockets = plan.sockets / folder.name[-12:]
    sockets.mkdir(mode=0o700)
    elsewhere = dataclasses.replace(plan, directory=folder, sockets=sockets)
    elsewhere.make_folders()
    shutil.copytree(plan.pki, elsewhere.pki, dirs_exist_ok=True)
    if other is not None:
        for path in elsewhere.pki.glob(f"{other}.*"):
            path.unlink()
        authorities.make_roots(elsewhere)
    return elsewhere


def _change(signer: SignerPlan, attested: Mapping[str, Any], *, keyless: bool) -> None:
    """keyless: its host hands it no credentials, or it would see that the KMS key is not its own, and end."""
    config = json.loads(signer.config.read_text())
    config["attested"] |= attested
    if "kms" in config and keyless:
        config["kms"]["credentials_file"] = str(signer.folder / "none")
    signer.config.write_text(json.dumps(config))


def _nsm(plan: Plan, signer: SignerPlan, instance: str, flags: Sequence[str | Path]) -> Process:
    command = module(
        SIMULATOR, "nsm", "--pki", plan.pki, "--socket", signer.nsm, "--instance", instance, *flags
    )  # fmt: skip
    return Process(f"{signer.name}-nsm", command, plan.logs)
