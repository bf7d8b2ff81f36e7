"""One process's host, put together from its configuration. Made in each worker after its fork, never before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from strongroom_host.broadcasting import Chains
from strongroom_host.configuration import Configuration
from strongroom_host.connection import Address
from strongroom_host.custody import Custody
from strongroom_host.ethereum import Node
from strongroom_host.following import Chain
from strongroom_host.gathering import Gathering
from strongroom_host.relay.relay import Relay
from strongroom_host.screening import Screening
from strongroom_host.screening import Service as Screened
from strongroom_host.signers import Signers
from strongroom_host.sources import NO_PROXY, Sources
from strongroom_host.storage.approvals import Approvals
from strongroom_host.storage.database import Database
from strongroom_host.storage.journals import Journals
from strongroom_host.storage.requests import Requests
from strongroom_host.storage.wallets import Wallets


@dataclass(frozen=True)
class Service:
    """addresses: as configured, by signer. mode: None where the host takes wallets of both. sources: what tells where a
    request came from."""

    custody: Custody
    signers: Signers
    addresses: Mapping[str, str]
    key_hashes: tuple[bytes, ...]
    mode: str | None
    sources: Sources = NO_PROXY

    def close(self) -> None:
        self.custody.chains.close()
        self.custody.gathering.screening.close()
        self.custody.relays.close()


def build(configuration: Configuration) -> Service:
    file = configuration.file
    database = Database(file.database, file.threads)
    signers = Signers({name: Address.parse(address) for name, address in file.signers.items()})
    requests = Requests(database)
    nodes = {chain: Chain(Node(each.url), each.confirmations) for chain, each in configuration.chains.items()}
    services = {name: Screened(each.url, each.seconds) for name, each in file.screening.items()}
    gathering = Gathering(Approvals(database), Screening(services))
    journals, arriving = Journals(database), None
    if file.arriving:
        beside = {name: Address.parse(address) for name, address in {**file.signers, **file.arriving}.items()}
        arriving = Relay(Signers(beside), journals)
    custody = Custody(
        Relay(signers, journals),
        Wallets(database),
        requests,
        Chains(nodes, requests),
        gathering,
        arriving=arriving,
        new=frozenset(file.arriving),
    )
    return Service(custody, signers, file.signers, configuration.key_hashes, file.mode, Sources(file.source))
