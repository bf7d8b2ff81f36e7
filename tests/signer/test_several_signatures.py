"""A transaction that wants several signatures: one ceremony, one envelope a round and peer, all of them or none."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import pytest

from strongroom.chains.bitcoin.transaction import Output, Transaction
from strongroom.channel import bundle
from strongroom.channel.bundle import MAX_PARTS, MAX_SIGNATURES, most_signatures
from strongroom.channel.envelope import Envelope
from strongroom.intent.intent import Intent
from strongroom.wire.frame import MAX_FRAME
from tests.chains.bitcoin_cases import PAID, Path_, coin, draft
from tests.chains.bitcoin_chain import interpreter_takes
from tests.signer.cluster import Cluster, Message, Run
from tests.signer.corrupt import Lie, Said, corrupt, reform
from tests.signer.wide import BITCOIN, asked, finished, wide
from tests.wallet.orders import ECDSA, MUSIG2, TAPROOT
from tests.wire.refused import refused

PAIR = ("a", "b")


def paths(cluster: Cluster, count: int) -> list[Path_]:
    every: list[Path_] = [(), (0, 0), (1, 0), (44, 0, 0, 0, 7)]
    return list(itertools.islice(itertools.cycle(every if cluster.keys.derives else [()]), count))


def spending(cluster: Cluster, count: int, seed: int = 0, amount: int = 1000) -> tuple[Intent, list[Output]]:
    """So many coins, of keys on several paths where the wallet derives any; and what they are."""
    keys = cluster.keys
    coins = [coin(keys, amount, path, seed + place) for place, path in enumerate(paths(cluster, count))]
    payload = draft(keys, coins, [(count * 900, PAID)]).payload()
    return asked(cluster, "bitcoin-psbt", payload, BITCOIN), [each.output for each in coins]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("scheme", [ECDSA, TAPROOT, MUSIG2])
def test_every_input_is_signed_in_one_ceremony(scheme: str, count: int) -> None:
    """And Bitcoin Core's own interpreter takes each of them."""
    cluster = wide(scheme)
    intent, spent = spending(cluster, count)
    done, signatures = finished(cluster, intent)
    assert len(set(signatures)) == count
    assert interpreter_takes(Transaction.decode(done.raw), spent)
    assert done.name == Transaction.decode(done.raw).txid[::-1].hex()


@pytest.mark.parametrize("scheme", [ECDSA, TAPROOT])
def test_as_many_trips_and_messages_as_for_one(scheme: str) -> None:
    cluster = wide(scheme)
    runs = [cluster.signing(spending(cluster, count)[0], PAIR).start() for count in (1, 3)]
    while not runs[0].done:
        first, second = (run.messages for run in runs)
        assert len(first) == len(second) == 2
        for one, three in zip(first, second, strict=True):
            assert 2 * len(one.sealed) < len(three.sealed) < 3 * len(one.sealed)
        for run in runs:
            run.turn()
    assert runs[1].done


def test_the_largest_transaction_of_each_group_fits_a_frame() -> None:
    """DKLs23's second round is the largest message that signers send: measured here, for `most_signatures`."""
    cluster = wide(ECDSA)
    run = cluster.signing(spending(cluster, MAX_SIGNATURES)[0], PAIR).start().turn()
    each = len(run.messages[0].sealed) / MAX_SIGNATURES
    assert 55_000 < each < 55_500
    for threshold in range(2, 10):
        most = most_signatures(threshold, pairwise=True)
        assert most * (threshold - 1) <= MAX_PARTS
        assert (threshold - 1) * (most * each + 100) + 1000 < MAX_FRAME
        assert most_signatures(threshold, pairwise=False) == MAX_SIGNATURES
    assert (most_signatures(2, pairwise=True), most_signatures(9, pairwise=True)) == (MAX_SIGNATURES, 9)
    run.finish()


@pytest.mark.parametrize("scheme", [ECDSA, TAPROOT])
def test_one_input_too_many_is_refused(scheme: str) -> None:
    cluster = wide(scheme)
    intent, _ = spending(cluster, MAX_SIGNATURES + 1)
    refusal = refused("unsupported_transaction", cluster.signing(intent, PAIR).start, "a")
    assert "17 signatures" in refusal.reason


# --- A host that tampers ---


def test_a_psbt_of_other_inputs_makes_another_ceremony() -> None:
    """Shown two and three inputs by the same requester, the signers compute other ids: nothing opens."""
    cluster = wide(TAPROOT)
    two, three = spending(cluster, 2)[0], spending(cluster, 3)[0]
    tickets = cluster.tickets(PAIR)
    run = cluster.signing(two, PAIR, tickets=tickets)
    run.starts["b"] = cluster.signing(three, PAIR, tickets=tickets).starts["b"]
    run.start()
    assert run.identifier("a") != run.identifier("b")
    assert {fault.code for fault in run.faults().values()} == {"channel_link"}


@pytest.mark.parametrize("scheme", [ECDSA, TAPROOT])
def test_a_changed_byte_in_any_part_of_a_bundle(scheme: str) -> None:
    cluster = wide(scheme)
    for place in (30, -200 if scheme == TAPROOT else 60_000, -1):

        def flip(messages: list[Message], at: int = place) -> list[Message]:
            changed = []
            for each in messages:
                raw = bytearray(each.sealed)
                raw[at % len(raw)] ^= 1
                changed.append(dataclasses.replace(each, sealed=bytes(raw)))
            return changed

        run = cluster.signing(spending(cluster, 3)[0], PAIR).start()
        assert {fault.code for fault in run.faults(flip).values()} == {"channel_link"}


def test_bundles_of_two_ceremonies_are_not_exchanged() -> None:
    """Of the very same intent: each ceremony's messages are good for it alone."""
    cluster = wide(TAPROOT)
    intent = spending(cluster, 3)[0]
    one, other = (cluster.signing(intent, PAIR).start() for _ in range(2))
    crossed = one.faults(lambda _: other.messages)
    assert {fault.code for fault in crossed.values()} == {"channel_link"}
    other.finish()


def test_contributions_are_for_their_own_signature(scheme: str = TAPROOT) -> None:
    """A host that swaps what two ceremonies made, or two places within one, gets no signature."""
    cluster = wide(scheme)
    intent = spending(cluster, 3)[0]
    steps = cluster.signing(intent, PAIR).all()
    to_sign = cluster.to_sign(intent)
    assert len(cluster.all_combined(steps, to_sign)) == 3
    parts = bundle.split(steps["a"]["result"], 3)
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            swapped = {**steps, "a": {**steps["a"], "result": bundle.join([parts[place] for place in order])}}
            refused("foreign_message", cluster.all_combined, swapped, to_sign)
    refused("malformed_message", cluster.all_combined, steps, to_sign[:2])


def test_a_round_is_not_given_twice() -> None:
    cluster = wide(ECDSA)
    run = cluster.signing(spending(cluster, 2)[0], PAIR).start()
    messages = run.messages
    run.turn()
    refused("ceremony_round", run.step, "a", messages, round=1)
    refused("channel_link", run.step, "a", messages)
    refused("unknown_ceremony", run.step, "a", run.messages)


# --- A signer that lies ---


def recount(change: Callable[[list[bytes]], list[bytes]], count: int) -> Lie:
    def lie(said: Said) -> Envelope:
        envelope = said.envelope
        assert envelope.broadcast is not None
        return dataclasses.replace(envelope, broadcast=bundle.join(change(bundle.split(envelope.broadcast, count))))

    return lie


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda parts: parts[:2], "malformed_message"),
        (lambda parts: [*parts, parts[0]], "malformed_message"),
        (lambda parts: parts[:1], "malformed_message"),
        (lambda parts: parts[::-1], "foreign_message"),
        (lambda parts: [parts[0], parts[0], parts[2]], "foreign_message"),
        (lambda parts: [parts[0], b"", parts[2]], "malformed_message"),
    ],
    ids=["one less", "one more", "one alone", "in another order", "one twice", "one empty"],
)
def test_a_signer_whose_bundle_is_another_one(change: Callable[[list[bytes]], list[bytes]], code: str) -> None:
    """It is named where its own bytes prove it; the ceremony ends, for all signatures."""
    cluster = wide(TAPROOT)
    corrupt(cluster["b"], cluster.order_id, recount(change, 3))
    try:
        run = cluster.signing(spending(cluster, 3)[0], PAIR).start()
    finally:
        reform(cluster["b"], cluster.order_id)
    fault = refused(code, run.step, "a", run.messages)
    assert fault.culprits in ((), ("b",))
    refused("unknown_ceremony", run.step, "a", run.messages)
    finished(cluster, spending(cluster, 3)[0])


def test_one_wrong_share_of_three_names_its_signer() -> None:
    cluster = wide(TAPROOT)
    intent = spending(cluster, 3)[0]
    steps = cluster.signing(intent, PAIR).all()
    parts = bundle.split(steps["b"]["result"], 3)
    parts[1] = parts[1][:-1] + bytes((parts[1][-1] ^ 1,))
    wrong = {**steps, "b": {**steps["b"], "result": bundle.join(parts)}}
    refusal = refused("bad_share", cluster.all_combined, wrong, cluster.to_sign(intent))
    assert (refusal.verdict, refusal.culprits) == ("proof", ("2",))


# --- Bundles ---


def test_one_payload_stands_alone() -> None:
    assert bundle.join([b"payload"]) == b"payload" and bundle.split(b"payload", 1) == [b"payload"]


@pytest.mark.parametrize("parts", [[b"", b""], [b"a", b"bc", b""], [b"x" * 70_000] * 16])
def test_what_is_joined_is_split(parts: list[bytes]) -> None:
    assert bundle.split(bundle.join(parts), len(parts)) == parts


@pytest.mark.parametrize(
    "raw", [b"", b"\0\0\0\1a", b"\0\0\0\1a\0\0\0", b"\0\0\0\1a\0\0\0\2b", b"\0\0\0\1a\0\0\0\1b\0", b"\xff" * 8]
)
def test_what_is_no_bundle_of_two(raw: bytes) -> None:
    refused("malformed_message", bundle.split, raw, 2)


def test_sessions_differ_by_ceremony_and_place() -> None:
    assert len({bundle.session(bytes((a,)) * 32, b) for a in range(4) for b in range(16)}) == 64


def test_runs_are_not_mixed_up(scheme: str = ECDSA) -> None:
    """Two transactions side by side, each of several signatures."""
    cluster = wide(scheme)
    intents = [spending(cluster, 3, seed)[0] for seed in (0, 10)]
    runs: list[Run] = [cluster.signing(intent, PAIR).start() for intent in intents]
    while not all(run.done for run in runs):
        for run in runs:
            run.turn()
    for run, intent in zip(runs, intents, strict=True):
        assert len(cluster.all_combined(run.steps, cluster.to_sign(intent))) == 3
