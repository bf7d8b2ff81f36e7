//! Signing, RFC 9591 section 5: commitments to nonces, then a share of the signature.
//!
//! A contribution is digest (32) || commitments || share (32). The digest covers the list of commitments that its author
//! signed under: a signer who shows its peers one commitment and the host another must not make an honest share look
//! wrong. Where the digests do not fit the contributions, nobody is named.

use std::collections::BTreeMap;

use frost_core::keys::KeyPackage;
use frost_core::round1::{self, SigningCommitments, SigningNonces};
use frost_core::round2::{self, SignatureShare};
use frost_core::{CheaterDetection, Identifier, SigningPackage, aggregate_custom};
use rand_core::OsRng;

use super::{Kind, fault_of, identifier, keys, strict};
use crate::ceremony::{Inbox, Next, Outbox, Outcome, Round};
use crate::error::{Fault, Result};
use crate::share::{Package, Share};
use crate::suites::Request;
use crate::transcript::Context;
use crate::wire::Fields;

pub fn begin<C: Kind>(share: &Share, request: Request, context: Context) -> Result<Box<dyn Round>> {
    let key = C::tweak_key(keys::key_package(&share.material)?, request.tweak.as_deref())?;
    Ok(Box::new(Commit::<C> { key, me: share.material.index, message: request.message, context }))
}

pub(super) struct Commit<C: Kind> {
    pub(super) key: KeyPackage<C>,
    pub(super) me: u8,
    pub(super) message: Vec<u8>,
    pub(super) context: Context,
}

impl<C: Kind> Round for Commit<C> {
    fn advance(self: Box<Self>, _: &Inbox) -> Result<Next> {
        let (nonces, _) = round1::commit(self.key.signing_share(), &mut OsRng);
        let broadcast = Some(nonces.commitments().serialize().map_err(|error| fault_of(&error))?);
        Next::send(Outbox { broadcast, private: BTreeMap::new() }, Contribute { signer: *self, nonces })
    }
}

pub(super) struct Contribute<C: Kind> {
    pub(super) signer: Commit<C>,
    /// Used once: this round is consumed by its only call.
    pub(super) nonces: SigningNonces<C>,
}

impl<C: Kind> Round for Contribute<C> {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let Self { signer: Commit { key, me, message, context }, nonces } = *self;
        let own = nonces.commitments().serialize().map_err(|error| fault_of(&error))?;
        let mut encoded = BTreeMap::from([(me, own.as_slice())]);
        encoded.extend(&inbox.broadcast);
        let mut commitments = commitments::<C>(&inbox.broadcast)?;
        commitments.insert(identifier(me)?, *nonces.commitments());
        let package = SigningPackage::new(commitments, &message);
        let share = round2::sign(&package, &nonces, &key).map_err(|error| fault_of(&error))?;
        Ok(Next::Done(Outcome::Contribution([&context.list(&encoded)[..], &own, &share.serialize()].concat())))
    }
}

type Commitments<C> = BTreeMap<Identifier<C>, SigningCommitments<C>>;

fn commitments<C: Kind>(encoded: &BTreeMap<u8, &[u8]>) -> Result<Commitments<C>> {
    let decode = |(&signer, bytes): (&u8, &&[u8])| {
        let one = strict(signer, bytes, SigningCommitments::<C>::deserialize, SigningCommitments::serialize)?;
        Ok((identifier(signer)?, one))
    };
    encoded.iter().map(decode).collect()
}

pub fn combine<C: Kind>(
    package: &Package,
    request: &Request,
    context: Context,
    contributions: &BTreeMap<u8, &[u8]>,
) -> Result<Vec<u8>> {
    let (mut digests, mut encoded, mut shares) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for (&signer, body) in contributions {
        let mut fields = Fields::of(signer, body);
        digests.push(*fields.take::<32>()?);
        let malformed = Fault::MalformedMessage { sender: signer, what: "wrong length" };
        let (commitment, share) = fields.rest().split_last_chunk::<32>().ok_or(malformed)?;
        let share =
            strict(signer, share, SignatureShare::<C>::deserialize, |share| Ok(SignatureShare::serialize(share)))?;
        encoded.insert(signer, commitment);
        shares.insert(identifier(signer)?, share);
    }
    let digest = context.list(&encoded);
    if digests.iter().any(|claimed| *claimed != digest) {
        return Err(Fault::aborted("the signers do not agree on their commitments"));
    }
    let public = C::tweak_public(keys::public_package(package)?, request.tweak.as_deref())?;
    let signing = SigningPackage::new(commitments(&encoded)?, &request.message);
    let signature = aggregate_custom(&signing, &shares, &public, CheaterDetection::AllCheaters)
        .and_then(|signature| signature.serialize())
        .map_err(|error| fault_of(&error))?;
    if C::verify(&package.public_key, &request.message, &signature, request.tweak.as_deref())? {
        Ok(signature)
    } else {
        Err(Fault::aborted("the signature does not verify"))
    }
}
