"""The signers: started, asked for evidence, and shown with their labels."""

from __future__ import annotations

import secrets
import time

from demo.world import World
from strongroom.signer.identity import evidence_user_data
from strongroom.wallet.order import Member
from strongroom_client.api import unhex
from strongroom_client.wallets import check_evidence


def start(world: World) -> None:
    world.screen.step(
        "Starting two enclave signers, one HSM signer, a witness, a simulated AWS, an Ethereum node and the host",
        "nothing yet; every one of them is a process of its own",
    )
    world.cluster.start()
    pids = world.cluster.pids()
    world.screen.good(f"{len(pids)} processes: " + ", ".join(f"{name} {pid}" for name, pid in pids.items()))


def show_signers(world: World) -> None:
    """Evidence before anything else: each signer answers a nonce drawn here."""
    world.screen.step(
        "The signers and their labels",
        "each runs the program and configuration that the roster pins, by evidence judged here (mode simulated)",
    )
    with world.api() as api:
        for member in world.cluster.roster:
            nonce = secrets.token_bytes(32)
            document = unhex(api.evidence(member.name, nonce), "document")
            user_data = evidence_user_data(_configuration(world, member))
            check_evidence(document, member, "simulated", nonce, user_data, int(time.time()))
        suites = {suite["suite"]: suite for suite in api.signers()[0].get("suites") or ()}
    world.screen.say("sealed by a key in, computes in, code attested by, and who runs it where")
    rows = [(member.name, member.root, *map(str, member.labels.value().values())) for member in world.cluster.roster]
    columns = ("name", "root", "sealed", "computes", "attested", "operator", "account", "region", "machine")
    world.screen.table(columns, rows)
    for suite in suites.values():
        world.screen.note(
            f"{suite['suite']}: {suite['library']} {suite['version']}, auditor {suite['auditor']}, "
            f"randomness {suite['randomness']}"
        )
    world.screen.good("three of three evidence documents verified, each with its own nonce")


def _configuration(world: World, member: Member) -> bytes:
    """48 bytes. The roster pins the digest itself for an HSM signer, and PCR16 made of it for an enclave."""
    return world.cluster.configurations[member.name].digest()
