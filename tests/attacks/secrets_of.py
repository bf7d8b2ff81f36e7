"""What a test alone may know: the secrets of a cluster, opened with the simulated KMS's and SoftHSM's own keys; and
where to look for them."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.wallet.record import Record, sealing_context, share_aad
from strongroom_client.cluster.cluster import Cluster
from strongroom_client.cluster.process import environment
from strongroom_client.cluster.signers import soft_token
from strongroom_simulator.keystore import KeyStore

_NONCE, _SECRET = 12, 32

_OPEN_KEY: Final = """
import json, sys
from pathlib import Path
from strongroom.signer.configuration import Configuration
from strongroom_hsm.__main__ import _read_settings, _token
from strongroom_hsm.pin import FilePin
from strongroom_hsm.sealer import Pkcs11Sealer
from strongroom_hsm.token import Token

file = _read_settings(Path(sys.argv[1]))
settings = file.inner("token")
address, labels = _token(settings, Configuration.from_json(file.raw("attested")))
token = Token(address, FilePin(Path(settings.text("pin_file"))), labels.load)
key = Pkcs11Sealer(token).open_key(bytes.fromhex(sys.argv[2]), json.loads(sys.argv[3]))
print(bytes(key.expose()).hex())
token.close()
"""


@dataclass(frozen=True)
class Planted:
    """One signer's secrets of one wallet. share, data_key: 32 bytes."""

    signer: str
    share: bytes
    data_key: bytes


def planted(cluster: Cluster, raw: bytes) -> Planted:
    """raw: a sealed record."""
    record = Record.decode(raw)
    context = sealing_context(record.signer, record.wallet, record.epoch)
    plan = cluster.plan.signer(record.signer)
    if plan.kind == "enclave":
        key = KeyStore(cluster.plan.kms, cluster.plan.kms_keys).made(record.wrapped)
        assert key is not None
        data_key = key.unwrap(record.wrapped, context)
        assert data_key is not None
    else:
        command = [sys.executable, "-c", _OPEN_KEY, str(plan.config), record.wrapped.hex(), json.dumps(context)]
        variables = environment(soft_token(plan).variables)
        opened = subprocess.run(command, env=variables, capture_output=True, check=True, text=True)
        data_key = bytes.fromhex(opened.stdout)
    return Planted(record.signer, _share(record, data_key), data_key)


def _share(record: Record, data_key: bytes) -> bytes:
    """native/src/seal.rs: version, suite, nonce, ciphertext; the secret is the last of what is sealed."""
    start = 2 + record.share[1]
    head, nonce = record.share[:start], record.share[start : start + _NONCE]
    aad = share_aad(record.signer, record.wallet, record.epoch, record.order.order_id, record.transcript)
    content = AESGCM(data_key).decrypt(nonce, record.share[start + _NONCE :], head + aad)
    return content[-_SECRET:]


def guises(secret: bytes) -> dict[str, bytes]:
    """The forms in which bytes end up somewhere: as they are, back to front (as limbs), in hex, in base64."""
    found = {"raw": secret, "reversed": secret[::-1], "hex": secret.hex().encode()}
    found["HEX"] = found["hex"].upper()
    for shift in range(3):
        # Without the characters that depend on what stands before and behind.
        text = base64.b64encode(bytes(shift) + secret)
        found[f"base64+{shift}"] = text[4 if shift else 0 : len(text) // 4 * 4 - 4]
    found["decimal list"] = b", ".join(str(byte).encode() for byte in secret)
    return found


@dataclass(frozen=True)
class Trace:
    where: str
    guise: str


def look(where: str, content: bytes, secret: bytes) -> list[Trace]:
    return [Trace(where, guise) for guise, needle in guises(secret).items() if needle in content]


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()


def processes(leader: int) -> list[int]:
    """Those of the session that the cluster started under this process id, the dead that wait for nobody left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def open_files(pid: int) -> Iterator[tuple[str, bytes]]:
    """Regular files that a process has open, deleted ones too."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if link.is_file():
                yield f"{pid}: {link.readlink()}", link.read_bytes()
        except OSError:
            continue


def memory(pid: int) -> Iterator[tuple[str, bytes]]:
    """Whatever of a process's memory can be read. Raises PermissionError where it may not be looked at."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mem:
        for line in maps.splitlines():
            region = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if region is None or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(each, 16) for each in region.groups())
            try:
                mem.seek(start)
                yield f"{pid}: {line}", mem.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
