"""Where a request came from: what a proxy of the operator's says, and nobody else's word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from strongroom.errors import Refusal
from strongroom.policy.terms import Source
from strongroom_host import configuration
from strongroom_host.api.app import create_app
from strongroom_host.configuration import SourceFile
from strongroom_host.custody import Custody
from strongroom_host.service import Service
from strongroom_host.sources import NO_PROXY, Sources
from strongroom_host.storage.wallets import Wallet
from tests.host.conftest import KEY
from tests.host.test_directives import directive, rooted
from tests.host.world import World

PROXY = Sources(SourceFile(proxies=["10.0.0.0/8", "unix"], address_header="X-Real-IP", country_header="CF-IPCountry"))
SAID = {"X-Real-IP": "198.51.100.7", "CF-IPCountry": "ch"}


@pytest.mark.parametrize(
    ("sources", "peer", "headers", "found"),
    [
        (PROXY, "10.1.2.3", SAID, ("198.51.100.7", "CH")),
        (PROXY, "::ffff:10.1.2.3", SAID, ("198.51.100.7", "CH")),
        (PROXY, "", SAID, ("198.51.100.7", "CH")),
        # Anybody can write a header.
        (PROXY, "192.0.2.1", SAID, ("192.0.2.1", "")),
        (NO_PROXY, "10.1.2.3", SAID, ("10.1.2.3", "")),
        (NO_PROXY, "", SAID, ("", "")),
        # What a proxy does not say is not known: a rule that asks for it then allows nothing.
        (PROXY, "10.1.2.3", {}, ("", "")),
        (PROXY, "10.1.2.3", {"X-Real-IP": "198.51.100.7, 10.9.9.9", "CF-IPCountry": "Swiss"}, ("", "")),
        (PROXY, "10.1.2.3", {"X-Real-IP": "2001:DB8::1", "CF-IPCountry": "\u00c4\u00c4"}, ("2001:db8::1", "")),
        (Sources(SourceFile(proxies=["10.0.0.0/8"])), "", SAID, ("", "")),
        (Sources(SourceFile(proxies=["10.0.0.0/8"])), "10.0.0.1", SAID, ("10.0.0.1", "")),
    ],
    ids=range(11),
)
def test_whose_word_is_taken(sources: Sources, peer: str, headers: Mapping[str, str], found: tuple[str, str]) -> None:
    assert sources.of(peer, headers.get) == found


@pytest.mark.parametrize(
    "source",
    [
        {"proxies": []},
        {"proxies": ["10.0.0.1/8"]},
        {"proxies": ["proxy"]},
        {"proxies": ["unix"], "address_header": "a b"},
    ],
    ids=["none", "host-bits", "name", "header"],
)
def test_a_proxy_that_is_none_is_refused_at_start(tmp_path: Path, source: object) -> None:
    path = tmp_path / "host.json"
    whole = {"database": "sqlite://", "signers": {"a": "uds:/a#1"}, "api_key_hashes": ["00" * 32], "source": source}
    path.write_text(json.dumps(whole))
    with pytest.raises(Refusal) as caught:
        configuration.read(path)
    assert caught.value.code == "bad_configuration" and "source" in caught.value.reason


def test_a_country_reaches_the_signers(world: World, custody: Custody, wallet: Wallet) -> None:
    """As advice: the refusal says whose word it is."""
    made = rooted(world, wallet, source=Source((), ("CH",)))
    custody.directing.direct(custody.group(wallet), directive(world, made))
    keys = (hashlib.sha256(KEY.encode()).digest(),)
    app = create_app(Service(custody, custody.relay.signers, {}, keys, None, PROXY))
    for country, status in (("CH", 201), ("LI", 403)):
        intent, signature = world.message(wallet.body.wallet, policy=made.digest())
        answer = app.test_client().post(
            "/v1/requests",
            json={"intent": intent.hex(), "signature": signature.hex()},
            headers={"Authorization": f"Bearer {KEY}", "CF-IPCountry": country},
            environ_base={"REMOTE_ADDR": "10.0.0.1"},
        )
        assert answer.status_code == status, answer.json
        if status == 403:
            assert answer.json is not None and answer.json["code"] == "policy_source"
            assert "the host says" in answer.json["detail"]
