"""What the enclave's seams cost in memory: a laptop runs many signers, and an enclave's memory is bought in advance."""

from __future__ import annotations

import subprocess
import sys

from strongroom_simulator import pki
from tests.simulator.running import ARN, Laptop

LIMIT = 100 << 20

PROGRAM = """
import sys
from pathlib import Path
from strongroom.signer.configuration import Sealing
from strongroom_enclave import credentials
from strongroom_enclave.kms import KmsSealer
from strongroom_enclave.nsm import Nsm, SocketTransport

device, endpoint, authority, fingerprint, key = sys.argv[1:]
sealing = Sealing("kms", key, endpoint, bytes.fromhex(fingerprint))
nsm = Nsm(SocketTransport(Path(device)))
sealer = KmsSealer(sealing, nsm, credentials=credentials.simulated, authority=Path(authority).read_bytes())
for _ in range(5):
    key, wrapped = sealer.new_key({"signer": "alice"})
    sealer.open_key(wrapped, {"signer": "alice"})
resident = next(line for line in open("/proc/self/status") if line.startswith("VmRSS:"))
print(int(resident.split()[1]) << 10)
"""


def test_sealing_fits_beside_a_signer(laptop: Laptop) -> None:
    authority = pki.load(laptop.pki, pki.KMS_AUTHORITY)
    with laptop.serve_kms() as endpoint, laptop.serve_nsm() as device:
        arguments = [device, endpoint, laptop.pki / f"{pki.KMS_AUTHORITY}.pem", authority.fingerprint.hex(), ARN]
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)], check=True, capture_output=True, text=True
        )
    assert int(ran.stdout) < LIMIT, f"{int(ran.stdout) / 1e6:.1f} MB"
