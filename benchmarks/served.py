"""The real thing: a local cluster with the host under gunicorn, asked over HTTP on a connection that stays open."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom import schemes
from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.policy.terms import Window
from strongroom_client import keyfiles, officers, orders, policies, wallets
from strongroom_client.cluster import Cluster, Machines, SignerPlan
from strongroom_client.transactions import sign_intent
from strongroom_client.wallets import Verified

GWEI = 10**9


def _no_passphrase() -> bytes:
    raise RuntimeError("the cluster's keys have no passphrase")


class Served:
    """enclaves, hsms, witnesses: how many of each kind. Wallets are made once for each (scheme, threshold).

    machines and intercept: the cluster's."""

    def __init__(
        self,
        folder: Path,
        *,
        enclaves: int,
        hsms: int,
        witnesses: int = 0,
        machines: Machines | None = None,
        intercept: Callable[[SignerPlan], Path] | None = None,
    ) -> None:
        self.cluster = Cluster(
            folder,
            enclaves=enclaves,
            hsms=hsms,
            witnesses=witnesses,
            chain=False,
            machines=machines,
            intercept=intercept,
        )
        self._wallets: dict[tuple[str, int], Verified] = {}
        self._nonces: Counter[bytes] = Counter()

    def __enter__(self) -> Served:
        self.cluster.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cluster.__exit__(kind, error, traceback)

    @property
    def size(self) -> int:
        return len(self.cluster.names)

    def requester(self) -> Ed25519PrivateKey:
        return keyfiles.load(self.cluster.plan.officers / officers.REQUESTER, _no_passphrase)

    def make_wallet(self, scheme: str, threshold: int, *, windows: tuple[Window, ...] = ()) -> Verified:
        """A new wallet, over HTTP, verified. windows: of rules of transfers; its signers then count by journals."""
        plan, pins = self.cluster.plan, officers.load_pins(self.cluster.plan.officers)
        policy = policies.load(plan.policy, int(time.time()))
        if windows:
            rules = tuple(replace(rule, windows=windows) if rule.kind == "transfer" else rule for rule in policy.rules)
            policy = replace(policy, rules=rules)
        order = orders.build(
            self.cluster.roster,
            policy,
            pins,
            mode="simulated",
            scheme=scheme,
            threshold=threshold,
            accept_unaudited=True,
            nonce=secrets.token_bytes(32),
            witnesses=self.cluster.witnesses if windows else (),
        )
        keys = [keyfiles.load(path, _no_passphrase) for path in officers.officer_files(plan.officers)[: pins.quorum]]
        with self.cluster.api() as api:
            return wallets.create(api, orders.sign(order, keys), officers=pins, mode="simulated")

    def wallet(self, scheme: str, threshold: int) -> Verified:
        if (scheme, threshold) not in self._wallets:
            self._wallets[scheme, threshold] = self.make_wallet(scheme, threshold)
        return self._wallets[scheme, threshold]

    def request(self, wallet: Verified, requester: Ed25519PrivateKey) -> bytes:
        """The body of a fresh request, signed before any clock runs."""
        body = wallet.body
        if schemes.suite(body.order.order.scheme).digest:
            policy = body.order.order.policy
            nonce = self._nonces[body.wallet]
            self._nonces[body.wallet] += 1
            to, chain = evm.parse_address(policy.lists[0].entries[0].address), policy.evm_chain_ids[0]
            payload = Transaction(chain, nonce, GWEI, 2 * GWEI, 21_000, to, 1).encode()
            signed = sign_intent(body, "evm-transaction", payload, requester, chain=f"evm:{chain}")
        else:
            signed = sign_intent(body, "message", secrets.token_hex(16).encode(), requester)
        return json.dumps({"intent": signed.intent.encode().hex(), "signature": signed.signature.hex()}).encode()

    def line(self) -> Line:
        plan = self.cluster.plan
        return Line(plan.host_port, (plan.host / "api-key").read_text().strip())


class Line:
    """One HTTP connection to the host."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key
        self.laps: dict[str, float] = {}
        """Of the last answer: milliseconds by what the host spent them on."""
        self.signers: list[str] = []
        """Of the last answer: who signed."""

        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(self, body: bytes, path: str = "/v1/requests") -> float:
        """Milliseconds until the answer was read. Raises RuntimeError unless it was signed."""
        begin = time.perf_counter()
        self._connection.request("POST", path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        spent = (time.perf_counter() - begin) * 1000
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status}: {content[:300]!r}")
        told = [each.split(";dur=") for each in answer.getheader("Server-Timing", "").split(", ") if each]
        self.laps = {name: float(spent_on) for name, spent_on in told}
        self.signers = json.loads(content).get("signers", [])
        return spent
