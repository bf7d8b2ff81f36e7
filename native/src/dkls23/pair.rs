//! Pairwise state set up afresh between two parties of one key: what phases 2 to 4 of the DKG do for every pair.
//!
//! Round 1: a commitment to the seed for shares of zero. Round 2: its opening, and both base oblivious transfers. All of
//! it is bound to the ceremony's session, the key and both party numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use dkls23_core::protocols::PartyIndex;
use dkls23_core::protocols::dkg::KeepInitMulPhase3to4;
use dkls23_core::utilities::multiplication::{MulReceiver, MulSender};
use dkls23_core::utilities::zero_shares::ZeroShare;
use k256::Secp256k1;
use zeroize::Zeroizing;

use super::party_index;
use super::setup::{self, PairMessage};
use super::state::{Pairing, Pairs};
use crate::ceremony::{Inbox, Next, Outbox, Outcome, Round};
use crate::error::{Fault, Result, Verdict};
use crate::share::{Pairwise, Share};
use crate::transcript::Context;
use crate::wire::{Fields, decode_from, encode};

pub fn begin(share: Arc<Share>, peer: u8, context: Context) -> Result<Box<dyn Round>> {
    let ends = Ends {
        pairs: Pairs::of(&share)?,
        me: party_index(share.material.index)?,
        peer: party_index(peer)?,
        session: *context.bytes(),
    };
    Ok(Box::new(Commit(ends)))
}

struct Ends {
    pairs: Arc<Pairs>,
    me: PartyIndex,
    peer: PartyIndex,
    session: [u8; 32],
}

impl Ends {
    fn zero_context(&self, sender: PartyIndex, receiver: PartyIndex) -> [u8; 32] {
        ZeroShare::seed_context(b"strongroom/pair/v1", &[&self.session], sender, receiver)
    }

    /// The multiplication in which `receiver` receives, as in Protocol 3.6 of DKLs23: both numbers in order.
    fn multiplication(&self, receiver: PartyIndex, sender: PartyIndex) -> Vec<u8> {
        [b"strongroom/pair/multiplication/v1", &[receiver.as_u8(), sender.as_u8()][..], &self.session].concat()
    }

    fn receiving(&self) -> Vec<u8> {
        self.multiplication(self.me, self.peer)
    }

    fn sending(&self) -> Vec<u8> {
        self.multiplication(self.peer, self.me)
    }

    fn to_peer(&self, body: Vec<u8>) -> Outbox {
        Outbox { broadcast: None, private: BTreeMap::from([(self.peer.as_u8(), body)]) }
    }

    fn sent_by_peer<'a>(&self, inbox: &Inbox<'a>) -> Result<&'a [u8]> {
        let peer = self.peer.as_u8();
        inbox.private.get(&peer).copied().ok_or(Fault::MissingMessage { senders: vec![peer] })
    }
}

struct Commit(Ends);

impl Round for Commit {
    fn advance(self: Box<Self>, _: &Inbox) -> Result<Next> {
        let ends = self.0;
        let context = ends.zero_context(ends.me, ends.peer);
        let (seed, commitment, salt) = ZeroShare::generate_seed_with_bound_commitment(&context);
        let outbox = ends.to_peer(commitment.to_vec());
        Next::send(outbox, Open { ends, seed: Zeroizing::new(seed), salt })
    }
}

struct Open {
    ends: Ends,
    seed: Zeroizing<[u8; 32]>,
    salt: Vec<u8>,
}

impl Round for Open {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let Self { ends, seed, salt } = *self;
        let mut fields = Fields::of(ends.peer.as_u8(), ends.sent_by_peer(inbox)?);
        let commitment = *fields.take()?;
        fields.finish()?;

        let (ot_sender, dlog_proof, nonce) = MulReceiver::<Secp256k1>::init_phase1(&ends.receiving());
        let (ot_receiver, correlation, vec_r, enc_proofs) = MulSender::<Secp256k1>::init_phase1(&ends.sending());
        let message = PairMessage {
            zero_seed: seed.clone(),
            zero_salt: salt,
            dlog_proof,
            nonce,
            enc_proofs,
            ot_seed: ot_receiver.seed,
        };
        let outbox = ends.to_peer(encode(&message)?);
        let kept = Kept(KeepInitMulPhase3to4 { ot_sender, nonce, ot_receiver, correlation, vec_r });
        Next::send(outbox, Finish { ends, seed, commitment, kept })
    }
}

struct Kept(KeepInitMulPhase3to4<Secp256k1>);

impl Drop for Kept {
    fn drop(&mut self) {
        setup::wipe(&mut self.0);
    }
}

struct Finish {
    ends: Ends,
    seed: Zeroizing<[u8; 32]>,
    commitment: [u8; 32],
    kept: Kept,
}

impl Round for Finish {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let peer = self.ends.peer.as_u8();
        match self.pairing(inbox) {
            Ok(pairing) => {
                self.ends.pairs.install(peer, pairing)?;
                Ok(Next::Done(Outcome::Paired))
            }
            Err(fault) => {
                // Whatever was there before is not trusted any longer either.
                self.ends.pairs.unpair(peer);
                Err(fault)
            }
        }
    }
}

impl Finish {
    fn pairing(&self, inbox: &Inbox) -> Result<Pairing> {
        let Self { ends, seed, commitment, kept: Kept(kept) } = self;
        let peer = ends.peer.as_u8();
        let message: PairMessage = decode_from(peer, ends.sent_by_peer(inbox)?)?;
        let context = ends.zero_context(ends.peer, ends.me);
        if !ZeroShare::verify_bound_seed(&message.zero_seed, &context, commitment, &message.zero_salt) {
            let what = "its seed for sharing zero does not match its commitment";
            return Err(Fault::BadProof { verdict: Verdict::Accusation, culprit: peer, what });
        }
        let cheat = |_| Fault::OtCheckFailed { peer };
        let receiver = MulReceiver::init_phase2(
            &kept.ot_sender,
            &ends.receiving(),
            &message.ot_seed,
            &message.enc_proofs,
            &kept.nonce,
        )
        .map_err(cheat)?;
        let sender = MulSender::init_phase2(
            &kept.ot_receiver,
            &ends.sending(),
            kept.correlation.clone(),
            &kept.vec_r,
            &message.dlog_proof,
            &message.nonce,
        )
        .map_err(cheat)?;
        let seed = ZeroShare::generate_seed_pair(ends.me, ends.peer, seed, &message.zero_seed);
        Ok(Pairing { sender, receiver, seed, session: ends.session })
    }
}
