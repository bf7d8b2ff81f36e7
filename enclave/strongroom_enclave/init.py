"""The first process of the enclave: it prepares the machine, starts two programs, and ends the enclave with either.

In this order: mounts; the kernel's generator is seeded, and its clock set, from the NSM; loopback; the heartbeat that
nitro-cli waits for; the configuration, which the parent hands in; the forwarder to KMS; the signer. Nothing is started
again: a signer that ends says why, and the host boots the enclave anew, whose memory is then a new one.

docs/adr/0017 says why this is Python.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from strongroom.errors import Refusal
from strongroom.evidence.nitro import unverified_timestamp
from strongroom.signer.configuration import Configuration
from strongroom_enclave import kernel, parent
from strongroom_enclave.endpoint import Endpoint, endpoint
from strongroom_enclave.nsm import DeviceTransport, Nsm
from strongroom_enclave.tail import Tail

SIGNER_PORT: Final = 5000
SIGNER_USER: Final = 1000
FORWARDER_USER: Final = 1001
"""Numbers without names: there is no /etc/passwd."""

SEED: Final = 256
"""Bytes from the NSM into the kernel's pool at boot, and again at each setting of the clock."""
CLOCK_EVERY: Final = 600.0
"""Seconds. KMS takes no request whose time is five minutes off, and judges its own by the same NSM's."""
MAX_CONFIGURATION: Final = 64 << 10
HEARTBEATS: Final = 20
PAUSE: Final = 0.5
RUN: Final = Path("/run/strongroom")
DEVICE: Final = Path("/dev/nsm")
HOSTS: Final = Path("/run/hosts")

_HIDDEN: Final = kernel.NO_SUID | kernel.NO_DEVICES | kernel.NO_PROGRAMS
MOUNTS: Final = (
    ("devtmpfs", "/dev", kernel.NO_SUID | kernel.NO_PROGRAMS, "mode=0755"),
    ("proc", "/proc", _HIDDEN, "hidepid=2"),
    ("tmpfs", "/run", _HIDDEN, "mode=0755,size=1m"),
    ("tmpfs", "/tmp", _HIDDEN, "mode=1777,size=4m"),  # noqa: S108 -- the enclave's own
)


def main() -> NoReturn:
    tail = Tail(sys.stderr)
    try:
        tail.say(_run(tail))
    except (OSError, Refusal) as error:
        tail.say(f"init: {error}")
    except BaseException as error:
        tail.say(f"init: {type(error).__name__}: {error}")
    finally:
        _last_words(tail)
        kernel.restart()
    raise SystemExit(1)  # the kernel panics, and ends the enclave too


def _run(tail: Tail) -> str:
    prepare()
    nsm = Nsm(DeviceTransport(DEVICE))
    kernel.add_randomness(nsm.random(SEED))
    set_clock(nsm, tail.say)
    kernel.loopback_up()
    tail.say("init: booted" if beat(parent.beat) else "init: nobody answers the heartbeat")
    given = Given.parse(wait_for_configuration(tail.say))
    forwarder = start_forwarder(given.endpoint)
    signer = start_signer(given, tail)
    threading.Thread(target=_keep_time, args=(nsm, tail.say), daemon=True).start()
    return reap({forwarder.pid: "the forwarder", signer.pid: "the signer"}, tail)


# --- The machine ---


def prepare() -> None:
    kernel.forbid_privileges()
    for kind, target, flags, options in MOUNTS:
        kernel.mount(kind, target, flags, options)
    kernel.mount("none", "/", kernel.REMOUNT | kernel.READ_ONLY)
    os.chown(DEVICE, SIGNER_USER, SIGNER_USER)
    DEVICE.chmod(0o600)
    RUN.mkdir(mode=0o755)


def set_clock(nsm: Nsm, say: Callable[[str], None]) -> None:
    """The host's word for the time would let it choose which of KMS's certificates still hold."""
    try:
        time.clock_settime(time.CLOCK_REALTIME, unverified_timestamp(nsm.attest()))
    except (OSError, Refusal) as error:
        say(f"init: the clock stays as the host set it: {error}")


def _keep_time(nsm: Nsm, say: Callable[[str], None]) -> None:
    while True:
        time.sleep(CLOCK_EVERY)
        set_clock(nsm, say)
        try:
            kernel.add_randomness(nsm.random(SEED))
        except (OSError, Refusal) as error:
            say(f"init: no randomness from the NSM: {error}")


def beat(send: Callable[[], None], sleep: Callable[[float], object] = time.sleep) -> bool:
    """Whether somebody answered, of `HEARTBEATS` tries. Where nobody does, nitro-cli ends the enclave by itself."""
    for _ in range(HEARTBEATS):
        try:
            send()
        except OSError:
            sleep(PAUSE)
        else:
            return True
    return False


# --- What the parent hands in ---


class Given:
    """The parent's document: {"attested": …, "authority": PEM or absent}. What else it holds is not looked at, so that
    nothing outside PCR16 configures the signer."""

    def __init__(self, attested: Mapping[str, Any], authority: str | None) -> None:
        self.attested = attested
        self.authority = authority
        self.endpoint = endpoint(Configuration.from_json(attested).sealing)

    @classmethod
    def parse(cls, document: bytes) -> Given:
        """Raises Refusal `bad_configuration`."""
        try:
            fields = json.loads(document)
            attested, authority = fields["attested"], fields.get("authority")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Refusal("bad_configuration", f"the parent's document is no configuration: {error!r}"[:200]) from None
        if authority is not None and not isinstance(authority, str):
            raise Refusal("bad_configuration", "the parent's document: authority is no text")
        return cls(attested, authority)

    def write(self, folder: Path) -> Path:
        """The signer's own file, in which every path and port is this image's."""
        kms: dict[str, Any] = {"credentials_port": parent.CREDENTIALS_PORT}
        if self.authority is not None:
            (folder / "authority.pem").write_text(self.authority)
            kms["authority_file"] = str(folder / "authority.pem")
        path = folder / "signer.json"
        path.write_text(json.dumps({"attested": self.attested, "listen": {"port": SIGNER_PORT}, "kms": kms}))
        return path


def wait_for_configuration(
    say: Callable[[str], None],
    connect: parent.Connect = parent.vsock,
    sleep: Callable[[float], object] = time.sleep,
) -> bytes:
    """For as long as it takes: an enclave without one does nothing, and costs nobody anything."""
    said = ""
    while True:
        try:
            return parent.ask(parent.CONFIGURATION_PORT, MAX_CONFIGURATION, connect)
        except OSError as error:
            if str(error) != said:
                said = str(error)
                say(f"init: no configuration from the parent yet: {said}")
            sleep(PAUSE)


# --- The two programs ---


def start_forwarder(kms: Endpoint) -> subprocess.Popen[bytes]:
    """Binds before the user changes, since KMS is at a port below 1024."""
    HOSTS.write_text(f"127.0.0.1 localhost {kms.host}\n")
    with socket.create_server(("127.0.0.1", kms.port), backlog=16) as listener:
        number = listener.fileno()
        return _start(["forwarder", str(number)], FORWARDER_USER, pass_fds=(number,))


def start_signer(given: Given, tail: Tail) -> subprocess.Popen[bytes]:
    config = given.write(RUN)
    signer = _start(["run", "--config", str(config)], SIGNER_USER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    tail.follow(signer.stdout)
    return signer


def _start(arguments: list[str], user: int, **options: Any) -> subprocess.Popen[bytes]:
    module = "strongroom_enclave" if arguments[0] == "run" else f"strongroom_enclave.{arguments.pop(0)}"
    return subprocess.Popen(
        [sys.executable, "-I", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        user=user,
        group=user,
        extra_groups=[],
        env={"HOME": "/tmp", "LC_ALL": "C.UTF-8", "AWS_EC2_METADATA_DISABLED": "true"},  # noqa: S108
        **options,
    )


def reap(programs: Mapping[int, str], tail: Tail, wait: Callable[[int, int], tuple[int, int]] = os.waitpid) -> str:
    """Until one of the programs ends; orphans, which only the first process can reap, come and go. Says how it was."""
    while True:
        ended, status = wait(-1, 0)
        if ended in programs:
            tail.settle()
            code = os.waitstatus_to_exitcode(status)
            how = f"with status {code}" if code >= 0 else f"by signal {-code}"
            return f"init: {programs[ended]} ended {how}, and so does the enclave"


def _last_words(tail: Tail) -> None:
    try:
        parent.tell(parent.LAST_WORDS_PORT, tail.words())
    except OSError:
        pass
