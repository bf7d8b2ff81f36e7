"""What a chain's own tools call the accounts of a wallet: a key has a name on each chain, derived keys have others."""

from __future__ import annotations

from collections.abc import Iterable

from strongroom.chains import bitcoin, evm
from strongroom.chains.bitcoin.keys import Path
from strongroom.chains.solana import base58
from strongroom.wallet.certificate import Body


def account(body: Body, chain: str, path: Path = ()) -> str:
    """chain: as effects name it; empty for a text of no chain. Raises Refusal for a path that has no key."""
    family, _, network = chain.partition(":")
    if family == "bitcoin":
        return bitcoin.address_of(body.keys.script(path), network)
    if family == "solana":
        return base58.encode(body.public_key)
    if family == "evm":
        return evm.checksum(evm.address(body.keys.key(path) if path else body.public_key))
    return body.address


def accounts(body: Body, chain: str, paths: Iterable[Path]) -> tuple[str, ...]:
    """Each once, with its path where it is a derived key's."""
    return tuple(_named(account(body, chain, path), path) for path in dict.fromkeys(paths))


def _named(address: str, path: Path) -> str:
    return f"{address} ({'/'.join(('m', *map(str, path)))})" if path else address
