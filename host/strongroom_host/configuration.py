"""The host's configuration file: JSON, read once at start."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from strongroom.errors import Refusal

Name = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$")]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ChainFile(_Model):
    url: str
    confirmations: int = Field(default=3, ge=1)


class ScreeningFile(_Model):
    url: Annotated[str, Field(pattern=r"^https?://")]
    seconds: float = Field(default=5.0, gt=0, le=60)


Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")]


class SourceFile(_Model):
    """A reverse proxy that says where requests come from. proxies: networks that it connects from, `unix` for a Unix
    socket. address_header, country_header: what it writes it into, whatever a client had written there before.
    """

    proxies: list[str] = Field(min_length=1, max_length=64)
    address_header: Header | None = None
    country_header: Header | None = None

    @field_validator("proxies")
    @classmethod
    def _networks(cls, proxies: list[str]) -> list[str]:
        for proxy in proxies:
            if proxy != "unix":
                ipaddress.ip_network(proxy)
        return proxies


class ConfigurationFile(_Model):
    """listen: HOST:PORT, port 0 for any, or unix:PATH. database: SQLAlchemy's URL. signers: address by name,
    `uds:PATH#PORT` or `vsock:CID:PORT`. arriving: likewise, of a next release, beside those of the same name. chains:
    node by chain id. api_keys_file: one key in each line. api_key_hashes: SHA-256 of further keys, hex. screening: a
    service and its deadline, by the name of the approver that it is. source: the reverse proxy that says whence
    requests come. mode: where given, wallets of the other mode are refused.
    """

    listen: str = "127.0.0.1:8080"
    database: str
    signers: dict[Name, str] = Field(min_length=1)
    arriving: dict[Name, str] = {}
    screening: dict[Name, ScreeningFile] = {}
    chains: dict[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,19}$")], ChainFile] = {}
    api_keys_file: str | None = None
    api_key_hashes: list[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = []
    source: SourceFile | None = None
    mode: Literal["production", "simulated"] | None = None
    workers: int = Field(default=1, ge=1, le=64)
    threads: int = Field(default=16, ge=1, le=256)


@dataclass(frozen=True)
class Configuration:
    """key_hashes: SHA-256 of every API key."""

    file: ConfigurationFile
    key_hashes: tuple[bytes, ...]

    @property
    def chains(self) -> Mapping[int, ChainFile]:
        return {int(chain): each for chain, each in self.file.chains.items()}


def read(path: Path) -> Configuration:
    """Raises Refusal `bad_configuration`."""
    try:
        file = ConfigurationFile.model_validate(json.loads(path.read_text()))
        lines = [] if file.api_keys_file is None else Path(file.api_keys_file).read_text().splitlines()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Refusal("bad_configuration", f"{path}: {where}: {first['msg']}") from None
    except (OSError, ValueError) as error:
        raise Refusal("bad_configuration", f"{path}: {error}") from None
    hashes = [hashlib.sha256(line.strip().encode()).digest() for line in lines if line.strip()]
    hashes += [bytes.fromhex(each) for each in file.api_key_hashes]
    if not hashes:
        raise Refusal("bad_configuration", f"{path}: name at least one API key, in api_keys_file or api_key_hashes")
    return Configuration(file, tuple(hashes))
