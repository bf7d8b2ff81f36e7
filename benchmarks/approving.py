"""(g) What a judgement costs: decoding, a policy of a thousand recipients, two approvals; its share of a signature.

The judgement is timed in this process, with the code that host and signers run. A whole signature is timed beside it,
over HTTP, of a wallet of the same scheme whose policy knows few recipients and demands nobody. What the larger
judgement adds comes twice: in the host, which verified the approvals when they came, and in the signers, all at once.

A wallet with witnesses may have windows: its signers count by a journal, here of a day's requests. What that adds is
set against the same signature, which is the shorter one, as no journal has to acknowledge it.
"""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.report import Row, at_most, median, plain
from benchmarks.served import Served
from strongroom.approval import Approval, Demand, count_verified, require
from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.chains.solana import base58
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent, Kind, intent_signing_bytes
from strongroom.intent.judge import Wallet, judge
from strongroom.journal.book import Book
from strongroom.journal.entry import Candidate, Entry
from strongroom.policy.decide import Circumstances, decide
from strongroom.policy.document import MAX_LEASE, Fee, Policy
from strongroom.policy.history import NO_HISTORY, Spend
from strongroom.policy.lists import Entry as Listed
from strongroom.policy.lists import Recipients
from strongroom.policy.rules import Rule
from strongroom.policy.terms import Tier, Window
from strongroom.wallet.certificate import Body
from strongroom_client import keyfiles
from tests.approval.keys import held
from tests.chains.bitcoin_cases import ADDRESS, simple
from tests.chains.solana_cases import TO, message, transfer

ROUNDS = 400
RECIPIENTS = 1000
REQUESTS = 24
WARM_UP = 4

ECDSA, ED25519 = "dkls23-secp256k1", "frost-ed25519"
PEOPLE = (held("alice"), held("bob", algorithm="p256", passkey=True))
"""A key file and a passkey."""

ENTRIES = 20_000
WINDOWS = (Window(86_400, amount=10**18, count=1_000_000), Window(3600, count=1_000_000, each=True))

DEMAND = Demand((("treasury", 2),))
PAYEE = hashlib.sha256(b"payee").digest()[:20]


@dataclass(frozen=True)
class Case:
    name: str
    scheme: str
    chain: str
    kind: Kind
    payee: str
    payload: Callable[[Body], bytes]


def _transfer(_: Body) -> bytes:
    return Transaction(1, 0, 1, 10**9, 21_000, PAYEE, 1).encode()


def _psbt(body: Body) -> bytes:
    return simple(body.keys).payload()


def _sol(body: Body) -> bytes:
    return message(transfer(1, source=body.public_key), payer=body.public_key)


CASES = (
    Case("EVM transfer", ECDSA, "evm:1", "evm-transaction", evm.text(PAYEE), _transfer),
    Case("PSBT of two inputs", ECDSA, "bitcoin:regtest", "bitcoin-psbt", ADDRESS, _psbt),
    Case("Solana transfer", ED25519, "solana:mainnet", "solana-transaction", base58.encode(TO), _sol),
)


def run(served: Served) -> list[Row]:
    whole = {scheme: _signature(served, scheme) for scheme in (ECDSA, ED25519)}
    rows = [plain(f"{scheme} 2-of-{served.size}: a whole signature, p50", each, "ms") for scheme, each in whole.items()]
    for case in CASES:
        rows += _measure(served, case, whole[case.scheme])
    return [*rows, *_windowed(served, CASES[0], whole[CASES[0].scheme])]


def _signature(served: Served, scheme: str) -> float:
    """Milliseconds."""
    wallet, requester, line = served.wallet(scheme, 2), served.requester(), served.line()
    bodies = [served.request(wallet, requester) for _ in range(REQUESTS + WARM_UP)]
    return median([line.post(body) for body in bodies][WARM_UP:])


def _measure(served: Served, case: Case, whole: float) -> list[Row]:
    body = served.wallet(case.scheme, 2).body
    known, requester = Wallet(body.wallet, body.order.order, body.keys), served.requester()
    now = int(time.time())

    def asked(policy: Policy) -> tuple[Intent, bytes]:
        intent = Intent(
            body.wallet, case.kind, case.payload(body), bytes(16), keyfiles.public(requester), now + 600,
            policy.digest(), case.chain,
        )  # fmt: skip
        return intent, requester.sign(intent_signing_bytes(intent.intent_id))

    large = _policy(case, requester_key=keyfiles.public(requester), now=now)
    small = _policy(case, requester_key=keyfiles.public(requester), now=now, recipients=1, demands=())
    (intent, signature), (plainly, plain_signature) = asked(large), asked(small)
    raw, plain_raw = intent.encode(), plainly.encode()
    approvals = [each.approval(intent.intent_id).encode() for each in PEOPLE]
    circumstances, effects = Circumstances(now), decode(intent, body.keys).effects

    def full() -> None:
        given = [Approval.decode(each) for each in approvals]
        judge(Intent.decode(raw), signature, known, large, circumstances, given)

    def light() -> None:
        judge(Intent.decode(plain_raw), plain_signature, known, small, circumstances, ())

    def approved() -> None:
        given = [Approval.decode(each) for each in approvals]
        require((DEMAND,), given, large.approvers, intent.intent_id, intent.requester)

    def early() -> None:
        given = [Approval.decode(each) for each in approvals]
        demands = judge(Intent.decode(raw), signature, known, large, circumstances, None).demands
        count_verified(demands, given, large.approvers, intent.requester)

    timed = _timed(full, light, lambda: decode(intent, body.keys), approved, early)
    deciding = _timed(lambda: decide(large, effects, circumstances, NO_HISTORY))[0]
    judged, base, decoded, counted, hosts = (median(each) for each in timed)
    added = (judged - base) + (hosts - base)
    return [
        plain(f"{case.name}: judgement, p50 of {ROUNDS}", judged, "ms"),
        plain(f"{case.name}: judgement, p99", sorted(timed[0])[int(ROUNDS * 0.99)], "ms"),
        plain(f"{case.name}: of it decoding", decoded, "ms"),
        plain(f"{case.name}: of it the policy, {RECIPIENTS} recipients", median(deciding), "ms"),
        plain(f"{case.name}: of it two approvals", counted, "ms"),
        at_most(f"{case.name}: added to a signature, host and signers", added / whole, "share", 0.15),
    ]


def _windowed(served: Served, case: Case, whole: float) -> list[Row]:
    """As `_measure`, of a policy that counts: the signers ask it once without a history, and once by the journal."""
    body = served.wallet(case.scheme, 2).body
    known, requester, now = Wallet(body.wallet, body.order.order, body.keys), served.requester(), int(time.time())
    key = keyfiles.public(requester)
    small, large = _policy(case, requester_key=key, now=now, recipients=1, demands=()), _policy(case, key, now, WINDOWS)

    def asked(policy: Policy) -> tuple[Intent, bytes]:
        intent = Intent(
            body.wallet, case.kind, case.payload(body), bytes(16), key, now + 600, policy.digest(), case.chain
        )
        return intent, requester.sign(intent_signing_bytes(intent.intent_id))

    (intent, signature), (plainly, plain_signature) = asked(large), asked(small)
    approvals = [each.approval(intent.intent_id).encode() for each in PEOPLE]
    book, circumstances = _book(case, now), Circumstances(now)

    def full() -> None:
        given = [Approval.decode(each) for each in approvals]
        judged = judge(Intent.decode(intent.encode()), signature, known, large, circumstances, given)
        candidate = Candidate(intent.request, intent.intent_id, now, intent.expiry, judged.effects)
        book.decide(candidate, lambda history: judged.counted(history).spends)

    def light() -> None:
        judge(Intent.decode(plainly.encode()), plain_signature, known, small, circumstances, ())

    def early() -> None:
        given = [Approval.decode(each) for each in approvals]
        demands = judge(Intent.decode(intent.encode()), signature, known, large, circumstances, None).demands
        count_verified(demands, given, large.approvers, intent.requester)

    judged, base, hosts = (median(each) for each in _timed(full, light, early))
    what = f"{case.name}, windows over a journal of {ENTRIES}"
    return [
        plain(f"{what}: judgement, p50 of {ROUNDS}", judged, "ms"),
        at_most(f"{what}: added to a signature", ((judged - base) + (hosts - base)) / whole, "share", 0.15),
    ]


def _book(case: Case, now: int) -> Book:
    """A day's requests, one after the other."""
    book = Book()
    for number in range(ENTRIES):
        request = hashlib.sha256(number.to_bytes(4, "big")).digest()
        at = now - 86_400 + number * 86_400 // ENTRIES
        spends = (Spend("payments", f"{case.chain}/native", case.payee, 1),)
        book.add(Entry(request[:16], request, at, at + 600, spends))
    return book


def _policy(
    case: Case,
    requester_key: bytes,
    now: int,
    windows: tuple[Window, ...] = (),
    *,
    recipients: int = RECIPIENTS,
    demands: tuple[Demand, ...] = (DEMAND,),
) -> Policy:
    others = {evm.text(hashlib.sha256(number.to_bytes(4, "big")).digest()[:20]) for number in range(recipients - 1)}
    entries = tuple(Listed(address, "somebody") for address in sorted({case.payee, *others}))
    asset = f"{case.chain}/native"
    tiers = (Tier(None, demands),) if demands else ()
    return Policy(
        issued=now,
        requesters=(requester_key,),
        chains=(case.chain,),
        lists=(Recipients("known", entries),),
        rules=(Rule("payments", "transfer", assets=(asset,), to=("known",), most=None, windows=windows, tiers=tiers),),
        fees=(Fee(asset, 10**18),),
        approvers=tuple(each.approver for each in PEOPLE),
        lease=MAX_LEASE,
    )


def _timed(*calls: Callable[[], object]) -> list[list[float]]:
    """Milliseconds of each call, in turn, so that a noisy neighbour meets all of them alike."""
    spent: list[list[float]] = [[] for _ in calls]
    gc.disable()
    for round_number in range(ROUNDS + WARM_UP):
        for call, kept in zip(calls, spent, strict=True):
            begin = time.perf_counter()
            call()
            if round_number >= WARM_UP:
                kept.append((time.perf_counter() - begin) * 1000)
    gc.enable()
    return spent
