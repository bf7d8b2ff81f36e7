"""Starts and stops a cluster, and everything in it by name."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.errors import Refusal
from strongroom.policy.document import Policy
from strongroom.signer.configuration import Configuration
from strongroom.wallet.order import Member, SignedOrder
from strongroom_client import documents, keyfiles, officers, orders, policies, wallets
from strongroom_client.api import Api
from strongroom_client.cluster import authorities, chain, host, signers
from strongroom_client.cluster.authorities import Roots
from strongroom_client.cluster.chain import Chain
from strongroom_client.cluster.machines import Enclaves, Processes
from strongroom_client.cluster.plan import CHAIN, HOST, KMS, Plan, SignerPlan
from strongroom_client.cluster.process import Process, uninterrupted
from strongroom_client.context import Context
from strongroom_client.wallets import Verified

Intercept = Callable[[SignerPlan], Path]
"""Where the host shall dial instead of the signer's own socket: for a man in the middle."""

Progress = Callable[[str], None]

OFFICERS: Final = 3
QUORUM: Final = 2
ETHER: Final = 10**18


class Cluster:
    """`with Cluster(directory) as cluster: ...`. The directory outlives it: started again, everything is as it was.

    witnesses: enclaves that hold no share and keep a journal. chain: with a development chain. host: with the host's
    program. machines: what enclaves run in. intercept: see above. progress: told of each step.
    """

    def __init__(
        self,
        directory: Path,
        *,
        enclaves: int = 2,
        hsms: int = 1,
        witnesses: int = 0,
        chain: bool = True,
        host: bool = True,
        machines: Enclaves | None = None,
        intercept: Intercept | None = None,
        progress: Progress = lambda step: None,
    ) -> None:
        self.plan = _plan(directory.resolve(), enclaves, hsms, witnesses)
        self.has_chain = chain
        self._with_host = host
        self._machines = machines or Processes()
        self._intercept = intercept
        self._progress = progress
        self._processes: dict[str, Process] = {}
        self._sockets: dict[str, Path] = {}
        self._arriving: tuple[SignerPlan, ...] = ()
        self._measured: list[tuple[SignerPlan, Mapping[str, bytes]]] = []
        self.roster: tuple[Member, ...] = ()
        self.witnesses: tuple[Member, ...] = ()
        self.configurations: dict[str, Configuration] = {}

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # --- What it is ---

    @property
    def names(self) -> tuple[str, ...]:
        """The signers, in roster order."""
        return tuple(signer.name for signer in self.plan.signers)

    @property
    def everyone(self) -> tuple[str, ...]:
        """Signers and witnesses."""
        return tuple(signer.name for signer in self.plan.everyone)

    @property
    def chain(self) -> Chain:
        return Chain(self.plan.chain_url)

    @property
    def context(self) -> Context:
        return Context.load(self.plan.context)

    def api(self) -> Api:
        return self.context.api()

    def socket(self, name: str) -> Path:
        """The signer's own socket."""
        return self.plan.signer(name).socket

    def process(self, name: str) -> Process:
        """A signer, `host`, `kms`, `chain`, or `<enclave>-nsm`."""
        try:
            return self._processes[name]
        except KeyError:
            raise Refusal("cluster_failed", f"no process {name}; there are {', '.join(self._processes)}") from None

    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._processes.items() if process.running}

    # --- Life ---

    def start(self) -> None:
        self.plan.make_folders()
        self._progress("officers' keys and the simulated AWS's authorities")
        self._make_officers()
        roots = authorities.make_roots(self.plan)
        self._progress(f"keys and reference values of {len(self.names)} signers")
        with ThreadPoolExecutor() as pool:
            members = tuple(pool.map(lambda signer: self._prepare(signer, roots), self.plan.everyone))
        self.roster, self.witnesses = members[: len(self.names)], members[len(self.names) :]
        documents.write(self.plan.roster, orders.roster_document("simulated", self.roster, self.witnesses))
        documents.write(self.plan.policy, sample_policy(officers.load_requester_key(self.plan.officers)))
        self._measured = [(each, member.measurements) for each, member in zip(self.plan.everyone, members, strict=True)]
        authorities.write_keys(self.plan, self._measured)
        self._start_aws_and_chain()
        programs = [signers.process(self.plan, signer, self._machines) for signer in self.plan.everyone]
        programs += [self._host()] if self._with_host else []
        self._progress(", ".join(program.name for program in programs))
        self._start_all(programs)

    def _make_officers(self) -> None:
        """On this machine, for once: an exercise, not a custody."""
        if not (self.plan.officers / officers.PINS).exists():
            officers.create(self.plan.officers, count=OFFICERS, quorum=QUORUM, passphrase=None)

    def _prepare(self, signer: SignerPlan, roots: Roots) -> Member:
        configured = signers.configuration(self.plan, signer, officers.load_pins(self.plan.officers), roots)
        self.configurations[signer.name] = configured
        signers.write_config(self.plan, signer, configured)
        if signer.kind == "hsm":
            signers.provision(self.plan, signer)
        return signers.member(self.plan, signer, configured, roots, self._machines)

    def _start_aws_and_chain(self) -> None:
        enclaves = [signer for signer in self.plan.everyone if signer.kind == "enclave"]
        processes = [each for signer in enclaves for each in self._machines.around(self.plan, signer)]
        processes += [authorities.kms(self.plan)] if enclaves else []
        processes += [chain.process(self.plan)] if self.has_chain else []
        self._progress(", ".join(process.name for process in processes))
        self._start_all(processes)
        if self.has_chain:
            self.chain.wait_ready()

    def _start_all(self, processes: list[Process]) -> None:
        for process in processes:
            self._processes[process.name] = process
            process.launch()
        for process in processes:
            process.wait_ready()

    def _host(self) -> Process:
        """It dials the signers when it is asked something, so that it may start beside them."""
        for signer in self.plan.everyone:
            self._sockets[signer.name] = signer.socket if self._intercept is None else self._intercept(signer)
        self._write_host()
        return host.process(self.plan, self.plan.host / "config.json")

    def _write_host(self) -> None:
        arriving = {each.name: each.socket for each in self._arriving}
        host.write_config(self.plan, self._sockets, arriving, chain=self.has_chain)
        context = {
            "host": self.plan.host_url,
            "api_key_file": str(host.api_key_file(self.plan)),
            "pins": str(self.plan.officers),
            "mode": "simulated",
            "requester": str(self.plan.officers / officers.REQUESTER),
            "roster": str(self.plan.roster),
        }
        documents.write(self.plan.context, context)

    def stop(self) -> None:
        """Host first, then signers, then the simulated AWS."""
        programs = (*self.everyone, *(each.program for each in self._arriving))
        order = sorted(self._processes.values(), key=lambda process: _layer(process.name, programs))
        with uninterrupted():
            for process in order:
                process.send(signal.SIGTERM)
            for process in order:
                process.stop()
            shutil.rmtree(self.plan.sockets, ignore_errors=True)

    # --- Wallets ---

    def order(
        self, scheme: str, threshold: int = 2, policy: Policy | None = None, *, witnessed: bool = True
    ) -> SignedOrder:
        """For all signers, signed by the officers' quorum. policy: the sample one where None. witnessed: by the
        cluster's witnesses, if it has any."""
        order = orders.build(
            self.roster,
            policy or policies.load(self.plan.policy, int(time.time())),
            officers.load_pins(self.plan.officers),
            mode="simulated",
            scheme=scheme,
            threshold=threshold,
            accept_unaudited=True,
            nonce=secrets.token_bytes(32),
            witnesses=self.witnesses if witnessed else (),
        )
        files = officers.officer_files(self.plan.officers)[: order.officers.quorum]
        return orders.sign(order, [keyfiles.load(path, _no_passphrase) for path in files])

    def create_wallet(
        self, scheme: str, threshold: int = 2, policy: Policy | None = None, *, witnessed: bool = True
    ) -> Verified:
        """Created by the signers, verified by the client."""
        order = self.order(scheme, threshold, policy, witnessed=witnessed)
        with self.api() as api:
            return wallets.create(api, order, officers=order.order.officers, mode="simulated")

    def requester(self) -> Ed25519PrivateKey:
        return keyfiles.load(self.plan.officers / officers.REQUESTER, _no_passphrase)

    # --- A next release ---

    def arrive(self, release: int = 2) -> Path:
        """Starts enclaves of a next release beside those that run, and gives the roster file that names them."""
        pins, roots = officers.load_pins(self.plan.officers), authorities.make_roots(self.plan)
        self._arriving = self.plan.successors(release)
        members = []
        for signer in self._arriving:
            signer.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            configured = signers.configuration(self.plan, signer, pins, roots)
            signers.write_config(self.plan, signer, configured)
            members.append(signers.member(self.plan, signer, configured, roots, self._machines))
        self._measured += [(each, member.measurements) for each, member in zip(self._arriving, members, strict=True)]
        authorities.write_keys(self.plan, self._measured)
        self._start_all([each for signer in self._arriving for each in self._machines.around(self.plan, signer)])
        self._start_all([signers.process(self.plan, signer, self._machines) for signer in self._arriving])
        if self._with_host:
            self._write_host()
            self.restart(HOST)
        named = {member.name: member for member in members}
        path = self.plan.directory / f"release-{release}.json"
        roster, witnesses = ([named.get(each.name, each) for each in few] for few in (self.roster, self.witnesses))
        documents.write(path, orders.roster_document("simulated", roster, witnesses))
        return path

    def succeed(self) -> None:
        """The old ones are ended; the host speaks to the new ones under their names."""
        for signer in self._arriving:
            self._processes.pop(signer.name).stop()
            self._processes[signer.name] = self._processes.pop(signer.program)
            self._sockets[signer.name] = signer.socket
        self._arriving = ()
        if self._with_host:
            self._write_host()
            self.restart(HOST)

    # --- What tests do to it ---

    def stop_process(self, name: str) -> None:
        self.process(name).stop()

    def kill(self, name: str) -> None:
        """SIGKILL: nothing is cleaned up."""
        self.process(name).kill()

    def restart(self, name: str) -> None:
        """Stops what still runs; starts it with the same files."""
        process = self.process(name)
        process.stop()
        process.start()
        if name == CHAIN:
            self.chain.wait_ready()

    def pause(self, name: str) -> None:
        """The process is there and says nothing."""
        self.process(name).send(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.process(name).send(signal.SIGCONT)

    def set_address(self, name: str, socket: Path | None) -> None:
        """What the host dials for this signer (None: its own socket), from the host's next start."""
        self._sockets[name] = self.socket(name) if socket is None else socket
        self._write_host()

    def redirect(self, name: str, socket: Path | None) -> None:
        """`set_address`, and a restart of the host."""
        self.set_address(name, socket)
        self.restart(HOST)


def sample_policy(requester: bytes, limit: int = ETHER) -> dict[str, Any]:
    """One requester, texts, and transfers of at most `limit` wei on the development chain to its own accounts.

    Bitcoin's and Solana's networks have no nodes here: texts alone are signed for them.
    """
    network = f"evm:{chain.CHAIN_ID}"
    coin = f"{network}/native"
    accounts = [{"address": address, "label": f"Account {at}"} for at, address in enumerate(chain.ACCOUNTS, 1)]
    return {
        "requesters": [requester.hex()],
        "lease": "52 weeks",
        "chains": [network, "bitcoin:regtest", "solana:localnet"],
        "lists": {"accounts": accounts},
        "rules": [
            {"name": "payments", "kind": "transfer", "assets": [coin], "to": ["accounts"], "most": str(limit)},
            {"name": "texts", "kind": "text", "chains": [network, "bitcoin:regtest", "solana:localnet"]},
            {"name": "messages", "kind": "message"},
        ],
        "fees": [{"asset": coin, "most": "0.01 ether"}],
    }


def _no_passphrase() -> bytes:
    raise Refusal("passphrase", "a cluster's own keys are not encrypted; these are")


def _layer(name: str, names: tuple[str, ...]) -> int:
    if name == HOST:
        return 0
    if name in names:
        return 1
    return 2 if name != KMS else 3


def _plan(directory: Path, enclaves: int, hsms: int, witnesses: int) -> Plan:
    """Ports are pinned in attested configuration, so a directory that is used again keeps them."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    sockets = Path(tempfile.mkdtemp(prefix="strongroom-"))
    file = directory / "ports.json"
    if file.exists():
        ports = json.loads(file.read_text())
        return Plan(directory, sockets, enclaves, hsms, witnesses, ports["kms"], ports["host"], ports["chain"])
    plan = Plan(directory, sockets, enclaves, hsms, witnesses)
    documents.write(file, {"kms": plan.kms_port, "host": plan.host_port, "chain": plan.chain_port})
    return plan
