"""Boots an enclave image in QEMU's `nitro-enclave` machine: `strongroom-simulator enclave`.

QEMU emulates the machine, its NSM measures the image, the notary signs for it, the vsock device connects it, and the
parent does what an instance does. All of it ends with this process, and this process with QEMU.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strongroom_simulator.notary import Notary, serve
from strongroom_simulator.parent import CONFIGURATION_PORT, CREDENTIALS_PORT, KMS_PORT, Parent
from strongroom_simulator.pki import NITRO_ROOT, load
from strongroom_simulator.programs import announce, end_on_sigterm
from strongroom_simulator.vsock.device import Device

_log = logging.getLogger(__name__)

CID: Final = 16
"""The enclave's, as its own vsock device says. Every one has a device of its own, so all may have the same."""
PAUSE: Final = 0.05
_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG (prctl(2))."""


@dataclass(frozen=True)
class Machine:
    """qemu: the folder that `make qemu` fills. path: of the vsock device, see its package. memory: MiB.

    notary: whether documents are signed; without, they are QEMU's own, which nobody may accept.
    """

    qemu: Path
    image: Path
    path: Path
    instance: str
    role: str
    pki: Path
    memory: int = 256
    cpus: int = 1
    notary: bool = True

    @property
    def control(self) -> Path:
        return self.path.with_name(self.path.name + ".vhost")

    @property
    def notary_socket(self) -> Path:
        return self.path.with_name(self.path.name + ".notary")

    def _tsc_rate(self) -> int:
        """Thousands a second."""
        said = subprocess.run([self.qemu / "tsc-khz"], check=True, capture_output=True).stdout
        return int(said)

    def command(self) -> list[str]:
        identity = f"id={self.instance}-enc0000000000000001,parent-role={self.role},parent-id={self.instance}"
        command = [
            str(self.qemu / "qemu-system-x86_64"),
            "-L",
            str(self.qemu),
            "-M",
            f"nitro-enclave,vsock=vsock,{identity}",
        ]
        command += ["-chardev", f"socket,id=vsock,path={self.control}"]
        # Every instruction is translated: slower than KVM, the same to the enclave, and the same on every machine.
        command += ["-accel", "tcg", "-cpu", "max", "-m", f"{self.memory}M", "-smp", str(self.cpus)]
        command += ["-kernel", str(self.image), "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]
        # The time stamp counter's rate, which the kernel cannot find out by this machine's timer; see tsc-khz.c. In no
        # register, as the devices' names are in none, which QEMU adds to the command line too.
        command += ["-append", f"tsc=reliable tsc_early_khz={self._tsc_rate()}"]
        if self.notary:
            command += ["-global", f"virtio-nsm-device.signer={self.notary_socket}"]
        return command


@dataclass
class Running:
    """A machine that was switched on, and what is around it."""

    machine: Machine
    parent: Parent
    child: subprocess.Popen[bytes]
    listener: socket.socket | None = field(default=None, repr=False)

    def booted(self, within: float) -> bool:
        """Waits for the heartbeat. False where QEMU ends, or time is up."""
        deadline = time.monotonic() + within
        while self.child.poll() is None and time.monotonic() < deadline:
            if self.parent.heard.wait(PAUSE):
                return True
        return False

    def reachable(self, port: int, within: float) -> bool:
        """Waits until a program in the enclave takes calls at this port. False where QEMU ends, or time is up."""
        deadline = time.monotonic() + within
        while self.child.poll() is None and time.monotonic() < deadline:
            if _calls(self.machine.path, port):
                return True
            time.sleep(PAUSE)
        return False

    def stop(self) -> None:
        self.child.kill()
        self.child.wait()
        self.parent.close()
        if self.listener is not None:
            self.listener.close()


def boot(machine: Machine, console: int | None = None) -> Running:
    """Switches it on. console: a descriptor for what the kernel writes; None: this process's standard error."""
    parent = Parent(machine.path)
    device = Device(machine.control, machine.path, CID)
    threading.Thread(target=device.serve, name="vsock", daemon=True).start()
    listener = _notary(machine) if machine.notary else None
    child = subprocess.Popen(
        machine.command(),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if console is None else console,
        stderr=sys.stderr,
        preexec_fn=_end_with_parent,  # one call of libc's, which was loaded before
    )
    return Running(machine, parent, child, listener)


def _notary(machine: Machine) -> socket.socket:
    machine.notary_socket.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(machine.notary_socket))
    machine.notary_socket.chmod(0o600)
    listener.listen()
    notary = Notary(load(machine.pki, NITRO_ROOT))
    threading.Thread(target=serve, args=(listener, notary), name="notary", daemon=True).start()
    return listener


_LIBC: Final = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """An enclave whose simulator was killed is gone too."""
    _LIBC.prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _calls(path: Path, port: int) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(10)
        try:
            caller.connect(str(path))
            caller.sendall(b"CONNECT %d\n" % port)
            return caller.recv(3) == b"OK "
        except OSError:
            return False


def run(arguments: argparse.Namespace) -> None:
    """Until SIGTERM, or until the enclave ends, which is a failure."""
    machine = Machine(
        arguments.qemu, arguments.image, arguments.socket, arguments.instance, arguments.role, arguments.pki,
        arguments.memory, arguments.cpus, notary=not arguments.unsigned,
    )  # fmt: skip
    end_on_sigterm()
    running = boot(machine)
    try:
        running.parent.hand(CONFIGURATION_PORT, arguments.config)
        running.parent.hand(CREDENTIALS_PORT, arguments.credentials)
        host, _, port = arguments.kms.rpartition(":")
        running.parent.forward(KMS_PORT, (host, int(port)))
        if not running.booted(arguments.within) or not running.reachable(arguments.port, arguments.within):
            raise SystemExit("the enclave is not ready; its console is above")
        announce(str(arguments.socket))
        raise SystemExit(f"the enclave has ended: QEMU's status is {running.child.wait()}")
    finally:
        running.stop()
