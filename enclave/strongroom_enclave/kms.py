"""Seals under AWS KMS, which gives a data key to this measurement alone (the seam `strongroom.signer.seams.Sealer`).

The host carries every byte between here and KMS, and the answer's envelope is encrypted to a public key that the host
sees in the attestation document. So it could make an envelope of its own, around a key that it knows. What stops it:

- TLS to KMS ends in this process: the host sees and changes nothing of the answers;
- the key's ARN is pinned in the attested configuration, is in every request, and is compared with every answer: a host
  that may name the key may know the key;
- the encryption context is part of what KMS authenticates: a blob of another signer, wallet or epoch does not open.

botocore is used without boto3's layer above it, which costs memory and adds nothing to two calls.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, SSLError
from botocore.httpsession import get_cert_path
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.errors import Refusal
from strongroom.signer.configuration import Sealing
from strongroom.signer.seams import Context, DataKey
from strongroom_enclave.cms import RecipientKey
from strongroom_enclave.credentials import Credentials, Source
from strongroom_enclave.keypolicy import KeyFacts
from strongroom_enclave.nsm import Nsm

CONNECT_TIMEOUT: Final = 3.0
READ_TIMEOUT: Final = 5.0
ATTEMPTS: Final = 3
"""Seconds, seconds, and requests in all: a KMS that stays mute costs a signer some 20 seconds."""

MAX_WRAPPED: Final = 6144
"""Bytes of a CiphertextBlob, as the API's reference has it; botocore does not check."""

_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")

# botocore's (name in a file, name in the environment, default, conversion): no profile and no file of the host's.
_NO_PROFILE: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}

_MISMATCH: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_CREDENTIALS: Final = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""What the host handed over is stale or wrong, or it set the enclave's system clock, by which requests are signed."""
_TRANSIENT: Final = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "LimitExceededException",
        "DependencyTimeoutException",
        "KMSInternalException",
        "KeyUnavailableException",
        "ServiceUnavailable",
        "InternalFailure",
    }
)


class KmsSealer:
    """Thread-safe. The client is made at the first call, and again when the credentials change.

    sealing: of the attested configuration; kind `kms`.
    authority: PEM of the one certificate that the endpoint's TLS must lead to, in mode `simulated` alone; the host
        hands it over, the configuration pins it.
    """

    def __init__(
        self,
        sealing: Sealing,
        nsm: Nsm,
        *,
        credentials: Source,
        authority: bytes | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        attempts: int = ATTEMPTS,
    ) -> None:
        region = _ARN.fullmatch(sealing.key)
        if sealing.kind != "kms" or region is None:
            raise Refusal("bad_configuration", "sealing.key is not the ARN of a KMS key")
        self._sealing = sealing
        self._region = region[1]
        self._nsm = nsm
        self._recipient = RecipientKey()
        self._credentials = credentials
        pinned = _pinned_authority(sealing, authority)
        # The image's own list of authorities, not one that the environment names.
        self._authorities = get_cert_path(True) if pinned is None else str(_private_copy(pinned, self))
        self._config = Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=4,
            # Nothing in the environment may choose where requests go.
            ignore_configured_endpoint_urls=True,
            proxies={},
        )
        self._lock = threading.Lock()
        self._client: tuple[Credentials, Any] | None = None

    def new_key(self, context: Context) -> tuple[DataKey, bytes]:
        answer = self._call("generate_data_key", context, KeySpec="AES_256")
        wrapped = answer.get("CiphertextBlob")
        if not isinstance(wrapped, bytes) or not wrapped:
            raise Refusal("sealer_refused", "KMS answered without a ciphertext of the data key")
        return self._take(answer), wrapped

    def open_key(self, wrapped: bytes, context: Context) -> DataKey:
        if not 1 <= len(wrapped) <= MAX_WRAPPED:
            raise Refusal("sealed_mismatch", f"KMS never made a blob of {len(wrapped)} bytes")
        return self._take(self._call("decrypt", context, CiphertextBlob=wrapped))

    def _take(self, answer: Mapping[str, Any]) -> DataKey:
        if answer.get("KeyId") != self._sealing.key:
            raise Refusal("sealer_refused", "the answer comes from another key than the configuration pins")
        envelope = answer.get("CiphertextForRecipient")
        if answer.get("Plaintext") or not isinstance(envelope, bytes):
            raise Refusal("sealer_refused", "KMS did not encrypt the data key to this enclave alone")
        return DataKey.take(self._recipient.open(envelope))

    def facts(self) -> KeyFacts:
        """What KMS says of the pinned key, over this enclave's own TLS. Raises Refusal as the calls above."""
        policy = self._ask("get_key_policy", PolicyName="default").get("Policy")
        grants, metadata = self._ask("list_grants", Limit=1).get("Grants"), self._ask("describe_key").get("KeyMetadata")
        if not isinstance(policy, str) or not isinstance(grants, list) or not isinstance(metadata, dict):
            raise Refusal("sealer_refused", "KMS answered without the key's policy, grants or metadata")
        return KeyFacts(policy, len(grants), metadata)

    def _call(self, operation: str, context: Context, **parameters: object) -> dict[str, Any]:
        # A fresh document each time: KMS takes none that is older than five minutes.
        recipient = {
            "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
            "AttestationDocument": self._nsm.attest(public_key=self._recipient.public),
        }
        return self._ask(operation, EncryptionContext=dict(context), Recipient=recipient, **parameters)

    def _ask(self, operation: str, **parameters: object) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._connected(), operation)(KeyId=self._sealing.key, **parameters)
        except ClientError as error:
            raise _refusal(error) from error
        except SSLError as error:
            raise Refusal("sealer_refused", f"the endpoint is not KMS, by its certificate: {_short(error)}") from error
        except BotoCoreError as error:
            raise Refusal("sealer_unavailable", f"KMS is out of reach: {_short(error)}") from error
        return answer

    def _connected(self) -> Any:
        credentials = self._credentials()
        with self._lock:
            if self._client is None or self._client[0] != credentials:
                self._client = (credentials, self._connect(credentials))
            return self._client[1]

    def _connect(self, credentials: Credentials) -> Any:
        return botocore.session.Session(session_vars=_NO_PROFILE).create_client(
            "kms",
            region_name=self._region,
            endpoint_url=self._sealing.endpoint,
            verify=self._authorities,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.session_token,
            config=self._config,
        )


def _pinned_authority(sealing: Sealing, authority: bytes | None) -> bytes | None:
    """The PEM that the endpoint's TLS must lead to; None for AWS itself."""
    if sealing.endpoint is None and sealing.authority is None:
        return None
    if sealing.endpoint is None or not sealing.endpoint.startswith("https://") or authority is None:
        raise Refusal("bad_configuration", "a simulated KMS takes an https endpoint and its authority's certificate")
    try:
        [certificate] = x509.load_pem_x509_certificates(authority)
    except ValueError as error:
        raise Refusal("bad_configuration", "the authority of the simulated KMS is not one PEM certificate") from error
    if hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest() != sealing.authority:
        raise Refusal("bad_configuration", "the authority of the simulated KMS is not the one that is pinned")
    return certificate.public_bytes(Encoding.PEM)


def _private_copy(content: bytes, owner: object) -> Path:
    """botocore takes a path, and the host's own file could change after it was checked. Gone with its owner."""
    descriptor, name = tempfile.mkstemp(prefix="strongroom-", suffix=".pem")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    weakref.finalize(owner, Path(name).unlink, missing_ok=True)
    return Path(name)


def _refusal(error: ClientError) -> Refusal:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _MISMATCH:
        return Refusal("sealed_mismatch", f"KMS does not open this blob for this signer, wallet and epoch: {code}")
    if code in _CREDENTIALS:
        return Refusal("sealer_unavailable", f"KMS does not take the credentials that the host handed over: {code}")
    if code in _TRANSIENT or status >= 500:
        return Refusal("sealer_unavailable", f"KMS cannot answer now: {code}")
    return Refusal("sealer_refused", f"KMS refuses: {_short(error)}")


def _short(error: Exception) -> str:
    return str(error)[:200]
