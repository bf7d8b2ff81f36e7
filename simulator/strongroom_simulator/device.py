"""A Nitro Security Module without its wire: requests in CBOR in, responses in CBOR out, registers that power-on resets.

Behaves as github.com/aws/aws-nitro-enclaves-nsm-api (src/api/mod.rs) and QEMU's hw/virtio/virtio-nsm.c: PCR0 to 15
are locked at boot, the others are zero and the enclave's to extend and lock; a document lists the locked ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

from strongroom.errors import Refusal
from strongroom.evidence.nitro import MAX_NONCE, MAX_PUBLIC_KEY, MAX_USER_DATA
from strongroom.wire import cbor
from strongroom_simulator.document import Document
from strongroom_simulator.measure import PCR_SIZE, extend
from strongroom_simulator.pki import Chain, Identity, issue_chain

MAX_PCRS: Final = 32
BOOT_PCRS: Final = 16
MAX_REQUEST: Final = 0x1000
LEAF_LIFE: Final = 3 * 3600
RANDOM: Final = 256


class NsmError(Exception):
    """One of the NSM's error codes, by its name."""


class Nsm:
    """One boot of one enclave. Not thread-safe: the wire serves one request at a time, as the device does.

    now: Unix seconds as a float. leaf_life: seconds; the leaf is renewed when a sixth of it is left.
    """

    def __init__(
        self,
        root: Identity,
        instance: str,
        registers: Mapping[int, bytes],
        now: Callable[[], float],
        *,
        leaf_life: int = LEAF_LIFE,
    ) -> None:
        self.module_id = f"{instance}-enc{os.urandom(8).hex()}"
        self._root = root
        self._now = now
        self._leaf_life = leaf_life
        self._pcrs = [registers.get(index, bytes(PCR_SIZE)) for index in range(MAX_PCRS)]
        self._locked = set(range(BOOT_PCRS))
        self._chain: Chain | None = None

    def answer(self, request: bytes) -> bytes:
        """Never raises: what is wrong with a request comes back as the NSM's error."""
        try:
            if len(request) > MAX_REQUEST:
                raise NsmError("InputTooLarge")
            return cbor.encode(self._dispatch(cbor.decode_foreign(request)))
        except NsmError as error:
            return cbor.encode({"Error": str(error)})
        except Refusal:
            return cbor.encode({"Error": "InvalidArgument"})

    def _dispatch(self, request: cbor.Foreign) -> cbor.Value:
        if request == "DescribeNSM":
            return {"DescribeNSM": self._describe()}
        if request == "GetRandom":
            return {"GetRandom": {"random": os.urandom(RANDOM)}}
        if not isinstance(request, dict) or len(request) != 1:
            raise NsmError("InvalidOperation")
        [(operation, arguments)] = request.items()
        handler = self._operations().get(str(operation))
        if handler is None:
            raise NsmError("InvalidOperation")
        if not isinstance(arguments, dict):
            raise NsmError("InvalidArgument")
        return handler(arguments)

    def _operations(self) -> Mapping[str, Callable[[dict[int | str, cbor.Foreign]], cbor.Value]]:
        return {
            "DescribePCR": self._describe_pcr,
            "ExtendPCR": self._extend_pcr,
            "LockPCR": self._lock_pcr,
            "LockPCRs": self._lock_pcrs,
            "Attestation": self._attest,
        }

    def _describe(self) -> dict[str, cbor.Value]:
        return {
            "version_major": 1,
            "version_minor": 0,
            "version_patch": 0,
            "module_id": self.module_id,
            "max_pcrs": MAX_PCRS,
            "locked_pcrs": sorted(self._locked),
            "digest": "SHA384",
        }

    def _describe_pcr(self, arguments: dict[int | str, cbor.Foreign]) -> cbor.Value:
        index = _index(arguments.get("index"), MAX_PCRS - 1)
        return {"DescribePCR": {"lock": index in self._locked, "data": self._pcrs[index]}}

    def _extend_pcr(self, arguments: dict[int | str, cbor.Foreign]) -> cbor.Value:
        index, data = _index(arguments.get("index"), MAX_PCRS - 1), arguments.get("data")
        if not isinstance(data, bytes):
            raise NsmError("InvalidArgument")
        self._writable(index)
        self._pcrs[index] = extend(self._pcrs[index], data)
        return {"ExtendPCR": {"data": self._pcrs[index]}}

    def _lock_pcr(self, arguments: dict[int | str, cbor.Foreign]) -> cbor.Value:
        index = _index(arguments.get("index"), MAX_PCRS - 1)
        self._writable(index)
        self._locked.add(index)
        return "LockPCR"

    def _lock_pcrs(self, arguments: dict[int | str, cbor.Foreign]) -> cbor.Value:
        self._locked.update(range(_index(arguments.get("range"), MAX_PCRS)))
        return "LockPCRs"

    def _writable(self, index: int) -> None:
        if index in self._locked:
            raise NsmError("ReadOnlyIndex")

    def _attest(self, arguments: dict[int | str, cbor.Foreign]) -> cbor.Value:
        user_data = _optional(arguments.get("user_data"), MAX_USER_DATA)
        nonce = _optional(arguments.get("nonce"), MAX_NONCE)
        public_key = _optional(arguments.get("public_key"), MAX_PUBLIC_KEY)
        now = self._now()
        chain = self._renewed(int(now))
        document = Document(
            module_id=self.module_id,
            timestamp=int(now * 1000),
            pcrs={index: self._pcrs[index] for index in sorted(self._locked)},
            certificate=chain.leaf.der,
            cabundle=chain.bundle,
            public_key=public_key,
            user_data=user_data,
            nonce=nonce,
        )
        return {"Attestation": {"document": document.sign(chain.leaf.key)}}

    def _renewed(self, now: int) -> Chain:
        # A clock that was set back leaves a leaf from the future: that too is renewed.
        chain = self._chain
        if chain is None or not self._leaf_life // 6 < chain.expires - now <= self._leaf_life:
            chain = self._chain = issue_chain(self._root, self.module_id, now, self._leaf_life)
        return chain


def _index(value: cbor.Foreign, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise NsmError("InvalidArgument")
    if not 0 <= value <= most:
        raise NsmError("InvalidIndex")
    return value


def _optional(value: cbor.Foreign, most: int) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, bytes):
        raise NsmError("InvalidArgument")
    if len(value) > most:
        raise NsmError("InputTooLarge")
    return value
