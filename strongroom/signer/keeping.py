"""Keeping a share: sealed after the DKG, opened again to see that it can be, loaded after a restart, and certified."""

from __future__ import annotations

from collections.abc import Sequence

import strongroom_native as native

from strongroom import schemes
from strongroom.errors import Refusal
from strongroom.signer.ceremonies import Ceremony, Outcome, Result
from strongroom.signer.configuration import Configuration
from strongroom.signer.identity import Identity
from strongroom.signer.seams import Sealer
from strongroom.signer.wallets import EPOCH, Dealt, Wallet, Wallets
from strongroom.wallet.administrators import require_separation
from strongroom.wallet.certificate import Body, attested_user_data, certificate_hash, verify_body, wallet_id
from strongroom.wallet.order import SignedOrder
from strongroom.wallet.record import Record, sealing_context, share_aad
from strongroom.wire import cbor


class Keeping:
    def __init__(self, configuration: Configuration, sealer: Sealer, identity: Identity, wallets: Wallets) -> None:
        self._configuration = configuration
        self._sealer = sealer
        self._identity = identity
        self._wallets = wallets

    def accept(self, signed: SignedOrder) -> Wallet:
        """The officers' order, if it is theirs, of this mode, and names this very signer. Raises Refusal."""
        self._judge(signed)
        member = signed.order.member(self._configuration.name)
        name, value = self._configuration.register(member.root)
        if member.measurements[name] != value:
            raise Refusal("not_in_roster", f"the roster's {member.name} has another configuration than this signer")
        return self._wallets.accept(signed)

    def expect(self, signed: SignedOrder) -> Wallet:
        """An order of this name, of whichever release: what a later one says, the standing knows. Raises Refusal."""
        self._judge(signed)
        return self._wallets.accept(signed)

    def _judge(self, signed: SignedOrder) -> None:
        order, own = signed.order, self._configuration
        if order.mode != own.mode:
            raise Refusal("mode_mismatch", f"the order is of mode {order.mode}, this signer of {own.mode}")
        signed.verify(own.officers)
        if order.member(own.name).labels.sealed_by != own.sealing.kind:
            raise Refusal("not_in_roster", f"the roster's {own.name} seals otherwise than this signer")
        require_separation(order)

    def deal(self, ceremony: Ceremony, results: Sequence[Result]) -> Outcome:
        """A DKG's end: the share is sealed, and unsealed again, before anybody hears of the wallet."""
        wallet = ceremony.wallet
        (result,) = results
        if not isinstance(result, native.KeyShare):
            raise Refusal("misuse", "a DKG ended without a share")
        with wallet.during("dkg.done"):
            identifier = wallet_id(wallet.order_id, ceremony.transcript, result.public_key)
            record = self._seal(wallet, identifier, result, ceremony.transcript)
            self._matched(self._unseal(record), result)
            wallet.dealt = Dealt(identifier, result, ceremony.transcript)
            self._wallets.bind(wallet, identifier)
        answer: dict[str, cbor.Value] = {
            "wallet": identifier,
            "public_key": result.public_key,
            "verification_shares": result.verification_shares,
            "package": result.public_package(),
            "chain_code": result.chain_code,
            "transcript": ceremony.transcript,
            "record": record.encode(),
        }
        return Outcome(cbor.encode(answer))

    def _seal(self, wallet: Wallet, identifier: bytes, share: native.KeyShare, transcript: bytes) -> Record:
        name = self._configuration.name
        key, wrapped = self._sealer.new_key(sealing_context(name, identifier, wallet.epoch))
        aad = share_aad(name, identifier, wallet.epoch, wallet.order_id, transcript)
        return Record(name, identifier, wallet.epoch, wallet.signed, transcript, wrapped, share.seal(key, aad))

    def _unseal(self, record: Record) -> native.KeyShare:
        key = self._sealer.open_key(record.wrapped, sealing_context(record.signer, record.wallet, record.epoch))
        aad = share_aad(record.signer, record.wallet, record.epoch, record.order.order_id, record.transcript)
        try:
            share = native.KeyShare.unseal(record.share, key, aad)
            share.check()
        except native.NativeError as error:
            raise schemes.native_refusal(error, {}) from None
        return share

    def _matched(self, opened: native.KeyShare, dealt: native.KeyShare) -> None:
        if (opened.index, opened.public_package()) != (dealt.index, dealt.public_package()):
            raise Refusal("seal_mismatch", "the share that was unsealed is not the one that was sealed")

    def load(self, record: Record, body: bytes | None) -> Wallet:
        """A restart: the record that this signer sealed, and the certificate's body where there is one already."""
        own = self._configuration.name
        if record.signer != own:
            reason = f"the blob was sealed by {record.signer}, and this is {own}"
            raise Refusal("sealed_mismatch", reason)
        if record.epoch != EPOCH:
            raise Refusal("sealed_mismatch", f"the blob is of epoch {record.epoch}; this order is in epoch {EPOCH}")
        wallet = self.expect(record.order)
        # A wallet that is ordered again holds the share of an earlier DKG, beside a later one that failed.
        with wallet.lock:
            if wallet.dealt is None or wallet.dealt.wallet != record.wallet or wallet.phase == "ordered":
                self._load(wallet, record)
            try:
                if body is not None and wallet.body != body:
                    self.certify(wallet, body)
            finally:
                # Found by its id only now: a request that comes meanwhile shall not meet half of it.
                self._wallets.bind(wallet, record.wallet)
        return wallet

    def _load(self, wallet: Wallet, record: Record) -> None:
        with wallet.during("wallet.load"):
            self._hold(wallet, Dealt(record.wallet, self._unseal(record), record.transcript))

    def _hold(self, wallet: Wallet, dealt: Dealt) -> None:
        share = dealt.share
        expected = wallet_id(wallet.order_id, dealt.transcript, share.public_key)
        if share.index != wallet.index or dealt.wallet != expected or share.suite != wallet.suite.name:
            raise Refusal("sealed_mismatch", "the blob's share is of another wallet or party")
        wallet.dealt = dealt

    # What a predecessor in an earlier release hands over

    def inherit(self, wallet: Wallet, dealt: Dealt, body: bytes) -> None:
        """Taken for what it is only if the certificate says the same. Raises Refusal, and holds nothing then."""
        try:
            with wallet.during("wallet.load"):
                self._hold(wallet, dealt)
            self.certify(wallet, body)
        except Refusal:
            wallet.dealt, wallet.phase = None, "ordered"
            raise
        self._wallets.bind(wallet, dealt.wallet)

    def sealed(self, wallet: Wallet) -> Record:
        """The share under this release's own key, unsealed again to see that it can be."""
        held = wallet.hold()
        record = self._seal(wallet, held.wallet, held.share, held.transcript)
        self._matched(self._unseal(record), held.share)
        return record

    def certify(self, wallet: Wallet, raw: bytes) -> None:
        """The body says what this signer knows, and its test signatures cover every signer. Raises Refusal."""
        with wallet.during("wallet.certify"):
            held, body = wallet.hold(), Body.decode(raw)
            share = held.share
            said = (body.wallet, body.epoch, body.public_key, body.verification_shares, body.package, body.chain_code)
            known = (
                held.wallet,
                wallet.epoch,
                share.public_key,
                tuple(share.verification_shares),
                share.public_package(),
                share.chain_code,
            )
            if said != known or body.transcript != held.transcript or body.order.raw != wallet.signed.raw:
                raise Refusal("bad_certificate", "the certificate differs from what this signer knows of the wallet")
            verify_body(body, self._configuration.officers)
            if wallet.body is not None and wallet.body != raw:
                raise Refusal("bad_certificate", "this wallet was certified with another certificate")
            wallet.body = raw

    def witness(self, raw: bytes) -> Wallet:
        """A witness takes a wallet's certificate: its officers' order, and test signatures by the wallet."""
        body = verify_body(Body.decode(raw), self._configuration.officers)
        wallet = self.expect(body.order)
        if not wallet.witnesses:
            raise Refusal("wrong_phase", f"{wallet.name} is a signer of this wallet: load its share")
        with wallet.during("wallet.witness"):
            if wallet.body not in (None, raw):
                raise Refusal("bad_certificate", "this wallet was certified with another certificate")
            wallet.body = raw
            wallet.witness(body.wallet, body.keys)
            self._wallets.bind(wallet, body.wallet)
        return wallet

    def attest(self, wallet: Wallet, nonce: bytes) -> bytes:
        """Fresh evidence, bound to the certificate and epoch."""
        wallet.require("wallet.attest")
        if wallet.body is None:
            raise Refusal("wrong_phase", "this signer attested no certificate of this wallet")
        return self._identity.attest(nonce, attested_user_data(certificate_hash(wallet.body), wallet.epoch))
