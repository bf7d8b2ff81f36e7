//! Signing: Protocol 3.6 of DKLs23, three trips counting the contribution.
//!
//! Every phase consumes what the one before kept, so a nonce is used once or dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use dkls23_core::protocols::signing::{
    KeepPhase1to2, KeepPhase2to3, SignData, TransmitPhase1to2, TransmitPhase2to3, UniqueKeep1to2, UniqueKeep2to3,
};
use dkls23_core::protocols::{Abort, AbortKind, PartiesMessage, PartyIndex};
use dkls23_core::utilities::hashes::scalar_to_bytes;
use k256::Secp256k1;
use serde::Serialize;

use super::state::{Links, Pairs};
use super::{Party, derive, digest_of, fault_of, party_index};
use crate::ceremony::{Inbox, Next, Outbox, Outcome, Round};
use crate::error::{Fault, Result};
use crate::share::{Pairwise, Share};
use crate::suites::Request;
use crate::transcript::Context;
use crate::wire::{decode_from, encode};

pub fn begin(share: Arc<Share>, request: Request, context: Context) -> Result<Box<dyn Round>> {
    let message_hash = *digest_of(&request.message, request.tweak.as_deref())?;
    let pairs = Pairs::of(&share)?;
    let (mut party, links) = pairs.with(&request.signers)?;
    if !request.path.is_empty() {
        party = Arc::new(derive::child(&party, &request.path)?);
    }
    let others = request.signers.iter().filter(|signer| **signer != share.material.index);
    let data = SignData {
        sign_id: context.bytes().to_vec(),
        counterparties: others.map(|signer| party_index(*signer)).collect::<Result<_>>()?,
        message_hash,
    };
    Ok(Box::new(Commit(Signing { pairs, party, links, data })))
}

struct Signing {
    pairs: Arc<Pairs>,
    party: Arc<Party>,
    links: Links,
    data: SignData,
}

impl Signing {
    /// A ban of the crate means that reusable state may have leaked: it is destroyed before anybody hears of it.
    fn fault(&self, abort: Abort) -> Fault {
        match abort.kind {
            AbortKind::BanCounterparty(peer) => {
                self.pairs.unpair(peer.as_u8());
                Fault::OtCheckFailed { peer: peer.as_u8() }
            }
            AbortKind::Recoverable => fault_of(&abort),
        }
    }

    /// Claims inside a message must be what the channel says of it.
    fn addressed(&self, sender: u8, parties: &PartiesMessage) -> Result<()> {
        if parties.sender.as_u8() == sender && parties.receiver == self.party.party_index {
            Ok(())
        } else {
            Err(Fault::MalformedMessage { sender, what: "names another sender or recipient" })
        }
    }

    fn outbox<M: Serialize>(&self, messages: &[M], to: impl Fn(&M) -> PartyIndex) -> Result<Outbox> {
        // A pair that was cut while this step computed: say nothing more to that peer.
        self.links.check()?;
        let envelope = |message| Ok((to(message).as_u8(), encode(message)?));
        Ok(Outbox { broadcast: None, private: messages.iter().map(envelope).collect::<Result<_>>()? })
    }
}

struct Commit(Signing);

impl Round for Commit {
    fn advance(self: Box<Self>, _: &Inbox) -> Result<Next> {
        let signing = self.0;
        let phase = signing.party.sign_phase1(&signing.data);
        let (unique, kept, messages) = phase.map_err(|abort| signing.fault(abort))?;
        let outbox = signing.outbox(&messages, |message| message.parties.receiver)?;
        Next::send(outbox, Multiply { signing, unique, kept })
    }
}

struct Multiply {
    signing: Signing,
    unique: UniqueKeep1to2<Secp256k1>,
    kept: BTreeMap<PartyIndex, KeepPhase1to2<Secp256k1>>,
}

impl Round for Multiply {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let Self { signing, unique, kept } = *self;
        signing.links.check()?;
        let mut received = Vec::with_capacity(inbox.private.len());
        for (&sender, body) in &inbox.private {
            let message: TransmitPhase1to2 = decode_from(sender, body)?;
            signing.addressed(sender, &message.parties)?;
            received.push(message);
        }
        let phase = signing.party.sign_phase2(&signing.data, unique, kept, &received);
        let (unique, kept, messages) = phase.map_err(|abort| signing.fault(abort))?;
        let outbox = signing.outbox(&messages, |message| message.parties.receiver)?;
        Next::send(outbox, Contribute { signing, unique, kept })
    }
}

struct Contribute {
    signing: Signing,
    unique: UniqueKeep2to3<Secp256k1>,
    kept: BTreeMap<PartyIndex, KeepPhase2to3<Secp256k1>>,
}

impl Round for Contribute {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let Self { signing, unique, kept } = *self;
        signing.links.check()?;
        let mut received = Vec::with_capacity(inbox.private.len());
        for (&sender, body) in &inbox.private {
            let message: TransmitPhase2to3<Secp256k1> = decode_from(sender, body)?;
            signing.addressed(sender, &message.parties)?;
            received.push(message);
        }
        let phase = signing.party.sign_phase3(&signing.data, unique, kept, &received);
        let (r, part) = phase.map_err(|abort| signing.fault(abort))?;
        signing.links.check()?;
        let r = hex::decode(r).map_err(Fault::aborted)?;
        let scalars = [&part.u, &part.w].map(scalar_to_bytes::<Secp256k1>);
        Ok(Next::Done(Outcome::Contribution([r, scalars.concat()].concat())))
    }
}
