"""build/demo/result.json: what the demo made, for whoever checks it with other tools. Hexadecimal in lower case.

`wallet` names a wallet by its address. Ethereum's own values (addresses, raw transactions, hashes) carry 0x, as its
nodes write them. `message` is the very bytes handed to the signature algorithm (docs/specification.md section 6), and
`public_key` the key under which the signature verifies.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strongroom_client.transactions import transaction_hash
from strongroom_client.wallets import Verified


def address(verified: Verified) -> str:
    return verified.address.lower()


@dataclass
class Result:
    wallets: list[dict[str, Any]] = field(default_factory=list)
    transactions: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[dict[str, str]] = field(default_factory=list)

    def wallet(self, verified: Verified) -> None:
        signers = [
            {
                "name": member.name,
                "root": statement.root,
                "mode": statement.mode,
                "measurements": {name: value.hex() for name, value in sorted(member.measurements.items())},
            }
            for member, statement in verified.statements
        ]
        row = {
            "scheme": verified.order.scheme,
            "threshold": verified.order.threshold,
            "public_key": verified.body.wallet_key.hex(),
            "address": address(verified),
            "signers": signers,
        }
        self.wallets.append(row)

    def transaction(
        self, verified: Verified, raw: bytes, *, chain_id: int, signers: list[str], block: int, status: str
    ) -> None:
        row = {
            "wallet": address(verified),
            "chain_id": chain_id,
            "raw": "0x" + raw.hex(),
            "hash": "0x" + transaction_hash(raw).hex(),
            "signers": signers,
            "block": block,
            "status": status,
        }
        self.transactions.append(row)

    def message(self, verified: Verified, message: bytes, signature: bytes) -> None:
        row = {
            "wallet": address(verified),
            "scheme": verified.order.scheme,
            "message": message.hex(),
            "signature": signature.hex(),
        }
        self.messages.append(row)

    def refusal(self, what: str, by: str, code: str) -> None:
        self.refusals.append({"what": what, "by": by, "code": code})

    def write(self, path: Path) -> None:
        value = {
            "wallets": self.wallets,
            "transactions": self.transactions,
            "messages": self.messages,
            "refusals": self.refusals,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=2) + "\n")
