from __future__ import annotations

import botocore.session
import pytest

from strongroom.errors import Refusal
from strongroom.signer.configuration import Sealing
from strongroom_enclave.endpoint import DOMAINS, Endpoint, endpoint

REGIONS = [
    (partition, region)
    for partition in DOMAINS
    for region in botocore.session.Session().get_available_regions("kms", partition, allow_non_regional=False)
]


@pytest.mark.parametrize(("partition", "region"), REGIONS, ids=[region for _, region in REGIONS])
def test_the_host_is_the_one_that_botocore_dials(partition: str, region: str) -> None:
    client = botocore.session.Session().create_client(
        "kms", region_name=region, aws_access_key_id="x", aws_secret_access_key="y"
    )
    found = endpoint(Sealing("kms", f"arn:{partition}:kms:{region}:111122223333:key/abc"))
    assert f"https://{found.host}" == client.meta.endpoint_url
    assert found.port == 443


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://localhost:4566", Endpoint("localhost", 4566)),
        ("https://kms.test", Endpoint("kms.test", 443)),
    ],
)
def test_a_simulated_kms_is_where_the_configuration_says(url: str, where: Endpoint) -> None:
    assert endpoint(Sealing("kms", "arn:aws:kms:eu-central-1:111122223333:key/abc", url, bytes(32))) == where


@pytest.mark.parametrize(
    "sealing",
    [
        Sealing("kms", "arn:aws-other:kms:eu-central-1:111122223333:key/abc"),
        Sealing("kms", "arn:aws:kms:eu-central-1 evil:111122223333:key/abc"),
        Sealing("pkcs11", "wrapping"),
        Sealing("kms", "x", "https://a b", bytes(32)),
        Sealing("kms", "x", "https://host:99999", bytes(32)),
        Sealing("kms", "x", "https://", bytes(32)),
    ],
    ids=["partition", "region", "token", "blank", "port", "empty"],
)
def test_no_other_address_reaches_the_table_of_hosts(sealing: Sealing) -> None:
    with pytest.raises(Refusal) as refusal:
        endpoint(sealing)
    assert refusal.value.code == "bad_configuration"
