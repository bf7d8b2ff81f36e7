"""Where KMS is: one host and port, which follow from the attested configuration and from nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from strongroom.errors import Refusal
from strongroom.signer.configuration import Sealing

HTTPS: Final = 443
DOMAINS: Final = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
}
"""By partition: a test holds them to botocore's own."""

_ARN: Final = re.compile(r"arn:(aws[a-z-]*):kms:([a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?")


@dataclass(frozen=True)
class Endpoint:
    host: str
    port: int


def endpoint(sealing: Sealing) -> Endpoint:
    """Raises Refusal `bad_configuration` for a key in no partition known here, or an endpoint that is no address."""
    if sealing.endpoint is not None:
        return _named(sealing.endpoint)
    found = _ARN.fullmatch(sealing.key)
    if sealing.kind != "kms" or found is None or found[1] not in DOMAINS:
        raise Refusal("bad_configuration", "sealing.key is not the ARN of a KMS key in a partition that is known here")
    return Endpoint(f"kms.{found[2]}.{DOMAINS[found[1]]}", HTTPS)


def _named(url: str) -> Endpoint:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS
    except ValueError:
        host, port = "", 0
    if not _HOST.fullmatch(host) or not 0 < port < 1 << 16:
        raise Refusal("bad_configuration", "sealing.endpoint is no https address")
    return Endpoint(host, port)
