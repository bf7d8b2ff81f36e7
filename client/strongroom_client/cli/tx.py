"""`strongroom tx send|show|wait|retry`; `sign`, `replace`, `cancel` and `explain` are in files of their own."""

from __future__ import annotations

import pathlib
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.errors import Refusal
from strongroom.intent.finishing import Finished
from strongroom.intent.intent import Intent
from strongroom_client import keyfiles, transactions, wallets
from strongroom_client.api import Json
from strongroom_client.approving.reading import compare
from strongroom_client.cli import explain, passphrase
from strongroom_client.cli.output import AsJson, Config, context, facts, print_json, progress, refusals
from strongroom_client.context import Context
from strongroom_client.transactions import Transfer
from strongroom_client.wallets import Verified

app = typer.Typer(help="Transactions: send, sign, show, wait, replace, cancel, explain.", no_args_is_help=True)
app.command()(explain.explain)

Request = Annotated[str, typer.Argument(help="The request's id.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for the block.")]
Key = Annotated[pathlib.Path | None, typer.Option("--requester", help="The requester's key. Default: the context's.")]

Path = Annotated[
    str, typer.Option("--path", help="Of the derived key that signs, such as m/0/5. Default: the wallet's own.")
]
Signers = Annotated[str, typer.Option(help="The set to try first, comma-separated. Default: the host's choice.")]


Lists = Annotated[
    list[str] | None, typer.Option("--list", metavar="NAME=FILE", help="A long list that the policy keeps as a root.")
]


@app.command()
@refusals
def send(
    wallet: Annotated[str, typer.Option(help="The wallet's id.")],
    to: Annotated[str, typer.Option(help="The recipient's address.")],
    value: Annotated[str, typer.Option(help="Such as 0.05ether, 3gwei or 12 (wei).")] = "0",
    data: Annotated[str, typer.Option(help="Call data in hexadecimal.")] = "",
    chain: Annotated[int | None, typer.Option(help="Chain id. Default: the wallet's policy decides.")] = None,
    signers: Signers = "",
    lists: Lists = None,
    requester: Key = None,
    wait: Annotated[bool, typer.Option(help="Wait until the transaction is in a block.")] = True,
    timeout: Timeout = 120.0,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Verify the wallet, decode what the host prepared, sign the intent here, and check what comes back."""
    loaded = context(config)
    key = load_requester(loaded, requester, passphrase.source(file, descriptor))
    asked = Transfer(evm.parse_address(to), transactions.parse_value(value), _hex(data), chain)
    with loaded.api() as api:
        verified = wallets.verify_for_use(api, wallet, officers=loaded.officers(), mode=loaded.mode)
        say_away(verified)
        progress(f"from {verified.address} to {evm.checksum(asked.to)}, {asked.value} wei")
        signed, answer = transactions.send(api, verified.body, asked, key, split(signers), lists or ())
        say_waiting(answer, signed.intent)
        if wait:
            answer = transactions.wait(api, request_name(answer), timeout=timeout, progress=progress)
            transactions.check(answer, signed.intent, verified.body)
    print_request(answer, Transaction.decode(signed.intent.payload), as_json)
    require_mined(answer, wait)


@app.command()
@refusals
def show(request: Request, config: Config = None, as_json: AsJson = False) -> None:
    """A request, as the host has it."""
    with context(config).api() as api:
        print_request(api.request(request), None, as_json)


@app.command()
@refusals
def wait(request: Request, timeout: Timeout = 120.0, config: Config = None, as_json: AsJson = False) -> None:
    """Wait until a request's transaction is in a block, or ends. Exit status 1 unless it is."""
    with context(config).api() as api:
        answer = transactions.wait(api, request, timeout=timeout, progress=progress)
    transactions.raise_failure(answer)
    print_request(answer, None, as_json)
    require_mined(answer, True)


@app.command()
@refusals
def retry(request: Request, config: Config = None, as_json: AsJson = False) -> None:
    """The very same bytes once more, where a request failed or its outcome is unknown. It never signs other bytes."""
    with context(config).api() as api:
        answer = api.retry(request)
    transactions.raise_failure(answer)
    print_request(answer, None, as_json)


def say_away(verified: Verified) -> None:
    """Whoever did not vouch for the wallet: it is signed with all the same, by others."""
    if verified.away:
        progress(
            f"{len(verified.statements)} of {len(verified.order.names)} signers vouch for the wallet, "
            f"and {', '.join(verified.away)} did not answer"
        )


def say_waiting(answer: Json, intent: Intent) -> None:
    """What whoever asked tells the approvers, by another channel than the host."""
    if answer.get("state") == "pending":
        progress(f"waits: {'; '.join(map(str, answer.get('missing') or ()))}")
        progress(f"approvers run: strongroom approve {request_name(answer)}, and compare {compare(intent)}")


def require_mined(answer: Json, waited: bool) -> None:
    """Exit status 1 for who waited for nothing."""
    if waited and answer.get("state") not in transactions.MINED:
        raise typer.Exit(1)


def load_requester(loaded: Context, key: pathlib.Path | None, ask: keyfiles.Passphrase) -> Ed25519PrivateKey:
    path = key or loaded.requester
    if path is None:
        raise Refusal("bad_context", "no requester's key: name it with --requester or in the context file")
    return keyfiles.load(path, ask)


def split(signers: str) -> list[str]:
    return [name.strip() for name in signers.split(",") if name.strip()]


def written(intent: Intent, finished: Finished) -> str:
    """BIP-322's signature is text; all else is shown in hexadecimal."""
    return finished.raw.decode() if intent.kind == "bitcoin-text" else finished.raw.hex()


def request_name(answer: Json) -> str:
    value = answer.get("request")
    if not isinstance(value, str):
        raise Refusal("malformed_message", "the host's answer names no request")
    return value


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise Refusal("malformed_transaction", "call data is not hexadecimal") from None


def print_request(answer: Json, transaction: Transaction | None, as_json: bool) -> None:
    if as_json:
        print_json(dict(answer))
        return
    rows: dict[str, Any] = {"request": request_name(answer), "state": answer.get("state")}
    if transaction is not None:
        rows["sent"] = f"{transaction.value} wei to {evm.checksum(transaction.to)} on chain {transaction.chain_id}"
        rows["fee"] = f"at most {transaction.gas_limit * transaction.max_fee} wei"
    mined = answer.get("transaction") or {}
    for name, value in (
        ("replaces", answer.get("replaces")),
        ("replaced by", ", ".join(answer.get("replaced_by") or ())),
        ("hash", _name(answer)),
        ("block", mined.get("block")),
        ("status", mined.get("status")),
        ("signers", ", ".join(answer.get("signers") or ())),
        # An EVM transaction is on its way already; all else is for whoever asked.
        ("result", None if answer.get("kind") == "evm-transaction" else _result(answer)),
    ):
        if value:
            rows[name] = value
    facts({name: str(value) for name, value in rows.items()})


def _name(answer: Json) -> str | None:
    """What the chain's tools call the transaction."""
    name = (answer.get("transaction") or {}).get("hash")
    return f"0x{name}" if name and answer.get("kind") == "evm-transaction" else name


def _result(answer: Json) -> str | None:
    result = answer.get("result")
    if answer.get("kind") != "bitcoin-text" or not isinstance(result, str):
        return result
    return bytes.fromhex(result).decode("ascii", "backslashreplace")
