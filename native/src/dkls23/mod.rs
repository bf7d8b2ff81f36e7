//! Threshold ECDSA on secp256k1: DKLs23 (<https://eprint.iacr.org/2023/765>) with dkls23-core.
//!
//! The crate's low-level phase functions are driven, not its sessions: a signing session borrows its `Party` and so
//! cannot live in a handle. What the crate leaves to its caller is done here: every message is counted, exactly decoded
//! and compared with its sender; a proof travels a round after its commitment; a failed check of oblivious transfer
//! destroys the pair's state at once, because each caught cheat may leak a bit of it.
#![forbid(unsafe_code)]

mod combine;
mod derive;
mod dkg;
mod pair;
mod setup;
mod sign;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use dkls23_core::protocols::{Abort, AbortReason, PartyIndex};
use k256::Secp256k1;

use crate::ceremony::Round;
use crate::error::{Fault, Result, Verdict};
use crate::feldman;
use crate::secp;
use crate::share::{Material, Package, Pairwise, Share};
use crate::suites::{Group, Info, Request, Suite};
use crate::transcript::Context;

type Party = dkls23_core::protocols::Party<Secp256k1>;

pub struct Dkls23;

impl Suite for Dkls23 {
    fn info(&self) -> &'static Info {
        &Info {
            suite: "dkls23-secp256k1",
            curve: "secp256k1",
            library: "dkls23-core",
            version: "0.6.2",
            auditor: "none",
            randomness: "rand ThreadRng, reseeded from the system before every step",
            pairwise: true,
            taproot: false,
            all_sign: false,
            rounds: &[("dkg", 3), ("pair", 2), ("sign", 2)],
        }
    }

    fn dkg(&self, group: Group, context: Context) -> Result<Box<dyn Round>> {
        dkg::begin(group, context)
    }

    fn pair(&self, share: Arc<Share>, peer: u8, context: Context) -> Result<Box<dyn Round>> {
        pair::begin(share, peer, context)
    }

    fn sign(&self, share: Arc<Share>, request: Request, context: Context) -> Result<Box<dyn Round>> {
        sign::begin(share, request, context)
    }

    fn combine(
        &self,
        package: &Package,
        request: &Request,
        context: Context,
        contributions: &BTreeMap<u8, &[u8]>,
    ) -> Result<Vec<u8>> {
        combine::combine(package, request, context, contributions)
    }

    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8], tweak: Option<&[u8]>) -> Result<bool> {
        secp::verify_ecdsa(public_key, digest_of(message, tweak)?, signature)
    }

    fn matches(&self, material: &Material) -> Result<bool> {
        let package = &material.package;
        feldman::consistent::<frost_secp256k1_tr::Secp256K1Sha256TR>(
            material.index,
            &material.secret[..],
            package.threshold,
            &package.public_key,
            &package.verification_shares,
        )
        .ok_or(Fault::SealMismatch { what: "the share's keys are not on the curve" })
    }

    fn unpaired(&self, material: &Material) -> Result<Option<Arc<dyn Pairwise>>> {
        Ok(Some(Arc::new(state::Pairs::empty(material)?)))
    }
}

fn digest_of<'a>(message: &'a [u8], tweak: Option<&[u8]>) -> Result<&'a [u8; 32]> {
    if tweak.is_some() {
        return Fault::misuse("ECDSA has no BIP-341 tweak");
    }
    message.try_into().map_err(|_| Fault::Misuse { why: "the message of an ECDSA suite is a 32-byte digest" })
}

fn party_index(party: u8) -> Result<PartyIndex> {
    PartyIndex::new(party).map_err(Fault::aborted)
}

/// Whom an abort of the crate names, and who could believe it. A ban is `ban`'s, in `sign.rs`.
fn fault_of(abort: &Abort) -> Fault {
    let proof = Verdict::Proof;
    let accusation = Verdict::Accusation;
    let bad = |culprit: &PartyIndex, verdict, what| Fault::BadProof { verdict, culprit: culprit.as_u8(), what };
    match &abort.reason {
        // The commitment and the proof are both broadcasts, which the signers echo-check.
        AbortReason::ProofVerificationFailed { counterparty } => {
            bad(counterparty, proof, "the proof of its public share does not verify or does not match its commitment")
        }
        AbortReason::ChainCodeCommitmentFailed { party } => {
            bad(party, proof, "its part of the chain code does not match its commitment")
        }
        AbortReason::ZeroShareDecommitFailed { counterparty } => {
            bad(counterparty, accusation, "its seed for sharing zero does not match its commitment")
        }
        AbortReason::CommitmentMismatch { counterparty } => {
            bad(counterparty, accusation, "its instance point does not match its commitment")
        }
        AbortReason::TrivialInstancePoint { counterparty } => {
            bad(counterparty, accusation, "its instance point is the identity")
        }
        AbortReason::MultiplicationVerificationFailed { counterparty, .. }
        | AbortReason::OtConsistencyCheckFailed { counterparty }
        | AbortReason::GammaUInconsistency { counterparty } => Fault::OtCheckFailed { peer: counterparty.as_u8() },
        AbortReason::MissingMulState { counterparty } => Fault::NotPaired { peers: vec![counterparty.as_u8()] },
        reason => Fault::aborted(reason),
    }
}
