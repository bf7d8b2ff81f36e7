"""Wallets whose policy allows all that signers can decode: a test sees what is signed, not what is allowed."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, Final

from strongroom.chains.effects import ToSign
from strongroom.intent.finishing import Finished, finish, verify
from strongroom.intent.intent import Intent, Kind
from strongroom.policy.document import MAX_LEASE, Fee, Policy
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Domain
from tests.signer.cluster import Cluster, Plan
from tests.wallet.orders import ETHER, ISSUED, REQUESTER_KEYS

EVM: Final = "evm:31337"
BITCOIN: Final = "bitcoin:regtest"
SOLANA: Final = "solana:localnet"
CHAINS: Final = (BITCOIN, EVM, SOLANA)
COINS: Final = tuple(f"{chain}/native" for chain in CHAINS)


def policy(*tokens: str, domains: tuple[Domain, ...] = ()) -> Policy:
    """tokens: assets beside the chains' own. domains: of typed data that may be signed."""
    assets = tuple(sorted((*COINS, *tokens)))
    rules = [
        Rule("transfers", "transfer", assets=assets, to=None, most=None),
        Rule("texts", "text", chains=CHAINS),
        Rule("messages", "message"),
    ]
    if tokens:
        rules.append(Rule("allowances", "allowance", assets=tuple(sorted(tokens)), to=None, most=None))
    if domains:
        rules.append(Rule("typed", "typed", chains=(EVM,), domains=domains))
    return Policy(
        ISSUED,
        tuple(REQUESTER_KEYS),
        CHAINS,
        tuple(rules),
        fees=tuple(Fee(coin, ETHER) for coin in COINS),
        lease=MAX_LEASE,
    )


@cache
def wide(scheme: str, threshold: int = 2, parties: int = 3) -> Cluster:
    """One for each kind of wallet, certified and paired; for tests that leave it as it is."""
    nonce = hashlib.sha256(f"wide {scheme} {threshold} {parties}".encode()).digest()
    return made(Plan(scheme, threshold, parties, nonce, policy()))


def made(plan: Plan) -> Cluster:
    return Cluster(plan).accept().link().deal().certify()


def asked(cluster: Cluster, kind: Kind, payload: bytes, chain: str = "", **changes: Any) -> Intent:
    return cluster.intent(kind=kind, payload=payload, chain=chain, **changes)


def finished(cluster: Cluster, intent: Intent, names: tuple[str, ...] | None = None) -> tuple[Finished, list[bytes]]:
    """Through real signers: the finished thing and the signatures, which were verified as a client does."""
    chosen = names or cluster.names[: cluster.order.threshold]
    steps = cluster.signing(intent, chosen).all()
    to_sign: tuple[ToSign, ...] = cluster.to_sign(intent)
    signatures = cluster.all_combined(steps, to_sign)
    verify(to_sign, cluster.keys, signatures)
    return finish(intent, cluster.keys, signatures), signatures
