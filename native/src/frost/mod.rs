//! FROST (RFC 9591) over any of the Zcash Foundation's ciphersuites; one file each says what is particular to it.
#![forbid(unsafe_code)]

mod dkg;
mod frost_ed25519;
mod frost_secp256k1_tr;
mod keys;
mod sign;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use frost_core::keys::{KeyPackage, PublicKeyPackage};
use frost_core::{Ciphersuite, Identifier};

use crate::ceremony::Round;
use crate::error::{Fault, Result, Verdict};
use crate::feldman;
use crate::share::{Material, Package, Share};
use crate::suites::{Group, Info, Request, Suite};
use crate::transcript::Context;

/// A ciphersuite with what Strongroom says of it.
pub trait Kind: Ciphersuite {
    const INFO: Info;

    /// The share to sign with under a BIP-341 tweak.
    fn tweak_key(key: KeyPackage<Self>, tweak: Option<&[u8]>) -> Result<KeyPackage<Self>>;

    fn tweak_public(public: PublicKeyPackage<Self>, tweak: Option<&[u8]>) -> Result<PublicKeyPackage<Self>>;

    fn verify(public_key: &[u8], message: &[u8], signature: &[u8], tweak: Option<&[u8]>) -> Result<bool>;
}

pub struct Frost<C>(PhantomData<C>);

impl<C: Kind> Frost<C> {
    pub const SUITE: Self = Self(PhantomData);
}

impl<C: Kind> Suite for Frost<C> {
    fn info(&self) -> &'static Info {
        &C::INFO
    }

    fn dkg(&self, group: Group, context: Context) -> Result<Box<dyn Round>> {
        dkg::begin::<C>(group, context)
    }

    fn sign(&self, share: Arc<Share>, request: Request, context: Context) -> Result<Box<dyn Round>> {
        sign::begin::<C>(&share, request, context)
    }

    fn combine(
        &self,
        package: &Package,
        request: &Request,
        context: Context,
        contributions: &BTreeMap<u8, &[u8]>,
    ) -> Result<Vec<u8>> {
        sign::combine::<C>(package, request, context, contributions)
    }

    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8], tweak: Option<&[u8]>) -> Result<bool> {
        C::verify(public_key, message, signature, tweak)
    }

    fn matches(&self, material: &Material) -> Result<bool> {
        let package = &material.package;
        let shares = &package.verification_shares;
        feldman::consistent::<C>(material.index, &material.secret[..], package.threshold, &package.public_key, shares)
            .ok_or(Fault::SealMismatch { what: "the share's keys are not in the group" })
    }
}

fn identifier<C: Ciphersuite>(party: u8) -> Result<Identifier<C>> {
    Identifier::try_from(u16::from(party)).map_err(Fault::aborted)
}

/// Party numbers of identifiers; one that is nobody's names nobody.
fn parties<C: Ciphersuite>(identifiers: &[Identifier<C>]) -> Vec<u8> {
    let named = |party: &u8| identifier::<C>(*party).is_ok_and(|it| identifiers.contains(&it));
    (1..=crate::share::MAX_PARTIES).filter(named).collect()
}

fn fault_of<C: Ciphersuite>(error: &frost_core::Error<C>) -> Fault {
    let named = parties(&error.culprits());
    match (error, named.first()) {
        // Round 1 of the DKG is a broadcast: anyone can check it.
        (frost_core::Error::InvalidProofOfKnowledge { .. }, Some(&culprit)) => {
            let what = "the proof that it knows its secret does not verify";
            Fault::BadProof { verdict: Verdict::Proof, culprit, what }
        }
        // The share came in private: the others cannot know who lies.
        (frost_core::Error::InvalidSecretShare { .. }, Some(_)) => {
            Fault::BadShare { verdict: Verdict::Accusation, culprits: named }
        }
        (frost_core::Error::InvalidSignatureShare { .. }, Some(_)) => {
            Fault::BadShare { verdict: Verdict::Proof, culprits: named }
        }
        (error, _) => Fault::aborted(error),
    }
}

/// Decodes with the crate's own function, and refuses what does not encode to the same bytes again.
fn strict<C: Ciphersuite, T>(
    sender: u8,
    bytes: &[u8],
    decode: impl FnOnce(&[u8]) -> std::result::Result<T, frost_core::Error<C>>,
    encode: impl FnOnce(&T) -> std::result::Result<Vec<u8>, frost_core::Error<C>>,
) -> Result<T> {
    let malformed = Fault::MalformedMessage { sender, what: "not the encoding that this round calls for" };
    let value = decode(bytes).map_err(|_| malformed.clone())?;
    match encode(&value) {
        Ok(again) if again == bytes => Ok(value),
        _ => Err(malformed),
    }
}

#[cfg(test)]
mod vectors;
