"""(g) Enclaves that QEMU boots beside processes that stand in for them: two clusters, measured in turn.

Where there is no KVM, QEMU translates every instruction: the ratios are then of that, and not of an enclave in AWS.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import FOLDER, Row, at_most, median, plain
from benchmarks.served import Served
from strongroom_client.cluster import Cluster, Machines, SignerPlan
from strongroom_client.cluster.plan import PORT
from strongroom_host.connection import Address
from strongroom_host.signers import Signers
from strongroom_simulator import adversary
from strongroom_simulator.adversary import Adversary, Call, Forward

IMAGE, QEMU = FOLDER.parent / "strongroom-enclave.eif", FOLDER.parent / "qemu"
MEGABYTE = 1_000_000
BOOTS = 3
TRIPS = 200
BLOCKS = 5
EACH = 4
SCHEMES = ("dkls23-secp256k1", "frost-ed25519")
NAME = "enclave-1"


def run(folder: Path) -> list[Row]:
    """No rows where the image or QEMU was not built."""
    if not IMAGE.exists() or not (QEMU / "qemu-system-x86_64").exists():
        print("enclave: not measured; `make eif qemu` builds what it boots")
        return []
    rows = [at_most("image: size", IMAGE.stat().st_size / MEGABYTE, "MB", 60)]
    loads: dict[str, list[float]] = {"process": [], "machine": []}
    with (
        Served(folder / "processes", enclaves=2, hsms=1, intercept=_timed(loads["process"])) as processes,
        Served(
            folder / "machines", enclaves=2, hsms=1, intercept=_timed(loads["machine"]), machines=Machines(IMAGE, QEMU)
        ) as machines,
    ):
        rows += _boots(machines.cluster)
        rows += _memory(machines.cluster)
        rows += _questions(processes.cluster, machines.cluster)
        for scheme in SCHEMES:
            rows += _signatures(scheme, processes, machines)
        for served, where in ((processes, "a process"), (machines, "QEMU")):
            rows += _lost(served, where)
    return rows + _pair(
        "sealed state opened: the data key from KMS, the share from the host", loads["process"], loads["machine"]
    )


def _boots(cluster: Cluster) -> list[Row]:
    """From QEMU's start to the signer's first answer."""
    seconds: list[float] = []
    for _ in range(BOOTS):
        cluster.stop_process(NAME)
        begin = time.perf_counter()
        cluster.process(NAME).start()
        seconds.append(time.perf_counter() - begin)
    return [plain(f"boot to ready, median of {BOOTS}", median(seconds), "s")]


def _memory(cluster: Cluster) -> list[Row]:
    """What QEMU holds of the memory that it was told to give: what the enclave has touched, and QEMU itself."""
    child = int(
        Path(f"/proc/{cluster.process(NAME).pid}/task/{cluster.process(NAME).pid}/children").read_text().split()[0]
    )
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{child}/status").read_text())
    held = int(found[1]) * 1024 / MEGABYTE if found else float("nan")
    given = Machines(IMAGE, QEMU).memory
    return [at_most("enclave: memory given", given, "MiB", 256), plain("QEMU: resident memory", held, "MB")]


def _questions(processes: Cluster, machines: Cluster) -> list[Row]:
    spent: dict[tuple[str, str], list[float]] = {}
    asked = {"status": {}, "evidence": {"nonce": bytes(32)}}
    lines = {
        kind: Signers({NAME: Address.parse(f"uds:{cluster.socket(NAME)}#{PORT}")})
        for kind, cluster in (("process", processes), ("machine", machines))
    }
    for _ in range(TRIPS):
        for operation, body in asked.items():
            for kind, signers in lines.items():
                begin = time.perf_counter()
                signers.call(NAME, operation, dict(body))
                spent.setdefault((operation, kind), []).append((time.perf_counter() - begin) * 1000)
    for signers in lines.values():
        signers.close()
    words = {"status": "round trip, `status`", "evidence": "attestation, `evidence`"}
    return [
        row
        for operation, name in words.items()
        for row in _pair(name, spent[operation, "process"], spent[operation, "machine"])
    ]


def _signatures(scheme: str, processes: Served, machines: Served) -> list[Row]:
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(BLOCKS):
        for served, kept in zip((processes, machines), spent, strict=True):
            wallet, requester, line = served.wallet(scheme, 2), served.requester(), served.line()
            kept += [line.post(served.request(wallet, requester)) for _ in range(EACH + 1)][1:]
    return _pair(f"{scheme} 2-of-3: request", *spent)


def _lost(served: Served, where: str) -> list[Row]:
    """A signer is gone with all that it had; another is started in its place. The host hands it its sealed state, it
    sets channels and pairs up anew, and signs. What an instance takes to start, and its image to arrive, comes before.
    """
    rows: list[Row] = []
    line = served.line()
    for scheme in SCHEMES:
        wallet, seconds = served.wallet(scheme, 2), list[float]()
        for _ in range(BOOTS):
            asked = json.loads(served.request(wallet, served.requester())) | {"signers": [NAME, "hsm-1"]}
            begin = time.perf_counter()
            served.cluster.kill(NAME)
            served.cluster.process(NAME).start()
            line.post(json.dumps(asked).encode())
            seconds.append(time.perf_counter() - begin)
            if line.signers != [NAME, "hsm-1"]:
                raise RuntimeError(f"{line.signers} signed")
        name = f"{scheme}: an enclave is lost, until the next one has signed, {where}, median of {BOOTS}"
        rows.append(plain(name, median(seconds), "s"))
    return rows


def _timed(kept: list[float]) -> Callable[[SignerPlan], Path]:
    def rule(call: Call, forward: Forward) -> bytes:
        begin = time.perf_counter()
        answer = forward(call.request)
        kept.append((time.perf_counter() - begin) * 1000)
        return answer

    def intercept(signer: SignerPlan) -> Path:
        link = Adversary(signer.socket.with_suffix(".link"), signer.socket)
        if signer.name == NAME:
            link.rules.append(adversary.only("wallet.load", rule))
        link.start()
        return signer.socket.with_suffix(".link")

    return intercept


def _pair(name: str, process: list[float], machine: list[float]) -> list[Row]:
    one, other = median(process), median(machine)
    return [
        plain(f"{name}, process, p50", one, "ms"),
        plain(f"{name}, in QEMU, p50", other, "ms"),
        plain(f"{name}, in QEMU / process", other / one, "ratio"),
    ]
