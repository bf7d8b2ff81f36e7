//! Each party makes a key pair; the joint key is their BIP-327 aggregate.
//!
//! BIP-327 is safe against rogue keys by itself. Commitment first and a proof of possession after it cost two rounds once,
//! keep the last to speak from choosing its key by the others', and name whoever shows a key that it cannot use.

use std::collections::BTreeMap;
use std::sync::Arc;

use secp256k1::{Keypair, PublicKey, schnorr};
use zeroize::Zeroizing;

use super::{Musig2, aggregate, keypair};
use crate::ceremony::{Inbox, Next, Outbox, Outcome, Round};
use crate::error::{Fault, Result, Verdict};
use crate::process;
use crate::secp;
use crate::share::{Material, Package, Share};
use crate::suites::{Group, Suite};
use crate::transcript::{Context, hash};
use crate::wire::Fields;

pub fn begin(group: Group, context: Context) -> Result<Box<dyn Round>> {
    if group.threshold != group.parties {
        return Fault::misuse("MuSig2 is n of n: threshold and parties are equal");
    }
    Ok(Box::new(Commit { group, context }))
}

/// public key (33) || BIP-340 signature of the context and the party's number (64) || salt (32).
type Opening = [u8; 129];

fn commitment(context: &Context, party: u8, opening: &Opening) -> [u8; 32] {
    hash("strongroom/native/musig2/commitment/v1", &[context.bytes(), &[party], opening])
}

fn statement(context: &Context, party: u8, key: &PublicKey) -> [u8; 32] {
    hash("strongroom/native/musig2/possession/v1", &[context.bytes(), &[party], &key.serialize()])
}

struct Commit {
    group: Group,
    context: Context,
}

impl Round for Commit {
    fn advance(self: Box<Self>, _: &Inbox) -> Result<Next> {
        let Self { group, context } = *self;
        let secret = Zeroizing::new(process::random::<32>()?);
        let keypair = keypair(&secret)?;
        let opening = opening(&context, group.index, &keypair)?;
        let broadcast = Some(commitment(&context, group.index, &opening).to_vec());
        Next::send(Outbox { broadcast, private: BTreeMap::new() }, Open { group, context, secret, opening })
    }
}

fn opening(context: &Context, party: u8, keypair: &Keypair) -> Result<Opening> {
    let key = keypair.public_key();
    let proof = schnorr::sign_with_aux_rand(&statement(context, party, &key), keypair, &process::random()?);
    let mut opening = [0; 129];
    opening[..33].copy_from_slice(&key.serialize());
    opening[33..97].copy_from_slice(&proof.to_byte_array());
    opening[97..].copy_from_slice(&process::random::<32>()?);
    Ok(opening)
}

struct Open {
    group: Group,
    context: Context,
    secret: Zeroizing<[u8; 32]>,
    opening: Opening,
}

impl Round for Open {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let mut commitments = BTreeMap::new();
        for (&sender, body) in &inbox.broadcast {
            let mut fields = Fields::of(sender, body);
            commitments.insert(sender, *fields.take::<32>()?);
            fields.finish()?;
        }
        let broadcast = Some(self.opening.to_vec());
        Next::send(Outbox { broadcast, private: BTreeMap::new() }, Finish { own: *self, commitments })
    }
}

struct Finish {
    own: Open,
    commitments: BTreeMap<u8, [u8; 32]>,
}

impl Round for Finish {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let Self { own: Open { group, context, secret, .. }, commitments } = *self;
        let mut keys = BTreeMap::from([(group.index, keypair(&secret)?.public_key())]);
        for (&sender, body) in &inbox.broadcast {
            let key = proven(&context, sender, body, commitments.get(&sender))?;
            keys.insert(sender, key);
        }
        let keys: Vec<PublicKey> = keys.into_values().collect();
        let package = Package {
            suite: Musig2.info().suite.to_owned(),
            threshold: group.threshold,
            parties: group.parties,
            public_key: aggregate(&keys).agg_pk_full().serialize().to_vec(),
            verification_shares: keys.iter().map(|key| key.serialize().to_vec()).collect(),
            chain_code: None,
        };
        let material = Material { package, index: group.index, session: *context.bytes(), secret };
        Ok(Next::Done(Outcome::Share(Arc::new(Share { suite: &Musig2, material, pairwise: None }))))
    }
}

/// The key that `sender` committed to and can sign with. Both are broadcasts: whoever lies is proven to.
fn proven(context: &Context, sender: u8, body: &[u8], committed: Option<&[u8; 32]>) -> Result<PublicKey> {
    let bad = |what| Fault::BadProof { verdict: Verdict::Proof, culprit: sender, what };
    let mut fields = Fields::of(sender, body);
    let opening: &Opening = fields.take()?;
    fields.finish()?;
    if committed != Some(&commitment(context, sender, opening)) {
        return Err(bad("its key does not match its commitment"));
    }
    let mut fields = Fields::of(sender, opening);
    let key = secp::public_key_of(fields.take::<33>()?)
        .map_err(|_| Fault::MalformedMessage { sender, what: "not a public key" })?;
    let proof = schnorr::Signature::from_byte_array(*fields.take()?);
    let possessed = proof.verify(&statement(context, sender, &key), &key.x_only_public_key().0);
    possessed.map_err(|_| bad("its proof of possession does not verify"))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rogue key: X* = X' - X. It commits properly, but its maker knows no secret for it and can prove none.
    #[test]
    fn a_rogue_key_is_refused_and_its_maker_named() {
        let context = Context::new("dkg", "musig2-secp256k1", &[7; 32], &[]);
        let honest = keypair(&[3; 32]).unwrap().public_key();
        let attacker = keypair(&[5; 32]).unwrap();
        let rogue = attacker.public_key().combine(&honest.negate()).unwrap();

        let mut forged = opening(&context, 2, &attacker).unwrap();
        assert!(proven(&context, 2, &forged, Some(&commitment(&context, 2, &forged))).is_ok());
        forged[..33].copy_from_slice(&rogue.serialize());
        let fault = proven(&context, 2, &forged, Some(&commitment(&context, 2, &forged))).unwrap_err();
        assert_eq!((fault.code(), fault.verdict(), fault.culprits()), ("bad_proof", Some(Verdict::Proof), vec![2]));
    }

    #[test]
    fn a_proof_is_good_for_one_party_and_one_session() {
        let context = Context::new("dkg", "musig2-secp256k1", &[7; 32], &[]);
        let other = Context::new("dkg", "musig2-secp256k1", &[8; 32], &[]);
        let opening = opening(&context, 2, &keypair(&[5; 32]).unwrap()).unwrap();
        assert!(proven(&context, 3, &opening, Some(&commitment(&context, 3, &opening))).is_err());
        assert!(proven(&other, 2, &opening, Some(&commitment(&other, 2, &opening))).is_err());
    }
}
