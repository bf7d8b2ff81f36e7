"""Keys of every suite, generated once: the DKG of DKLs23 takes most of a second for each party."""

import pytest
import strongroom_native as native

from tests.native.driver import run_dkg

ECDSA = "dkls23-secp256k1"
ED25519 = "frost-ed25519"
TAPROOT = "frost-secp256k1-tr"
MUSIG2 = "musig2-secp256k1"

Shares = list[native.KeyShare]


class Keys:
    """Makes each kind of key once. A test that changes pairwise state takes copies out of their seals."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, int, int], Shares] = {}

    def __call__(self, suite: str, threshold: int, parties: int) -> Shares:
        kind = (suite, threshold, parties)
        if kind not in self._made:
            self._made[kind] = run_dkg(suite, threshold, parties)
        return self._made[kind]


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys()


def reloaded(*shares: native.KeyShare) -> Shares:
    """The shares as after a restart: sealed and unsealed, so without pairwise state."""
    key = native.DataKey.generate()
    return [native.KeyShare.unseal(share.seal(key, b"test"), key, b"test") for share in shares]
