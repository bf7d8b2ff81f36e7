//! Distributed key generation: Protocol 9.1 of <https://eprint.iacr.org/2023/602>, with every pair set up on the way.
//!
//! Round 1, private: a point of the sender's polynomial. Round 2: the commitments to the proof of the public share and
//! to the chain code (broadcast), and to the seed for shares of zero (private). Round 3: what was committed to
//! (broadcast), and the pair's set-up (private). The crate returns proof and commitment together; sending both in
//! round 2 would let the last to speak choose its share after seeing the others'.

use std::collections::BTreeMap;
use std::sync::Arc;

use dkls23_core::protocols::dkg::{
    self, BroadcastDerivationPhase2to4, BroadcastDerivationPhase3to4, KeepInitMulPhase3to4, KeepInitZeroSharePhase2to3,
    KeepInitZeroSharePhase3to4, ProofCommitment, SessionData, TransmitInitZeroSharePhase2to4,
    UniqueKeepDerivationPhase2to3,
};
use dkls23_core::protocols::{Parameters, PartiesMessage, PartyIndex, PublicKeyPackage};
use dkls23_core::utilities::hashes::{point_to_bytes, scalar_to_bytes};
use dkls23_core::utilities::proofs::DLogProof;
use k256::elliptic_curve::ff::PrimeField;
use k256::{Scalar, Secp256k1};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::setup::{self, PairMessage};
use super::state::Pairs;
use super::{Dkls23, Party, fault_of, party_index};
use crate::ceremony::{Inbox, Next, Outbox, Outcome, Round};
use crate::error::{Fault, Result};
use crate::share::{Material, Package, Share};
use crate::suites::{Group, Suite};
use crate::transcript::Context;
use crate::wire::{Fields, decode_from, encode};

type Proof = ProofCommitment<Secp256k1>;

pub fn begin(group: Group, context: Context) -> Result<Box<dyn Round>> {
    let data = SessionData {
        parameters: Parameters::new(group.threshold, group.parties).map_err(Fault::aborted)?,
        party_index: party_index(group.index)?,
        session_id: context.bytes().to_vec(),
    };
    Ok(Box::new(Deal { data, context }))
}

/// Sends each party its point of a fresh polynomial.
struct Deal {
    data: SessionData,
    context: Context,
}

impl Round for Deal {
    fn advance(self: Box<Self>, _: &Inbox) -> Result<Next> {
        let points = Zeroizing::new(dkg::phase1::<Secp256k1>(&self.data));
        let mut own = Zeroizing::new(Scalar::ZERO);
        let mut private = BTreeMap::new();
        for (party, point) in (1u8..).zip(points.iter()) {
            if party == self.data.party_index.as_u8() {
                *own = *point;
            } else {
                private.insert(party, scalar_to_bytes::<Secp256k1>(point));
            }
        }
        let Self { data, context } = *self;
        Next::send(Outbox { broadcast: None, private }, Commit { data, context, own })
    }
}

/// Adds the points up to the key share, and commits to the proof that it is known.
struct Commit {
    data: SessionData,
    context: Context,
    own: Zeroizing<Scalar>,
}

/// Round 2's broadcast.
#[derive(Clone, Copy)]
struct Commitments {
    proof: [u8; 32],
    chain_code: [u8; 32],
}

impl Round for Commit {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let points = self.points(inbox)?;
        let (share, proof, zero, zero_sent, chain, chain_sent) = dkg::phase2::<Secp256k1>(&self.data, &points);
        let private = zero_sent.into_iter().map(|m| (m.parties.receiver.as_u8(), m.commitment.to_vec())).collect();
        let Self { data, context, .. } = *self;
        let kept = Kept { share: Zeroizing::new(share), zero, zero_opened: BTreeMap::new(), mul: BTreeMap::new() };
        let own = Commitments { proof: proof.commitment, chain_code: chain_sent.cc_commitment };
        let broadcast = Some([own.proof, own.chain_code].concat());
        let then = Open { data, context, kept, proof, chain, own };
        Next::send(Outbox { broadcast, private }, then)
    }
}

impl Commit {
    /// One point from each party, counted: the crate adds up whatever it is given.
    fn points(&self, inbox: &Inbox) -> Result<Zeroizing<Vec<Scalar>>> {
        let mut points = Zeroizing::new(Vec::with_capacity(inbox.private.len() + 1));
        for (&sender, body) in &inbox.private {
            let malformed = Fault::MalformedMessage { sender, what: "not a scalar" };
            let bytes: [u8; 32] = (*body).try_into().map_err(|_| malformed.clone())?;
            let point = Option::<Scalar>::from(Scalar::from_repr(bytes.into()));
            points.push(point.ok_or(malformed)?);
        }
        points.push(*self.own);
        if points.len() != usize::from(self.data.parameters.share_count) {
            return Err(Fault::aborted("a point of the polynomial is missing"));
        }
        Ok(points)
    }
}

/// Secrets that pass from round to round. The crate's types do not wipe themselves.
struct Kept {
    share: Zeroizing<Scalar>,
    zero: BTreeMap<PartyIndex, KeepInitZeroSharePhase2to3>,
    zero_opened: BTreeMap<PartyIndex, KeepInitZeroSharePhase3to4>,
    mul: BTreeMap<PartyIndex, KeepInitMulPhase3to4<Secp256k1>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.zero.values_mut().for_each(|kept| kept.seed.zeroize());
        self.zero_opened.values_mut().for_each(|kept| kept.seed.zeroize());
        self.mul.values_mut().for_each(setup::wipe);
    }
}

/// Having every commitment, opens its own.
struct Open {
    data: SessionData,
    context: Context,
    kept: Kept,
    proof: Proof,
    chain: UniqueKeepDerivationPhase2to3,
    own: Commitments,
}

/// Round 3's broadcast: what was committed to.
#[derive(Serialize, Deserialize)]
struct Opening {
    proof: DLogProof<Secp256k1>,
    chain_code: [u8; 32],
    chain_code_salt: Vec<u8>,
}

impl Round for Open {
    fn advance(mut self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let me = self.data.party_index.as_u8();
        let (commitments, zero_received) = self.commitments(inbox)?;
        let (zero, zero_sent, mul, mul_sent, chain_sent) =
            dkg::phase3::<Secp256k1>(&self.data, &self.kept.zero, &self.chain);
        self.kept.zero_opened = zero;
        self.kept.mul = mul;

        let mut private = BTreeMap::new();
        for (zero, mul) in zero_sent.into_iter().zip(mul_sent) {
            let peer = zero.parties.receiver.as_u8();
            private.insert(peer, encode(&PairMessage::new(zero, mul))?);
        }
        let opening = Opening {
            proof: self.proof.proof.clone(),
            chain_code: chain_sent.aux_chain_code,
            chain_code_salt: chain_sent.cc_salt,
        };
        let broadcast = Some(encode(&opening)?);
        let Self { data, context, kept, .. } = *self;
        let then = Finish { data, context, kept, commitments, zero_received, own: (me, opening) };
        Next::send(Outbox { broadcast, private }, then)
    }
}

impl Open {
    fn commitments(&self, inbox: &Inbox) -> Result<(BTreeMap<u8, Commitments>, Vec<TransmitInitZeroSharePhase2to4>)> {
        let me = self.data.party_index;
        let mut all = BTreeMap::from([(me.as_u8(), self.own)]);
        let mut zero = Vec::new();
        for (&sender, body) in &inbox.broadcast {
            let mut fields = Fields::of(sender, body);
            let (proof, chain_code) = (*fields.take()?, *fields.take()?);
            fields.finish()?;
            // The crate's commitment does not bind its author: one that is repeated was copied from somebody.
            if all.values().any(|other| other.proof == proof || other.chain_code == chain_code) {
                return Err(Fault::aborted("two parties sent the same commitment"));
            }
            all.insert(sender, Commitments { proof, chain_code });
        }
        for (&sender, body) in &inbox.private {
            let mut fields = Fields::of(sender, body);
            let commitment = *fields.take()?;
            fields.finish()?;
            let parties = PartiesMessage { sender: party_index(sender)?, receiver: me };
            zero.push(TransmitInitZeroSharePhase2to4 { parties, commitment });
        }
        Ok((all, zero))
    }
}

/// Having every opening, checks them against round 2 and assembles the share.
struct Finish {
    data: SessionData,
    context: Context,
    kept: Kept,
    commitments: BTreeMap<u8, Commitments>,
    zero_received: Vec<TransmitInitZeroSharePhase2to4>,
    own: (u8, Opening),
}

impl Round for Finish {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let me = self.data.party_index.as_u8();
        let (mut zero_received, mut mul_received) = (Vec::new(), Vec::new());
        for (&sender, body) in &inbox.private {
            let (zero, mul) = decode_from::<PairMessage>(sender, body)?.split(sender, me)?;
            zero_received.push(zero);
            mul_received.push(mul);
        }
        let mut openings = BTreeMap::new();
        for (&sender, body) in &inbox.broadcast {
            openings.insert(sender, decode_from::<Opening>(sender, body)?);
        }
        let Self { data, context, kept, commitments, zero_received: zero_committed, own } = *self;
        openings.extend([own]);
        let (proofs, chain_committed, chain_opened) = pair_up(commitments, openings)?;
        let (party, public) = dkg::phase4::<Secp256k1>(
            &data,
            &kept.share,
            &proofs,
            &kept.zero_opened,
            &zero_committed,
            &zero_received,
            &kept.mul,
            &mul_received,
            &chain_committed,
            &chain_opened,
            |_| String::new(),
        )
        .map_err(|abort| fault_of(&abort))?;
        Ok(Next::Done(Outcome::Share(assemble(party, &public, &context)?)))
    }
}

type PairedUp = (
    Vec<Proof>,
    BTreeMap<PartyIndex, BroadcastDerivationPhase2to4>,
    BTreeMap<PartyIndex, BroadcastDerivationPhase3to4>,
);

/// Each proof beside the commitment that its author sent a round before; the crate then compares them.
fn pair_up(commitments: BTreeMap<u8, Commitments>, openings: BTreeMap<u8, Opening>) -> Result<PairedUp> {
    let (mut proofs, mut committed, mut opened) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for ((party, commitment), opening) in commitments.into_iter().zip(openings.into_values()) {
        let index = party_index(party)?;
        proofs.push(ProofCommitment { index, proof: opening.proof, commitment: commitment.proof });
        let (cc_commitment, aux_chain_code, cc_salt) =
            (commitment.chain_code, opening.chain_code, opening.chain_code_salt);
        committed.insert(index, BroadcastDerivationPhase2to4 { sender_index: index, cc_commitment });
        opened.insert(index, BroadcastDerivationPhase3to4 { sender_index: index, aux_chain_code, cc_salt });
    }
    Ok((proofs, committed, opened))
}

fn assemble(party: Party, public: &PublicKeyPackage<Secp256k1>, context: &Context) -> Result<Arc<Share>> {
    let parties = party.parameters.share_count;
    let share_of = |number| -> Result<Vec<u8>> {
        let point = public.verifying_share(party_index(number)?);
        Ok(point_to_bytes::<Secp256k1>(point.ok_or_else(|| Fault::aborted("a verification share is missing"))?))
    };
    let package = Package {
        suite: Dkls23.info().suite.to_owned(),
        threshold: party.parameters.threshold,
        parties,
        public_key: point_to_bytes::<Secp256k1>(&party.pk),
        verification_shares: (1..=parties).map(share_of).collect::<Result<_>>()?,
        chain_code: Some(party.derivation_data.chain_code),
    };
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&Zeroizing::new(scalar_to_bytes::<Secp256k1>(&party.poly_point)));
    let material = Material { package, index: party.party_index.as_u8(), session: *context.bytes(), secret };
    let pairs = Pairs::complete(party, context.bytes());
    Ok(Arc::new(Share { suite: &Dkls23, material, pairwise: Some(Arc::new(pairs)) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of `Parameters` are public; only its constructor looks at them. `api.rs` checks before, too.
    #[test]
    fn a_threshold_that_shares_nothing_is_refused() {
        let context = Context::new("dkg", "dkls23-secp256k1", &[7; 32], &[]);
        for (threshold, parties) in [(0, 3), (1, 3), (4, 3), (2, 0)] {
            let fault = begin(Group { index: 1, threshold, parties }, context).err().unwrap();
            assert_eq!(fault.code(), "aborted");
        }
        assert!(begin(Group { index: 1, threshold: 2, parties: 3 }, context).is_ok());
    }
}
