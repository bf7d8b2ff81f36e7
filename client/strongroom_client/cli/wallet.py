"""`strongroom wallet create|show|verify`: an address is shown only after every signer vouched for it afresh."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom.wallet.administrators import smallest_coalition
from strongroom.wallet.order import SignedOrder
from strongroom_client import keyfiles, officers, orders, policies, wallets
from strongroom_client.cli import passphrase
from strongroom_client.cli.output import AsJson, Config, context, facts, out, print_json, progress, refusals, table
from strongroom_client.cli.signer import LABELS
from strongroom_client.context import Context
from strongroom_client.evidence import show_time
from strongroom_client.wallets import Verified

app = typer.Typer(help="Wallets: create, show, verify.", no_args_is_help=True)

Wallet = Annotated[str, typer.Argument(help="The wallet's id, in hexadecimal.")]


@app.command()
@refusals
def create(
    roster: Annotated[Path, typer.Option(help="Roster file.")],
    policy: Annotated[Path, typer.Option(help="Policy file.")],
    scheme: Annotated[str, typer.Option(help="For instance dkls23-secp256k1, frost-ed25519, frost-secp256k1-tr.")],
    threshold: Annotated[int, typer.Option(help="How many signers a signature takes.")],
    keys: Annotated[
        Path | None, typer.Option("--officers", help="Folder of officers' keys. Default: the pins'.")
    ] = None,
    accept_unaudited: Annotated[
        bool, typer.Option(help="Accept this scheme's library though nobody audited it.")
    ] = False,
    file: passphrase.File = None,
    descriptor: passphrase.Descriptor = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Have officers sign an order, the signers create the wallet, and verify it before its address is shown."""
    loaded = context(config)
    ask = passphrase.source(file, descriptor)
    order = _order(loaded, roster, policy, scheme, threshold, accept_unaudited, keys or loaded.pins, ask)
    progress(f"order {order.order_id.hex()[:16]} signed by {len(order.signatures)} officers; the signers deal the key")
    with loaded.api() as api:
        verified = wallets.create(api, order, officers=loaded.officers(), mode=loaded.mode)
    _print(verified, as_json)


def _order(
    loaded: Context,
    roster: Path,
    policy: Path,
    scheme: str,
    threshold: int,
    accept_unaudited: bool,
    keys: Path,
    ask: keyfiles.Passphrase,
) -> SignedOrder:
    mode, members = orders.load_roster(roster)
    if mode != loaded.mode:
        raise Refusal("mode_mismatch", f"the roster is of mode {mode}, the context of mode {loaded.mode}")
    order = orders.build(
        members,
        policies.load(policy, int(time.time())),
        loaded.officers(),
        mode=mode,
        scheme=scheme,
        threshold=threshold,
        accept_unaudited=accept_unaudited,
        nonce=secrets.token_bytes(32),
        witnesses=orders.load_witnesses(roster),
    )
    files = officers.officer_files(keys)[: order.officers.quorum]
    return orders.sign(order, [keyfiles.load(path, ask) for path in files])


@app.command()
@refusals
def show(wallet: Wallet, config: Config = None, as_json: AsJson = False) -> None:
    """Verify a wallet, then show its address, its signers, and who would have to conspire."""
    _print(_verified(context(config), wallet), as_json)


@app.command()
@refusals
def verify(wallet: Wallet, config: Config = None, as_json: AsJson = False) -> None:
    """Ask every signer, with a nonce drawn here, whether it holds a share of this wallet; judge the evidence here."""
    verified = _verified(context(config), wallet)
    if as_json:
        print_json(document(verified))
        return
    for member, statement in verified.statements:
        expires = show_time(statement.expires)
        out.print(f"[green]ok[/]  {member.name}  {member.root}, {statement.mode}, certificate until {expires}")
    out.print(
        f"{len(verified.statements)} of {len(verified.order.roster)} signers vouch for [bold]{verified.address}[/]"
    )


@app.command("list")
@refusals
def list_wallets(config: Config = None, as_json: AsJson = False) -> None:
    """The wallets that the host knows, without addresses: `wallet show` verifies one and shows it."""
    loaded = context(config)
    with loaded.api() as api:
        known = api.wallets()
    if as_json:
        keep = ("wallet", "scheme", "threshold", "phase", "state")
        print_json({"mode": loaded.mode, "wallets": [{key: row[key] for key in keep if key in row} for row in known]})
        return
    rows = [(str(row.get("wallet")), str(row.get("scheme")), str(row.get("threshold"))) for row in known]
    table(None, ("wallet", "scheme", "threshold"), rows)


def _verified(loaded: Context, wallet: str) -> Verified:
    with loaded.api() as api:
        return wallets.verify(api, wallet, officers=loaded.officers(), mode=loaded.mode)


def document(verified: Verified) -> dict[str, Any]:
    order = verified.order
    suite = schemes.suite(order.scheme)
    return {
        "wallet": verified.wallet,
        "mode": order.mode,
        "scheme": order.scheme,
        "suite": {
            "library": suite.library,
            "version": suite.version,
            "auditor": suite.auditor,
            "randomness": suite.randomness,
        },
        "threshold": order.threshold,
        "public_key": verified.body.wallet_key.hex(),
        "address": verified.address,
        "epoch": verified.body.epoch,
        "verified_at": verified.at,
        "nonce": verified.nonce.hex(),
        "signers": [
            {
                "name": member.name,
                "root": member.root,
                "mode": statement.mode,
                "measurements": {name: value.hex() for name, value in sorted(member.measurements.items())},
                "labels": member.labels.value(),
                "expires": statement.expires,
            }
            for member, statement in verified.statements
        ],
        "administrators": [
            {"kind": each.kind, "label": each.label, "signers": list(each.members)}
            for each in smallest_coalition(order)
        ],
    }


def _print(verified: Verified, as_json: bool) -> None:
    if as_json:
        print_json(document(verified))
        return
    order, suite = verified.order, schemes.suite(verified.order.scheme)
    facts(
        {
            "wallet": verified.wallet,
            "address": verified.address,
            "public key": verified.body.wallet_key.hex(),
            "scheme": f"{order.scheme}, {order.threshold} of {len(order.roster)}, mode {order.mode}",
            "suite": f"{suite.library} {suite.version}, auditor {suite.auditor}, randomness {suite.randomness}",
            "verified": f"{len(order.roster)} signers, nonce {verified.nonce.hex()[:16]}…, {show_time(verified.at)}",
            "could steal": coalition(verified),
        }
    )
    rows = [(member.name, member.root, *member.labels.value().values()) for member in order.roster]
    out.print()
    table(
        "Signers",
        ("name", "root", *(name.replace("_", " ") for name in LABELS)),
        [tuple(map(str, row)) for row in rows],
    )


def coalition(verified: Verified) -> str:
    """The smallest set of administrators that reaches the threshold, in words."""
    smallest = smallest_coalition(verified.order)
    words = " and ".join(f"{each.kind} {each.label}" for each in smallest)
    return (
        f"{words} {'alone' if len(smallest) == 1 else 'together'} ({len(smallest)} administrators reach the threshold)"
    )
