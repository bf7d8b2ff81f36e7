"""The end: a table, what to try next, and nothing left behind, unless everything was to be kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

from demo.world import BUILD, World
from strongroom_client.cluster.plan import HOST

_PIDS = BUILD / "pids.json"


def table(world: World) -> None:
    result = world.result
    world.screen.console.print("\n[bold]What happened[/]")
    rows = [
        ("wallet", f"{row['scheme']}, {row['threshold']} of {len(row['signers'])}", row["address"])
        for row in result.wallets
    ]
    rows += [
        ("transaction", " + ".join(row["signers"]), f"block {row['block']}, {row['status']}, {row['hash']}")
        for row in result.transactions
    ]
    rows += [("message", row["scheme"], row["signature"]) for row in result.messages]
    rows += [("refused", f"{row['by']}: {row['code']}", row["what"]) for row in result.refusals]
    world.screen.table(("", "", ""), rows)
    world.screen.console.print(f"\n{BUILD / 'result.json'}, {world.screen.seconds:.0f} s, mode simulated")


def try_next(world: World, *, keep: bool) -> None:
    plan, console = world.cluster.plan, world.screen.console
    console.print("\n[bold]Try next[/]")
    up = f"strongroom up --directory {plan.directory} &  # the same custody again: shares unsealed, chain and all"
    for line in (
        f"export STRONGROOM_CONFIG={plan.context} PATH=$PWD/.venv/bin:$PATH",
        "strongroom signer list" if keep else up,
        f"strongroom wallet show {world.wallet.wallet}",
        f"strongroom tx send --wallet {world.wallet.wallet} --to {_recipient(world)} --value 0.05ether",
        f'curl -H "Authorization: Bearer $(cat {plan.host / "api-key"})" {plan.host_url}/v1/signers',
    ):
        console.print(f"  {line}", markup=False)
    if keep:
        console.print("\nIt is still up. To stop it: .venv/bin/python -m demo.stop", markup=False)
    else:
        console.print("\nEverything was stopped. KEEP=1 make demo leaves it up.", markup=False)


def _recipient(world: World) -> str:
    return world.wallet.order.policy.lists[0].entries[0].address


def keep(world: World) -> None:
    """The malicious links go with this process: the host is told where the signers really are."""
    for name in world.cluster.everyone:
        world.cluster.set_address(name, None)
    world.cluster.restart(HOST)
    left = {
        "processes": {pid: _command(pid) for pid in world.cluster.pids().values()},
        "sockets": str(world.cluster.plan.sockets),
    }
    _PIDS.write_text(json.dumps(left) + "\n")


def clean_up(world: World, *, finished: bool, kept: bool) -> None:
    """Also after Ctrl-C. The files of a run that came to its end stay, for `strongroom up`; its processes do not."""
    if not kept:
        world.cluster.stop()
    if not finished:
        shutil.rmtree(BUILD / "cluster", ignore_errors=True)
    world.stop_links()


def stop_leftovers() -> bool:
    """Ends what an earlier KEEP=1 left up, by process id, and only where the process still is that one."""
    try:
        left = json.loads(_PIDS.read_text())
    except (OSError, ValueError):
        return False
    ours = [int(pid) for pid, command in left["processes"].items() if command]
    running = partial(_runs, left["processes"])
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in ours:
            if running(pid):
                os.killpg(pid, number)
        deadline = time.monotonic() + 3
        while any(running(pid) for pid in ours) and time.monotonic() < deadline:
            time.sleep(0.05)
    shutil.rmtree(left["sockets"], ignore_errors=True)
    _PIDS.unlink()
    return True


def _runs(commands: dict[str, str], pid: int) -> bool:
    """Alive, and still the program that was left."""
    return _command(pid) == commands[str(pid)]


def _command(pid: int) -> str:
    """Empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
