"""The JSON of the API. Bytes are lower-case hexadecimal; amounts of wei are decimal strings; times are Unix seconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from strongroom.intent.intent import Kind

MOST_HEX = 2 << 20

Hex = Annotated[str, Field(pattern=r"^(?:[0-9a-f]{2})*$", max_length=MOST_HEX)]
Hex16 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$")]
Wei = Annotated[str, Field(pattern=r"^(?:0|[1-9][0-9]{0,77})$")]


class Asked(BaseModel):
    """What clients send: exact types, no unknown members."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignerPath(Asked):
    name: Name


class WalletPath(Asked):
    wallet: Hex32


class RequestPath(Asked):
    request: Hex16


class NewWallet(Asked):
    order: Hex = Field(description="The signed order, docs/specification.md section 4.")


class Nonce(Asked):
    nonce: Hex32 = Field(description="32 bytes that the asker drew just now.")


class NewTransaction(Asked):
    to: str = Field(max_length=42, description="An address, with its EIP-55 checksum or all in lower case.")
    value: Wei
    data: Hex = ""
    chain_id: int | None = Field(default=None, ge=1, description="Needed where the policy allows several chains.")


class NewRequest(Asked):
    intent: Hex = Field(description="The intent's bytes, docs/specification.md section 6.")
    signature: Hex64 = Field(description="The requester's Ed25519 signature of the intent.")
    signers: list[Name] | None = Field(
        default=None, max_length=9, description="The set to try first; others replace it when it fails."
    )
    proofs: list[Hex] | None = Field(
        default=None, max_length=32, description="That recipients are on lists which the policy keeps as a root."
    )


class Nothing(Asked):
    """An empty object."""


class Labels(Answer):
    sealed_by: str
    computes_in: str
    code_attested_by: str
    operator: str
    account: str
    region: str
    machine: str


class Suite(Answer):
    suite: str
    library: str
    version: str
    auditor: str
    randomness: str


class Signer(Answer):
    """reachable: false where only what is configured is known. labels: of the newest order that names it."""

    name: Name
    address: str
    reachable: bool
    phase: str
    reason: str | None
    mode: str | None = None
    root: str | None = None
    boot: str | None = None
    clock: int | None = None
    configuration: str | None = None
    public_key: str | None = None
    inflight: int | None = None
    suites: list[Suite] = []
    wallets: list[dict[str, Any]] = []
    labels: Labels | None = None


class Signers(Answer):
    signers: list[Signer]


class Evidence(Answer):
    signer: Name
    document: Hex
    root: str


class Member(Answer):
    name: Name
    root: Literal["nitro", "pkcs11"]
    trust: Hex32
    measurements: dict[str, Hex]
    labels: Labels


class Wallet(Answer):
    """wallet, public_key, address: null before the DKG. What counts is the certificate, not this."""

    wallet: Hex32 | None
    order: Hex32
    phase: Literal["ordered", "dealt", "certified"]
    mode: Literal["production", "simulated"]
    scheme: str
    threshold: int
    epoch: int
    public_key: Hex | None
    address: str | None
    signers: list[Member]


class Wallets(Answer):
    wallets: list[Wallet]


class Certificate(Answer):
    certificate: Hex


class Attestation(Answer):
    signer: Name
    document: Hex
    root: str


class Attestations(Answer):
    attestations: list[Attestation]
    refusals: list[dict[str, Any]]


class NewDirective(Asked):
    directive: Hex = Field(description="What officers signed, docs/specification.md section 5.")


class Waiting(Answer):
    version: int
    policy: Hex32
    since: int


class Acknowledgement(Answer):
    """How the wallet stands in one signer's eyes, by this host's word: evidence comes with `standings`."""

    signer: Name
    version: int
    policy: Hex32
    newest: int
    waiting: list[Waiting]
    leased: int
    frozen: bool
    officers: Hex32
    release: int
    arriving: int | None


class Acknowledgements(Answer):
    acknowledged: list[Acknowledgement]
    refusals: list[dict[str, Any]]


class Directives(Answer):
    directives: list[Hex]


class Standing(Answer):
    """standing: the bytes that the document is bound to."""

    signer: Name
    standing: Hex
    document: Hex
    root: str


class Standings(Answer):
    standings: list[Standing]
    refusals: list[dict[str, Any]]


class JournalHead(Answer):
    """digest: of the set of what it remembers. sequence: of the block that comes next. waived: until when (Unix
    seconds) it goes on by a waiver, null where it does not."""

    joined: bool
    incarnation: int
    digest: Hex32
    entries: int
    sequence: int
    waived: int | None


class Journal(Answer):
    """boot: of the start of its signer, null where it does not answer. journal: null too before it was opened."""

    name: Name
    role: Literal["signer", "witness"]
    reachable: bool
    reason: str | None
    boot: Hex16 | None
    journal: JournalHead | None


class Waiver(Answer):
    """expiry: Unix seconds."""

    names: list[Name]
    expiry: int


class Journals(Answer):
    """acknowledgements: w, how many must; heard: how many joined others one must hear that was restarted. waiver: the
    one in force."""

    journals: list[Journal]
    threshold: int
    acknowledgements: int
    heard: int
    waiver: Waiver | None


class NewWaiver(Asked):
    waiver: Hex = Field(description="What officers signed, docs/specification.md section 14.")


class Waived(Answer):
    acknowledged: list[Name]
    refusals: list[dict[str, Any]]


class Successor(Answer):
    """code, detail: why it has not taken over, where somebody refused."""

    signer: Name
    state: Literal["not handed over", "copied", "taken over"]
    code: str | None
    detail: str | None


class Release(Answer):
    """How far a wallet's next release has come, by this host's word: evidence comes with `standings`."""

    number: int
    release: Hex32
    active: bool
    signers: list[Successor]


class Prepared(Answer):
    """payload: the unsigned EIP-1559 bytes that the others describe."""

    payload: Hex
    chain_id: int
    nonce: int
    to: str
    value: Wei
    data: Hex
    gas_limit: int
    max_fee: Wei
    max_priority_fee: Wei
    fee_ceiling: Wei


class Transaction(Answer):
    """hash: as the chain's tools write it. chain_id, nonce: of EVM alone; block and what follows: where this host has a
    node of the chain. A transaction of another chain is handed back, for whoever asked to broadcast."""

    hash: str
    raw: Hex
    chain_id: int | None
    nonce: int | None
    block: int | None
    confirmations: int
    status: Literal["succeeded", "reverted"] | None


class Event(Answer):
    """at: Unix milliseconds."""

    state: str
    at: int
    reason: str | None


class NewApproval(Asked):
    approval: Hex = Field(description="An approval's or a rejection's bytes, docs/specification.md section 13.")


class Approval(Answer):
    """at: Unix milliseconds."""

    approver: Name
    decision: Literal["approve", "reject"]
    approval: Hex
    at: int


class Request(Answer):
    """approvals, proofs, missing, replaced_by: null in lists. missing: a sentence for each demand that a request waits
    for while it is pending. replaces: the request whose place it takes; replaced_by: those that say so of it."""

    request: Hex16
    wallet: Hex32
    kind: Kind
    state: Literal[
        "received",
        "pending",
        "judged",
        "signing",
        "unknown",
        "signed",
        "broadcast",
        "included",
        "confirmed",
        "replaced",
        "refused",
        "failed",
        "expired",
    ]
    replaces: Hex16 | None
    replaced_by: list[Hex16] | None
    intent: Hex
    intent_signature: Hex64
    approvals: list[Approval] | None
    proofs: list[Hex] | None
    missing: list[str] | None
    signers: list[Name]
    attempt: int
    signatures: list[Hex] = Field(description="One for each message, in their order, as the scheme makes them.")
    result: Hex | None = Field(
        description="The finished thing: a transaction with its signatures, or what verifiers of the text take."
    )
    transaction: Transaction | None
    error: dict[str, Any] | None
    history: list[Event]


class Requests(Answer):
    requests: list[Request]


class Health(Answer):
    status: Literal["ok"]
    version: str
    mode: str | None


class SignerRefusal(Answer):
    signer: str
    code: str
    detail: str
    culprits: list[str]
    verdict: str | None


class Problem(BaseModel):
    """RFC 9457. code: stable, of docs/errors. refusals: each signer's own words, where several were asked."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str
    retryable: bool
    culprits: list[str]
    verdict: Literal["proof", "accusation", "unattributed", "link"] | None
    proof: Hex | None = None
    request: Hex16 | None = None
    refusals: list[SignerRefusal] | None = None
