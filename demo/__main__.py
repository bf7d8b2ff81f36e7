"""Runs the steps in their order, and leaves nothing behind but files in build/demo, unless KEEP=1."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from typing import Final

from demo import attacks, finish, losses, messages, signers, transfers, wallet
from demo.result import Result
from demo.screen import Screen
from demo.world import BUILD, World
from strongroom.errors import Refusal
from strongroom_client.cli.output import print_refusal
from strongroom_client.cluster import Cluster
from strongroom_client.cluster.process import interrupt_once

STEPS: Final[tuple[Callable[[World], None], ...]] = (
    signers.show_signers,
    wallet.create_wallet,
    wallet.swap_address,
    transfers.three_pairs,
    transfers.what_the_host_saw,
    attacks.over_the_limit,
    attacks.tampering_relay,
    losses.kill_one,
    losses.foreign_blob,
    losses.restarted_signer,
    messages.ed25519,
    messages.bip340,
)


def main() -> int:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        print(
            f"The demo runs on Linux (x86_64, aarch64); this is {sys.platform} {platform.machine()}.", file=sys.stderr
        )
        print("Use a Linux machine, virtual machine or container, Debian 12 for instance.", file=sys.stderr)
        return 1
    interrupt_once()
    world = World(Screen(), Result())
    try:
        return _run(world, keep=os.environ.get("KEEP") == "1")
    except Refusal as refusal:
        print_refusal(refusal, as_json=False)
        return 1
    except KeyboardInterrupt:
        world.screen.console.print("\ninterrupted; everything was stopped")
        return 130


def _run(world: World, *, keep: bool) -> int:
    finish.stop_leftovers()
    # What an earlier run left; no more than that.
    shutil.rmtree(BUILD / "cluster", ignore_errors=True)
    (BUILD / "result.json").unlink(missing_ok=True)
    world.cluster = Cluster(BUILD / "cluster", witnesses=1, intercept=world.intercept, progress=world.screen.note)
    finished = kept = False
    try:
        signers.start(world)
        for step in STEPS:
            step(world)
        world.result.write(BUILD / "result.json")
        finish.table(world)
        if keep:
            finish.keep(world)
            kept = True
        finished = True
    finally:
        finish.clean_up(world, finished=finished, kept=kept)
    finish.try_next(world, keep=keep)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
