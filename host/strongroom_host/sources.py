"""Where a request came from, by this host's word: signers take it as advice (specification section 5).

Without a reverse proxy of the operator's it is the address of whoever connected, and no country.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from strongroom_host.configuration import SourceFile

UNIX: Final = "unix"
"""Among the proxies: whoever connects to this host's Unix socket."""


@dataclass(frozen=True)
class Sources:
    """file: as configured; None where there is no proxy."""

    file: SourceFile | None = None

    def of(self, peer: str, header: Callable[[str], str | None]) -> tuple[str, str]:
        """(address, country), each empty where it is not known. peer: who connected, empty for a Unix socket.
        header: one of the request, by its name.

        What a header says counts only where a proxy of the operator's sent it: anybody can write one.
        """
        file = self.file
        if file is None or not self._trusted(peer):
            return _address(peer), ""
        address = peer if file.address_header is None else header(file.address_header) or ""
        country = "" if file.country_header is None else header(file.country_header) or ""
        return _address(address), _country(country)

    def _trusted(self, peer: str) -> bool:
        proxies = () if self.file is None else self.file.proxies
        address = _address(peer)
        if not address:
            return UNIX in proxies
        found = ipaddress.ip_address(address)
        return any(found in ipaddress.ip_network(proxy) for proxy in proxies if proxy != UNIX)


def _address(text: str) -> str:
    """In its one spelling; empty for what is none, a list of several among them."""
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _country(text: str) -> str:
    """ISO 3166-1, two capital letters."""
    code = text.strip().upper()
    return code if len(code) == 2 and code.isascii() and code.isalpha() else ""


NO_PROXY: Final = Sources()
