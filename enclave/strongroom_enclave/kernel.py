"""What the first process asks of the kernel, and Python's library has no words for. x86_64 and aarch64 alike.

Each raises OSError. Sources: the kernel's uapi headers, named at each.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import socket
import struct
from pathlib import Path
from typing import Final

# linux/mount.h
READ_ONLY: Final = 1
NO_SUID: Final = 2
NO_DEVICES: Final = 4
NO_PROGRAMS: Final = 8
REMOUNT: Final = 32

_RNDADDENTROPY: Final = 0x40085203
"""_IOW('R', 0x03, int[2]), linux/random.h: struct rand_pool_info {int bits; int size; u32 buf[]}."""
_RNDRESEEDCRNG: Final = 0x5207
_GET_FLAGS, _SET_FLAGS = 0x8913, 0x8914
"""SIOCGIFFLAGS, SIOCSIFFLAGS, linux/sockios.h."""
_UP: Final = 1
_IFREQ: Final = struct.Struct("16sh14x")
"""linux/if.h: a name, and flags."""
_NO_NEW_PRIVILEGES: Final = 38
"""PR_SET_NO_NEW_PRIVS, linux/prctl.h."""
_RESTART: Final = 0x01234567
"""LINUX_REBOOT_CMD_RESTART, linux/reboot.h: what ends an enclave; it has no power button."""

_libc = ctypes.CDLL(None, use_errno=True)


def mount(kind: str, target: str, flags: int, options: str = "") -> None:
    _check(_libc.mount(kind.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()))


def add_randomness(seed: bytes, device: Path = Path("/dev/random")) -> None:
    """Mixes the seed into the kernel's pool, credits its bits, and has the generator draw from it at once."""
    descriptor = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _RNDADDENTROPY, struct.pack("=ii", len(seed) * 8, len(seed)) + seed)
        fcntl.ioctl(descriptor, _RNDRESEEDCRNG)
    finally:
        os.close(descriptor)


def loopback_up() -> None:
    """The kernel itself gives the interface 127.0.0.1 then."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_:
        _, flags = _IFREQ.unpack(fcntl.ioctl(any_, _GET_FLAGS, _IFREQ.pack(b"lo", 0)))
        fcntl.ioctl(any_, _SET_FLAGS, _IFREQ.pack(b"lo", flags | _UP))


def forbid_privileges() -> None:
    """No program that this one starts gains rights by being started, and none leaves a core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _check(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def restart() -> None:
    os.sync()
    _check(_libc.reboot(_RESTART))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
