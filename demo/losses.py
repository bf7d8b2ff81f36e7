"""A signer is lost and comes back: two of three sign on; a share opens for whoever sealed it, and for nobody else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from demo.transfers import transfer
from demo.world import ETHER, World, ask
from strongroom.errors import Refusal
from strongroom.wallet.record import Record
from strongroom.wire.fields import Fields
from strongroom.wire.frame import decode_answer

LOST = "enclave-2"


def kill_one(world: World) -> None:
    world.screen.step(
        f"{LOST} is killed, and signing goes on",
        "two of three suffice; no share is needed that is not there",
    )
    world.cluster.kill(LOST)
    signed = transfer(world, ETHER // 50)
    assert LOST not in signed


def foreign_blob(world: World) -> None:
    world.screen.step(
        "A sealed share given to another signer",
        "a blob opens only for the signer, the wallet and the epoch it was sealed for; a relabelled one not even then",
    )
    world.cluster.restart(LOST)
    stolen = next(record for record in _records(world) if record.signer == "enclave-1")
    relabelled = dataclasses.replace(stolen, signer=LOST)
    socket = world.cluster.socket(LOST)
    for what, record in (("sealed blob of enclave-1", stolen), ("sealed blob of enclave-1, relabelled", relabelled)):
        refusal = _load(socket, record)
        world.screen.say(f"{what}, given to {LOST}")
        world.screen.refused(LOST, refusal)
        world.result.refusal(f"{what}, given to {LOST}", LOST, refusal.code)


def _load(socket: Path, record: Record) -> Refusal:
    try:
        ask(socket, "wallet.load", {"record": record.encode(), "body": None})
    except Refusal as refusal:
        return refusal
    raise AssertionError("a signer opened another's share")


def _records(world: World) -> Iterator[Record]:
    """Sealed records as they passed the host at the end of the DKG."""
    for link in world.links.values():
        for seen in link.seen:
            if seen.call.operation != "ceremony.step" or seen.answer is None:
                continue
            try:
                step = decode_answer(seen.answer)
                result = step.optional_blob("result")
                if result:
                    record = Record.decode(Fields.decode(result, "result").blob("record"))
            except Refusal:
                continue
            if result and record.wallet == world.wallet.body.wallet:
                yield record


def restarted_signer(world: World) -> None:
    world.screen.step(
        f"{LOST}, restarted, signs again",
        "its share came back from sealed state alone, its channels and pairings were made afresh, never restored",
    )
    others = [name for name in world.cluster.names if name != LOST]
    with world.cut_off(others[:1]):
        signed = transfer(world, ETHER // 40)
    assert LOST in signed
