"""Forks are refused, the GIL is released, handles are safe to share between threads."""

import hashlib
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import strongroom_native as native

from tests.conftest import ROOT
from tests.native.conftest import ECDSA, ED25519, MUSIG2, Keys, reloaded
from tests.native.driver import run_dkg, run_pair, run_sign


def run_alone(script: str) -> str:
    """Runs a script in a fresh interpreter: forks and hardening stay out of the test process."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fork_can_do_nothing_secret() -> None:
    """rand's ThreadRng is copied by fork: without the check, both processes would sign with one instance key."""
    output = run_alone("""
        import os
        import strongroom_native as native
        from tests.native.driver import Relay, run_dkg

        shares, key = run_dkg("frost-ed25519", 2, 2), native.DataKey.generate()
        ecdsa = run_dkg("dkls23-secp256k1", 2, 2)[0]
        begun = native.sign(ecdsa, bytes(32), [1, 2], bytes(32))
        blob = shares[0].seal(key, b"")
        relay = Relay({s.index: native.sign(s, bytes(32), [1, 2], b"m") for s in shares})
        relay.start()
        attempts = {
            "go on with a nonce": lambda: relay.turn(),
            "begin a signature": lambda: native.sign(shares[0], bytes(32), [1, 2], b"n"),
            "start one": begun.start,
            "take a result": begun.result,
            "pair": lambda: native.pair(ecdsa, bytes(32), 2),
            "begin a key": lambda: native.dkg("dkls23-secp256k1", bytes(32), 1, 2, 2),
            "seal": lambda: shares[0].seal(key, b""),
            "unseal": lambda: native.KeyShare.unseal(blob, key, b""),
            "generate": native.DataKey.generate,
        }
        if (child := os.fork()) == 0:
            wrong = 0
            for attempt in attempts.values():
                try:
                    attempt()
                except native.NativeError as error:
                    wrong += error.code == "wrong_process"
            os._exit(wrong)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), len(attempts))
        relay.turn()  # the parent goes on
        print(relay.done)
    """)
    assert output.split() == ["9", "9", "True"]


def test_public_functions_work_in_a_fork() -> None:
    """The host's workers may be forked: they combine and verify, and hold no secret."""
    output = run_alone("""
        import os
        import strongroom_native as native
        from tests.native.driver import run_contributions, run_dkg

        shares = run_dkg("frost-ed25519", 2, 2)
        parts = run_contributions(shares, bytes(32), b"m")
        if (child := os.fork()) == 0:
            signature = native.combine("frost-ed25519", shares[0].public_package(), bytes(32), b"m", parts)
            os._exit(0 if native.verify("frost-ed25519", shares[0].public_key, b"m", signature) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert output.split() == ["0"]


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_hardening() -> None:
    output = run_alone("""
        import ctypes, resource
        import strongroom_native as native

        PR_GET_DUMPABLE = 3
        prctl = ctypes.CDLL(None).prctl
        before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
        native.harden_process()
        print(before, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
    """)
    assert output.strip() == "1 0 (0, 0)"


def test_one_share_signs_in_many_threads(keys: Keys) -> None:
    ecdsa, ed25519 = keys(ECDSA, 2, 3), keys(ED25519, 2, 3)

    def sign(i: int) -> bool:
        digest = hashlib.sha256(i.to_bytes(4)).digest()
        shares = (ecdsa, ed25519)[i % 2]
        pair = [shares[0], shares[1 + i % 3 % 2]]
        return native.verify(shares[0].suite, shares[0].public_key, digest, run_sign(pair, digest))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(sign, range(48)))


def test_signing_beside_a_set_up_of_another_pair(keys: Keys) -> None:
    """Replacing one pair's state under signers of another: no lost update, no signature lost."""
    one, two, three = reloaded(*keys(ECDSA, 2, 3))
    run_pair(one, two)
    with ThreadPoolExecutor(4) as pool:
        pairing = pool.submit(run_pair, one, three)
        signing = [pool.submit(run_sign, [one, two], bytes([i]) * 32) for i in range(12)]
        pairing.result()
        assert all(native.verify(ECDSA, one.public_key, bytes([i]) * 32, s.result()) for i, s in enumerate(signing))
    assert one.paired() == [2, 3]
    run_sign([one, three], bytes(32))


def test_ceremonies_move_between_threads(keys: Keys) -> None:
    shares = keys(MUSIG2, 3, 3)
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        ceremonies = {s.index: first.submit(native.sign, s, bytes(32), [1, 2, 3], bytes(32)).result() for s in shares}
        steps = {i: second.submit(ceremony.start).result() for i, ceremony in ceremonies.items()}
        inbox = {i: [(j, True, steps[j].outgoing[0][1]) for j in steps if j != i] for i in steps}
        assert all(first.submit(ceremonies[i].receive, inbox[i]).result().done for i in steps)


def test_one_ceremony_takes_one_call_at_a_time(keys: Keys) -> None:
    """Two threads that start one ceremony: one of them is told off, none computes with the other's nonce."""
    share = keys(ECDSA, 2, 3)[0]
    for _ in range(10):
        ceremony = native.sign(share, bytes(32), [1, 2], bytes(32))
        barrier = threading.Barrier(4)

        def start(ceremony: native.Ceremony = ceremony, barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            try:
                ceremony.start()
            except native.NativeError as error:
                return error.code
            return "started"

        with ThreadPoolExecutor(4) as pool:
            answers = [future.result() for future in [pool.submit(start) for _ in range(4)]]
        assert sorted(answers) == ["misuse", "misuse", "misuse", "started"]


def test_the_gil_is_released() -> None:
    """Another thread goes on while the DKG computes for most of a second in one call."""
    ticks, stop = 0, threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.001)

    ceremonies = [native.dkg(ECDSA, bytes(32), i, 2, 2) for i in (1, 2)]
    steps = [ceremony.start() for ceremony in ceremonies]
    inboxes = [[(2 - i, r == 0, p) for r, p in steps[1 - i].outgoing] for i in range(2)]
    steps = [ceremony.receive(inbox) for ceremony, inbox in zip(ceremonies, inboxes, strict=True)]
    inboxes = [[(2 - i, r == 0, p) for r, p in steps[1 - i].outgoing] for i in range(2)]
    thread = threading.Thread(target=tick)
    thread.start()
    begun = time.perf_counter()
    before = ticks
    ceremonies[0].receive(inboxes[0])
    during, took = ticks - before, time.perf_counter() - begun
    stop.set()
    thread.join()
    assert took > 0.05
    assert during > 5


def test_fresh_keys_in_many_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: run_dkg(ED25519, 2, 2)[0].public_key, range(16)))
    assert len(set(made)) == 16
