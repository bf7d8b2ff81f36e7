"""The link between a host and a signer on another machine: real TLS, real processes, and who may not take part."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.link import link as program
from strongroom_client.cluster.plan import PORT
from tests import accepting
from tests.infra.link import End, Links, certificate, wait
from tests.infra.parents_python import require_parents_python

NAMES = ("enclave-a", "enclave-b")
GREETING = b"CONNECT 5000\n"


@pytest.fixture(params=["this", "python3.9"])
def python(request: pytest.FixtureRequest) -> str:
    """This one, and the one of Amazon Linux 2023."""
    if request.param == "this":
        return sys.executable
    found = shutil.which("python3.9")
    if found is None or subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode != 0:
        pytest.skip("no python3.9 here")
    return found


class Echo:
    """A signer of hybrid vsock that says who it is, then everything back."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.callers: list[socket.socket] = []
        self.asked: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(128)
        accepting.serve(self._listener, self._answer)

    @property
    def address(self) -> str:
        return f"uds:{self.path}#{PORT}"

    def _answer(self, caller: socket.socket) -> None:
        self.callers.append(caller)
        with caller:
            try:
                self.asked.append(caller.recv(32))
                caller.sendall(b"OK 1\n" + self.name.encode())
                while data := caller.recv(1 << 16):
                    caller.sendall(data)
            except OSError:
                pass  # the test is over

    def close(self) -> None:
        accepting.end(self._listener, *self.callers)
        assert set(self.asked) <= {GREETING}


def exactly(caller: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        part = caller.recv(size - len(got))
        assert part, f"it ended after {len(got)} bytes"
        got += part
    return bytes(got)


def greeted(links: Links, name: str = "enclave-a") -> socket.socket:
    caller = links.call(name)
    caller.sendall(GREETING)
    assert exactly(caller, 5 + len(name)) == b"OK 1\n" + name.encode()
    return caller


def ended(caller: socket.socket) -> bool:
    try:
        return caller.recv(16) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def signers(tmp_path: Path) -> Iterator[dict[str, Echo]]:
    made = {name: Echo(tmp_path / f"{name}.signer", name) for name in NAMES}
    yield made
    for signer in made.values():
        signer.close()


@pytest.fixture
def links(tmp_path: Path) -> Iterator[Links]:
    links = Links(tmp_path / "links", NAMES)
    yield links
    links.stop()


# --- It carries ---


def test_bytes_arrive_as_they_are_at_the_signer_that_was_called(
    tmp_path: Path, signers: dict[str, Echo], python: str
) -> None:
    links = Links(tmp_path / "links", NAMES, python)
    try:
        for name in NAMES:
            links.dial(name, signers[name].address).said("linked to 127.0.0.1")
        data = os.urandom(3 << 20)  # more than what the sockets between hold
        for name in NAMES:
            with greeted(links, name) as caller:
                threading.Thread(target=caller.sendall, args=(data,), daemon=True).start()
                assert exactly(caller, len(data)) == data
        links.listen.said("enclave-a: linked; its certificate is good until ")
    finally:
        links.stop()


def _through(links: Links) -> bool:
    with links.call("enclave-a") as caller:
        try:
            caller.sendall(GREETING)
            return caller.recv(5) == b"OK 1\n"
        except OSError:
            return False


def test_an_end_is_told_to_the_other_side(links: Links, signers: dict[str, Echo]) -> None:
    links.dial("enclave-a", signers["enclave-a"].address)
    with greeted(links):
        pass
    [server] = signers["enclave-a"].callers
    wait(lambda: server.fileno() == -1, "the signer saw the caller's end")
    with greeted(links) as caller:
        signers["enclave-a"].callers[-1].shutdown(socket.SHUT_RDWR)
        assert ended(caller)


def test_more_callers_than_connections_in_wait(links: Links, signers: dict[str, Echo]) -> None:
    links.dial("enclave-a", signers["enclave-a"].address)
    callers = [greeted(links) for _ in range(program.MOST)]
    with links.call("enclave-a") as one_more:
        assert ended(one_more)
    callers.pop().close()
    wait(lambda: _through(links), "there is room again")
    for caller in callers:
        caller.close()


def test_each_end_may_start_first_and_start_again(links: Links, signers: dict[str, Echo]) -> None:
    end = links.dial("enclave-a", signers["enclave-a"].address)
    end.said("linked to")
    links.listen.stop()
    end.said("WARNING no link to 127.0.0.1")
    links.start_listen()
    end.said("linked to", 2)
    greeted(links).close()
    end.stop()
    links.listen.said("WARNING enclave-a: no link")
    links.dial("enclave-a", signers["enclave-a"].address)
    links.listen.said("enclave-a: linked", 2)
    greeted(links).close()


def test_a_signer_that_is_down_is_no_link_that_is_down(links: Links, signers: dict[str, Echo], tmp_path: Path) -> None:
    end = links.dial("enclave-a", f"uds:{tmp_path}/nobody#{PORT}")
    for _ in range(2 * program.IDLE):
        with links.call("enclave-a") as caller:
            caller.sendall(GREETING)
            assert ended(caller)
    end.said("the signer cannot be reached", 2 * program.IDLE)
    assert "no link" not in end.log.read_text()


def test_without_a_link_a_caller_is_sent_away_soon(links: Links) -> None:
    with links.call("enclave-a") as caller:
        caller.sendall(GREETING)
        caller.settimeout(10 * program.PATIENCE)
        assert ended(caller)


# --- Who may not take part ---


def test_a_stranger_is_no_signer(links: Links, signers: dict[str, Echo]) -> None:
    certificate(links.folder, "stranger")
    links.dial("stranger", signers["enclave-a"].address).said("no link to")
    links.listen.said("WARNING not a signer: ")
    assert "linked" not in links.listen.log.read_text()
    with links.call("enclave-a") as caller:
        assert ended(caller)


def test_a_signer_that_signs_another_certificate_has_no_second_name(links: Links, signers: dict[str, Echo]) -> None:
    """`openssl req -x509` makes authorities unless told not to, and a chain to a pinned one verifies."""
    own = links.folder / "enclave-b.crt"
    certificate(links.folder, "child", "-CA", str(own), "-CAkey", str(own.with_suffix(".key")))
    links.dial("child", signers["enclave-a"].address).said("no link to")
    assert "linked" not in links.listen.log.read_text()


def test_a_signer_takes_its_own_place_and_no_other(links: Links, signers: dict[str, Echo]) -> None:
    """The address that it dials for says nothing: enclave-b, dialling with its key, is enclave-b."""
    links.dial("enclave-b", signers["enclave-b"].address).said("linked to")
    with links.call("enclave-a") as caller:
        assert ended(caller)
    greeted(links, "enclave-b").close()


def test_a_host_that_is_another_is_told_nothing(links: Links, signers: dict[str, Echo]) -> None:
    end = links.dial("enclave-a", signers["enclave-a"].address, pin=certificate(links.folder, "other"))
    end.said("WARNING no link to")
    assert "CERTIFICATE_VERIFY_FAILED" in end.log.read_text()
    assert signers["enclave-a"].callers == []


@pytest.mark.parametrize(
    "words",
    [b"CONNECT 22\n", b"CONNECT 50000\n", b"connect 5000\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100_000, GREETING * 2],
    ids=["port", "longer", "case", "http", "zeros", "twice"],
)
def test_the_host_reaches_nothing_but_the_signers_port(links: Links, signers: dict[str, Echo], words: bytes) -> None:
    end = links.dial("enclave-a", signers["enclave-a"].address)
    with links.call("enclave-a") as caller:
        try:
            caller.sendall(words)
        except BrokenPipeError:
            pass
        assert ended(caller)
    end.said("which is not this signer's")
    greeted(links).close()
    assert len(signers["enclave-a"].callers) == 1


def test_a_signer_that_speaks_before_it_is_asked_is_cut_off(links: Links) -> None:
    context = _client(links, "enclave-a")
    with context.wrap_socket(socket.create_connection(("127.0.0.1", links.port), 20)) as talker:
        talker.sendall(b"OK 1\n")
        assert ended(talker)


def test_older_tls_is_not_spoken(links: Links) -> None:
    context = _client(links, "enclave-a")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", links.port), 20) as plain:
        context.wrap_socket(plain)


def test_silent_strangers_are_sent_away_and_signers_get_in(links: Links, signers: dict[str, Echo]) -> None:
    silent = [socket.create_connection(("127.0.0.1", links.port), 20) for _ in range(2 * program.HANDSHAKES)]
    links.dial("enclave-a", signers["enclave-a"].address).said("linked to")
    greeted(links).close()
    assert all(ended(each) for each in silent)
    for each in silent:
        each.close()


def test_connections_that_only_wait_are_bounded(links: Links) -> None:
    context = _client(links, "enclave-a")
    held = [
        context.wrap_socket(socket.create_connection(("127.0.0.1", links.port), 20)) for _ in range(program.WAITING + 3)
    ]
    assert [ended(each) for each in held[:3]] == [True] * 3
    for each in held:
        each.close()


def _client(links: Links, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(links.host)
    context.load_cert_chain(links.folder / f"{name}.crt", links.folder / f"{name}.key")
    return context


# --- Mistakes of operators ---


def _refusal(folder: Path, *arguments: str | Path) -> str:
    end = End(folder, *arguments)
    assert end.process.wait(20) == 1
    end.stop()
    return end.log.read_text().strip()


def test_what_does_not_fit_is_said_in_a_line(tmp_path: Path) -> None:
    host, other = certificate(tmp_path, "host"), certificate(tmp_path, "other")
    pins, sockets = tmp_path / "pins", tmp_path / "sockets"
    pins.mkdir()
    own = ("--certificate", host, "--key", host.with_suffix(".key"))
    listen = ("listen", "--address", "127.0.0.1:0", "--signers", pins, "--sockets", sockets)
    assert _refusal(tmp_path, *listen, *own) == f"link: {pins} holds no NAME.crt"
    (pins / "a.crt").write_bytes(other.read_bytes())
    (pins / "b.crt").write_bytes(other.read_bytes())
    assert _refusal(tmp_path, *listen, *own) == f"link: {pins}/b.crt is another signer's certificate too"
    (pins / "b.crt").write_bytes(other.read_bytes() + host.read_bytes())
    assert _refusal(tmp_path, *listen, *own) == f"link: {pins}/b.crt must hold one certificate in PEM"
    (pins / "b.crt").rename(pins / "B_.crt")
    assert _refusal(tmp_path, *listen, *own) == f"link: {pins}/B_.crt is not named as signers are"
    (pins / "B_.crt").unlink()
    assert "KEY_VALUES_MISMATCH" in _refusal(tmp_path, *listen, *own[:3], other.with_suffix(".key"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        there = ("--address", f"127.0.0.1:{taken.getsockname()[1]}")
        assert "Address already in use" in _refusal(tmp_path, *listen, *own, *there)
    sockets.mkdir(mode=0o755, exist_ok=True)
    sockets.chmod(0o755)
    assert _refusal(tmp_path, *listen, *own) == f"link: {sockets} must be its owner's alone: chmod 700"
    dial = ("dial", "--pin", other, *own)
    assert "an address is HOST:PORT, not h" in _refusal(tmp_path, *dial, "--host", "h", "--signer", "vsock:16:5000")
    for signer in ("vsock:x:5000", "uds:#5000", "tcp:1:2", "vsock:16"):
        assert "a signer's address is" in _refusal(tmp_path, *dial, "--host", "h:1", "--signer", signer)


def test_it_runs_on_the_parents_own_python() -> None:
    require_parents_python(Path(program.__file__))
