"""Every refusal has a stable code, a sentence that says why, and a sentence that says what to do.

The codes are one table: the signer, the API, the command line and the operator's book share it. A code is never
renamed and never reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["malformed", "refused", "missing", "conflict", "busy", "fault", "unavailable", "internal"]
Verdict = Literal["proof", "accusation", "unattributed", "link"]


@dataclass(frozen=True)
class Code:
    """kind: what class of answer it is (the host maps it to an HTTP status). remedy: what the reader should do."""

    kind: Kind
    remedy: str

    @property
    def retryable(self) -> bool:
        return self.kind in ("busy", "unavailable")


CODES: Final[dict[str, Code]] = {
    # Bytes
    "malformed_cbor": Code("malformed", "Send deterministic CBOR (RFC 8949 section 4.2.1) without tags or floats."),
    "malformed_message": Code("malformed", "Compare the message with docs/specification.md, field by field."),
    "malformed_frame": Code("malformed", "Send a four-byte big-endian length and that many bytes."),
    "oversized_frame": Code("malformed", "Keep every frame within the limit of docs/specification.md."),
    "oversized_message": Code("malformed", "Keep every message within the limit of docs/specification.md."),
    "unknown_request": Code("malformed", "Use a request that docs/specification.md names, in this version."),
    # Configuration and phases
    "bad_configuration": Code("malformed", "Correct the configuration file and start the program again."),
    "wrong_phase": Code(
        "conflict", "Look at the signer's phase in `strongroom signer list`, then do the steps in order."
    ),
    "mode_mismatch": Code("refused", "Use signers, roots and tools of one mode; simulated and production never mix."),
    # Orders, rosters, certificates
    "bad_order": Code("refused", "Have the officers sign a corrected order."),
    "order_not_signed": Code("refused", "Collect signatures of the officers' quorum over this very order."),
    "not_in_roster": Code("refused", "Ask a signer that the order's roster names."),
    "unknown_order": Code("missing", "Send the order to this signer first, or load the wallet's sealed state."),
    "unknown_wallet": Code("missing", "Create the wallet, or load its sealed state into this signer."),
    "order_limit": Code(
        "refused", "Restart the signer: it forgets orders that made no wallet, and the host loads the others again."
    ),
    "wallet_exists": Code("conflict", "Use the wallet that this order already made."),
    "wallet_stopped": Code("conflict", "Too many ceremonies in a row failed without a culprit; officers must look."),
    "bad_certificate": Code(
        "refused", "Do not use this wallet or its address: the certificate is not what signers agreed."
    ),
    "administrators": Code("refused", "Spread signers over more machines, accounts, operators and keys."),
    "suite_not_accepted": Code("refused", "Name the unaudited suite in the order, or choose another."),
    # Evidence
    "evidence_malformed": Code("refused", "Ask the signer for its evidence again; keep these bytes for a report."),
    "evidence_signature": Code(
        "refused", "Treat the sender as an impostor: the document is not signed by its certificate."
    ),
    "evidence_chain": Code("refused", "The certificates do not lead to the pinned root; check the root and the mode."),
    "evidence_root": Code(
        "refused", "Another root than the pinned one: check the mode, then who gave you this document."
    ),
    "evidence_expired": Code(
        "refused", "Ask for fresh evidence, or give the time at which it should be judged with --at."
    ),
    "evidence_nonce": Code("refused", "The document answers another question: ask again with a new nonce."),
    "evidence_binding": Code(
        "refused", "The document is about something else; the host may have swapped it. Ask again."
    ),
    "evidence_measurement": Code(
        "refused", "The program differs from the roster's reference values: compare the release."
    ),
    "evidence_debug": Code("refused", "A debug enclave keeps no secret from its host: start it without --debug-mode."),
    # Sealing
    "sealed_mismatch": Code("refused", "Load the blob that this signer sealed for this wallet and epoch."),
    "sealer_unavailable": Code("unavailable", "Check the KMS endpoint or the HSM; the signer tries again by itself."),
    "sealer_refused": Code("refused", "Check the key's policy against the signer's measurements, and the key's name."),
    "key_policy": Code(
        "refused", "Make a key that gives data keys to this measurement alone, and that nobody can change or share."
    ),
    "pin_incorrect": Code("refused", "The PIN is not tried again: correct the PIN file and restart the signer."),
    "token_unavailable": Code("unavailable", "Bring the token back; the signer logs in again by itself."),
    # Channel
    "channel_handshake": Code("fault", "Run the handshake again; if it repeats, suspect the host."),
    "channel_missing": Code("busy", "Run the handshake between the two signers, then try again."),
    "channel_expired": Code("busy", "Run the handshake between the two signers again."),
    "channel_link": Code("fault", "A message was changed or misdelivered on its way: suspect the host or the link."),
    # Ceremonies
    "unknown_ceremony": Code("missing", "Start a new ceremony."),
    "stale_ticket": Code("busy", "Fetch fresh tickets from this signer and start again."),
    "ceremony_round": Code("conflict", "Send each round once, in order."),
    "ceremony_expired": Code("busy", "Start a new ceremony; the deadline of this one has passed."),
    "ceremony_limit": Code("busy", "Wait for ceremonies in flight to end."),
    "ceremony_rate": Code("busy", "Too many were begun within the hour: see `load` in the signer's status for whose."),
    "clock_skew": Code("fault", "Correct the clocks of the signers' machines."),
    "split_view": Code(
        "fault", "Signers were shown different broadcasts. Start again; if it repeats, change the host."
    ),
    "equivocation": Code("fault", "A signer signed two different messages for one round: the proof is in the answer."),
    "not_paired": Code("busy", "Run the pairing of the signers named, then try again."),
    "pair_banned": Code("refused", "Officers decide about the accused signer; use another set meanwhile."),
    "bad_share": Code("fault", "The signer named sent a wrong share, provably. Exclude it."),
    "ot_check_failed": Code("fault", "The signer named failed a check that only its peer can see. Officers decide."),
    "unexpected_sender": Code("fault", "A message came from a party that has no part in this round."),
    "unexpected_message": Code("fault", "A party sent a kind of message that this round does not have."),
    "duplicate_message": Code("fault", "A party sent two messages of one kind for one round."),
    "foreign_message": Code(
        "fault", "A message of another ceremony or round: start again; if it repeats, change the host."
    ),
    "missing_message": Code("fault", "Send the messages of every participant of this round."),
    "bad_proof": Code("fault", "The signer named sent a proof or an opening that does not verify. Exclude it."),
    "no_randomness": Code("unavailable", "The operating system gives no randomness: look at the machine."),
    "aborted": Code("fault", "Try another set of signers; nobody could be blamed."),
    "seal_mismatch": Code("refused", "Load the blob that this signer sealed for this wallet and epoch."),
    "misuse": Code("internal", "Report this: a program used the native module against its contract."),
    "wrong_process": Code("internal", "Start processes by spawn, never fork after the native module is loaded."),
    "panic": Code("internal", "Report this, with the signer's log; the ceremony was ended and nothing was signed."),
    # Intents and policy
    "malformed_transaction": Code("malformed", "Encode the transaction canonically, unsigned, and try again."),
    "unsupported_transaction": Code("refused", "Use a transaction type that the signers can decode in full."),
    "intent_expired": Code("refused", "Prepare the request again; it was not signed in time."),
    "intent_signature": Code("refused", "Sign the intent's very bytes with the requester's key."),
    "intent_mismatch": Code("refused", "Prepare the intent for this wallet, scheme and policy."),
    "unknown_requester": Code("refused", "Use a requester's key that the wallet's policy names."),
    "request_conflict": Code("conflict", "This request id was used for other bytes: use a new request id."),
    "policy_chain": Code("refused", "Send on a chain that the wallet's policy allows."),
    "policy_recipient": Code("refused", "Send to an allowed recipient, or have officers change the policy."),
    "policy_limit": Code("refused", "Send less, or have officers raise the limit."),
    "policy_fee": Code("refused", "Lower the fee, or have officers raise the ceiling."),
    "policy_call": Code("refused", "Send without call data, or have officers allow this contract and method."),
    "policy_message": Code("refused", "Have officers allow messages in this wallet's policy."),
    "policy_asset": Code("refused", "Send an asset that a rule of the wallet's policy is about."),
    "policy_allowance": Code("refused", "Name a spender that the policy allows, or have officers change the policy."),
    "policy_delegation": Code(
        "refused", "Authorise code that a rule of the wallet's policy lists, or have officers change the policy."
    ),
    "policy_rule": Code("refused", "Ask for something that a rule of the wallet's policy covers."),
    "policy_denied": Code("refused", "Do not send there: officers denied this address."),
    "policy_hours": Code("refused", "Ask again within the hours of the rule named."),
    "policy_cooldown": Code("refused", "Wait until the recipient is known for as long as the rule asks."),
    "policy_argument": Code("refused", "Call with arguments that the rule allows, or have officers change it."),
    "policy_source": Code("refused", "Ask from a network and country that the rule names."),
    "policy_velocity": Code("refused", "Send less, or wait until earlier payments leave the window."),
    "policy_frozen": Code("refused", "Wait for the officers' next policy: nothing is signed until then."),
    "policy_expired": Code("refused", "Have officers sign the next policy."),
    "policy_lease": Code("refused", "Have officers renew the policy: `strongroom policy renew`."),
    "policy_version": Code("refused", "Look at `strongroom policy show`, and sign what succeeds the newest version."),
    "directive_mismatch": Code("refused", "Have officers sign it again, for this wallet as it stands now."),
    "directive_not_signed": Code("refused", "Collect signatures of the quorum of officers in office over these bytes."),
    "malformed_policy": Code(
        "malformed", "Correct the policy as docs/specification.md section 5 has it; `strongroom policy check` helps."
    ),
    # Releases
    "release_refused": Code(
        "conflict", "Compare `strongroom release status` with what the officers signed, then go on from there."
    ),
    "not_in_office": Code(
        "conflict", "Ask the signer of the wallet's active release: `strongroom release status` says which that is."
    ),
    # Approvals
    "bad_approver": Code(
        "refused", "Correct the approver's entry in the policy: `strongroom approver enrol` makes one."
    ),
    "bad_demand": Code(
        "refused", "Correct the demand, or enrol more approvers, and have officers sign the policy again."
    ),
    "unknown_approver": Code("refused", "Have an approver that the wallet's policy names approve instead."),
    "approval_invalid": Code("refused", "Approve this very request again with `strongroom approve`."),
    "approval_missing": Code(
        "refused", "Have the approvers named run `strongroom approve`, then send the request again."
    ),
    "approval_rejected": Code("refused", "Ask whoever rejected it why; what is asked for next is a new request."),
    "screening_silent": Code(
        "unavailable", "Bring the screening service back, then retry the request: its silence is a no."
    ),
    # Journal
    "not_joined": Code("busy", "Carry the journal's questions to the others; after a restart it must hear them first."),
    "journal_behind": Code("busy", "Let the journals named catch up with the others, then ask again."),
    "journal_superseded": Code("busy", "Let the journals named join anew; if it repeats, a copy of one is running."),
    "journal_quorum": Code("unavailable", "Bring signers or witnesses back until enough journals acknowledge."),
    "journal_clock": Code("refused", "Correct the clock of the host, or of the journal's machine."),
    "journal_conflict": Code(
        "conflict", "Another request uses up the same: wait for it, or replace it by an intent that says so."
    ),
    "nonce_gap": Code("conflict", "Send the transaction with the next nonce first."),
    "no_witnesses": Code(
        "refused", "Use a wallet whose order names witnesses: replacements, waivers and limits over time take journals."
    ),
    "journal_full": Code("busy", "Wait until requests of this wallet are past every window of a policy."),
    "journal_accounts": Code(
        "refused", "Sign from an address of the wallet that was used before, or create another wallet for more."
    ),
    "waiver_refused": Code("refused", "Have officers sign a waiver over the signers' present starts and journals."),
    # Host
    "unauthorized": Code("refused", "Send an API key that this host knows, as a Bearer token."),
    "not_found": Code("missing", "Check the identifier and the path."),
    "idempotency_conflict": Code("conflict", "Use a new Idempotency-Key for another request."),
    "signer_unreachable": Code("unavailable", "Start the signer, or look at the link to it."),
    "quorum_unavailable": Code("unavailable", "Bring signers back until the threshold is reached."),
    "node_unavailable": Code("unavailable", "Start the chain's node, or correct its URL."),
    "outcome_unknown": Code("conflict", "The last round was sent: retry this same request, never a different one."),
    "internal": Code("internal", "Report this, with the log."),
    # Client
    "host_unreachable": Code(
        "unavailable", "Start the host (`strongroom up`), or correct its URL in the context file."
    ),
    "bad_context": Code("malformed", "Correct the context file, or name another one with --config."),
    "bad_file": Code("malformed", "Correct the file named, then try again."),
    "bad_rebuild": Code("refused", "Ask whoever rebuilt the release for the statement again; this one proves nothing."),
    "bad_image": Code("malformed", "Build the image again, or compare its hash with the release's."),
    "file_exists": Code("conflict", "Choose another folder: key files are never overwritten."),
    "passphrase": Code("refused", "Give the passphrase by --passphrase-file, --passphrase-fd or at the prompt."),
    "prepared_mismatch": Code("refused", "Nothing was signed: the host prepared something else than you asked for."),
    "signed_mismatch": Code(
        "refused", "Keep the request for a report: the host returned other bytes than you approved."
    ),
    "page_unavailable": Code(
        "unavailable", "End what listens on this port: passkeys are pinned to the page's address."
    ),
    "no_decision": Code("refused", "Nothing was signed: run the command again."),
    "cluster_failed": Code(
        "unavailable", "Read the log named; free the memory, the port or the file, then start again."
    ),
}


class Refusal(Exception):
    """What was refused (the code), why (the reason), and what to do (the table's remedy).

    culprits: names of signers, or party numbers as text, where the protocol blames somebody.
    verdict: `proof` (anyone can check it), `accusation` (only the accuser knows), `unattributed`, or `link` (a fault
        between the parties, which blames neither); None for ordinary refusals.
    proof: bytes that convince an outsider, for `proof` alone.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        culprits: tuple[str, ...] = (),
        verdict: Verdict | None = None,
        proof: bytes | None = None,
    ) -> None:
        if code not in CODES:
            raise KeyError(f"no such error code: {code}")
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.culprits = culprits
        self.verdict = verdict
        self.proof = proof

    @property
    def kind(self) -> Kind:
        return CODES[self.code].kind

    @property
    def remedy(self) -> str:
        return CODES[self.code].remedy

    @property
    def retryable(self) -> bool:
        return CODES[self.code].retryable
