"""What an approver reads: decoded here, out of the very bytes that the signers will be asked to sign.

The rules, in the order in which they are applied; only then is anything shown:

 1. The intent is of the request that was asked for, and of this wallet                      prepared_mismatch
 2. Its policy is one that the wallet's officers signed                                       intent_mismatch
 3. A requester that this policy names signed it                            unknown_requester, intent_signature
 4. It has not expired                                                                        intent_expired
 5. Its payload is decoded in full, as a signer decodes it                      malformed_, unsupported_transaction

What the host says about a request is never shown, but for approvals, which are verified like a signer does. Whether
the policy allows it is said beside it: signers judge that, with a journal and a clock that this machine lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from strongroom.approval import Approval, Approver, Demand, Tally, tally
from strongroom.chains import evm, explain
from strongroom.chains.effects import Allowance, Call, Delegation, Effects, Signing, ToSign, Transfer
from strongroom.errors import Refusal
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent
from strongroom.policy.decide import Circumstances, decide
from strongroom.policy.document import Policy
from strongroom.policy.history import NO_HISTORY
from strongroom.policy.lists import Proof
from strongroom.wallet.certificate import Body
from strongroom_client.accounts import accounts
from strongroom_client.approving.book import Book, Known, visible


@dataclass(frozen=True)
class Line:
    """One effect. verb: what happens. amount, exact: in coins and in the smallest unit. to: who gets it.

    known: None where no list of the policy has the address. warnings: what a person should stop at. text: what is
    signed, where it is for reading.
    """

    verb: str
    amount: str = ""
    exact: str = ""
    to: str = ""
    known: Known | None = None
    warnings: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Reading:
    """refused: why the policy would refuse it, as far as can be known here; its demands are not known then. newest: the
    highest version of a policy that officers signed for this wallet."""

    intent: Intent
    wallet: Body
    policy: Policy
    effects: Effects
    to_sign: tuple[ToSign, ...]
    lines: tuple[Line, ...]
    counted: Tally
    demands: tuple[Demand, ...]
    refused: str | None
    newest: int

    @property
    def accounts(self) -> tuple[str, ...]:
        """Whose signatures it takes, as the chain's tools name them: one for each key."""
        return accounts(self.wallet, self.effects.chain, (each.path for each in self.to_sign))

    @property
    def code(self) -> str:
        return compare(self.intent)

    @property
    def version(self) -> str:
        since = "" if self.newest == self.policy.version else f"; officers signed version {self.newest} since"
        return f"version {self.policy.version}{since}"

    @property
    def fee(self) -> tuple[str, str] | None:
        if not self.effects.fee_asset:
            return None
        return explain.parts(self.effects.fee_asset, self.effects.fee_ceiling)

    def approver(self, name: str) -> Approver:
        """Raises Refusal `unknown_approver`."""
        for approver in self.policy.approvers:
            if approver.name == name:
                return approver
        names = ", ".join(each.name for each in self.policy.approvers) or "nobody"
        raise Refusal("unknown_approver", f"the wallet's policy names no approver {name[:32]}; it names {names}")


def compare(intent: Intent) -> str:
    """What two people compare by another channel: the first 64 bits of the intent id, which covers everything."""
    text = intent.intent_id[:8].hex()
    return " ".join(text[at : at + 4] for at in range(0, 16, 4))


def read(
    request: bytes,
    raw: bytes,
    signature: bytes,
    wallet: Body,
    policies: Sequence[Policy],
    approvals: Sequence[Approval],
    now: int,
    proofs: Sequence[Proof] = (),
) -> Reading:
    """request: the id that was asked for. wallet: verified. policies: of this wallet, each signed by its officers.

    proofs: as they came with the request; each proves itself.
    """
    intent = Intent.decode(raw)
    # 1
    if intent.request != request or intent.wallet != wallet.wallet:
        raise Refusal("prepared_mismatch", "the host answered with another request than the one that was asked for")
    # 2
    policy = next((each for each in policies if each.digest() == intent.policy), None)
    if policy is None:
        raise Refusal("intent_mismatch", "the request was made under a policy that is not this wallet's")
    # 3
    policy.require_requester(intent.requester)
    intent.verify(signature)
    # 4
    if intent.expiry <= now:
        raise Refusal("intent_expired", f"the request expired {now - intent.expiry} seconds ago")
    # 5
    decoded = decode(intent, wallet.keys)
    effects = decoded.effects
    lines = tuple(_lines(intent, effects, Book(policy, proofs)))
    refused: str | None = None
    demands: tuple[Demand, ...] = ()
    try:
        # Lease, freeze and history are the signers' to know: renewed, as far as this machine can tell.
        circumstances = Circumstances(now, renewed=now + 1, proofs=proofs, replaces=intent.replaces is not None)
        demands = decide(policy.anywhere(), effects, circumstances, NO_HISTORY).demands
    except Refusal as refusal:
        refused = refusal.reason
    newest = max(each.version for each in policies)
    counted = tally(demands, approvals, policy.approvers, intent.intent_id, intent.requester)
    return Reading(intent, wallet, policy, effects, decoded.to_sign, lines, counted, demands, refused, newest)


def _lines(intent: Intent, effects: Effects, book: Book) -> Iterator[Line]:
    for transfer in effects.transfers:
        yield _transfer(transfer, book)
    for allowance in effects.allowances:
        yield _allowance(allowance, book)
    for call in effects.calls:
        yield _call(effects.chain, call, book)
    for signing in effects.signings:
        yield _signing(intent, signing, book)
    for delegation in effects.delegations:
        yield _delegation(delegation, book)


def _transfer(transfer: Transfer, book: Book) -> Line:
    amount, exact = explain.parts(transfer.asset, transfer.amount)
    known = book.known(transfer.to)
    warnings = book.unlisted(transfer.to)
    if transfer.amount == 0:
        warnings.append("Nothing is moved: a transfer of zero is often made to plant an address in a history.")
    verb = "Send" if transfer.sender is None else f"Move, out of {_address(transfer.sender)},"
    return Line(verb, amount, exact, _address(transfer.to), known, tuple(warnings))


def _allowance(allowance: Allowance, book: Book) -> Line:
    known = book.known(allowance.spender)
    if allowance.amount == 0 and not allowance.added:
        verb = f"Take back what may be taken of {explain.token(allowance.asset)}"
        return Line(verb, to=_address(allowance.spender), known=known)
    if allowance.amount is None:
        amount, exact = f"all of {explain.token(allowance.asset)}", "now and in future"
    else:
        amount, exact = explain.parts(allowance.asset, allowance.amount)
    end = explain.until(allowance.expires)
    warnings = [f"This moves nothing now. It lets somebody take it later without asking again, {end}."]
    if allowance.added:
        warnings.append("It is on top of what they may take already.")
    warnings += book.unlisted(allowance.spender)
    return Line("Let somebody take", amount, exact, _address(allowance.spender), known, tuple(warnings))


def _call(chain: str, call: Call, book: Book) -> Line:
    known = book.known(call.contract)
    amount, exact = explain.parts(f"{chain}/native", call.value) if call.value else ("", "")
    warnings = ["What this does is not understood here. Officers allowed this contract and method by name."]
    warnings += book.unlisted(call.contract)
    verb = f"Call method {call.method} of a contract" + (", and pay it" if call.value else "")
    return Line(verb, amount, exact, _address(call.contract), known, tuple(warnings), call.data.hex())


def _signing(intent: Intent, signing: Signing, book: Book) -> Line:
    text = visible(intent.payload.decode("utf-8", "backslashreplace"), lines=True)
    warnings = []
    if not text.isascii():
        warnings.append("Some letters are not ASCII, and may look like others.")
    if signing.kind == "text":
        return Line("Sign this text", text=text, warnings=tuple(warnings))
    known = book.known(signing.domain) if signing.domain else None
    warnings += book.unlisted(signing.domain or "")
    to = _address(signing.domain) if signing.domain else ""
    return Line(f"Sign typed data {visible(signing.what)} for", to=to, known=known, warnings=tuple(warnings), text=text)


def _delegation(delegation: Delegation, book: Book) -> Line:
    to, known = _address(delegation.code), book.known(delegation.code)
    if not int(delegation.code, 16):
        return Line("Let no other code act as the wallet any more", to=to, known=known)
    warnings = ["This code can move all that the wallet holds, and no signer and no approver is asked then."]
    warnings += book.unlisted(delegation.code)
    return Line("Let this code act as the wallet (EIP-7702)", to=to, known=known, warnings=tuple(warnings))


def _address(text: str) -> str:
    """EVM's with the checksum that other tools show."""
    return evm.checksum(evm.parse_address(text)) if text.startswith("0x") else visible(text)
