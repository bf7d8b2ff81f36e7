//! Signing: public nonces, then a partial signature.
//!
//! A contribution is digest (32) || public nonce (66) || partial signature (32); the digest of all nonces serves the same
//! end as in `frost/sign.rs`.

use std::collections::BTreeMap;

use secp256k1::musig::{
    AggregatedNonce, KeyAggCache, PartialSignature, PublicNonce, SecretNonce, Session, SessionSecretRand,
    new_nonce_pair,
};
use secp256k1::{Keypair, PublicKey};

use super::{aggregate, keypair, keys};
use crate::ceremony::{Inbox, Next, Outbox, Outcome, Round};
use crate::error::{Fault, Result, Verdict};
use crate::process;
use crate::secp;
use crate::share::{Package, Share};
use crate::suites::Request;
use crate::transcript::Context;
use crate::wire::Fields;

pub fn begin(share: &Share, request: Request, context: Context) -> Result<Box<dyn Round>> {
    let material = &share.material;
    let joint = joint_key(&material.package, request.tweak.as_deref())?;
    let keypair = Secret(keypair(&material.secret)?);
    Ok(Box::new(Commit { keypair, joint, me: material.index, message: message(&request)?, context }))
}

fn message(request: &Request) -> Result<[u8; 32]> {
    let message = request.message.as_slice().try_into();
    message.map_err(|_| Fault::Misuse { why: "the message of a MuSig2 suite has 32 bytes" })
}

fn joint_key(package: &Package, tweak: Option<&[u8]>) -> Result<KeyAggCache> {
    let mut joint = aggregate(&keys(package)?);
    if let Some(root) = tweak {
        let tweak = secp::tap_tweak(joint.agg_pk(), root)?;
        joint.pubkey_xonly_tweak_add(&tweak).map_err(Fault::aborted)?;
    }
    Ok(joint)
}

/// A key pair that erases itself, as well as libsecp256k1's type allows.
struct Secret(Keypair);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

/// A secret nonce until it is used; erased when the ceremony ends without use.
struct Nonce(Option<SecretNonce>);

impl Drop for Nonce {
    fn drop(&mut self) {
        if let Some(mut nonce) = self.0.take() {
            nonce.non_secure_erase();
        }
    }
}

struct Commit {
    keypair: Secret,
    joint: KeyAggCache,
    me: u8,
    message: [u8; 32],
    context: Context,
}

impl Round for Commit {
    fn advance(self: Box<Self>, _: &Inbox) -> Result<Next> {
        let (secret, key) = (self.keypair.0.secret_key(), self.keypair.0.public_key());
        let fresh = SessionSecretRand::assume_uniformly_random(process::random()?);
        let (nonce, public) = new_nonce_pair(fresh, Some(&self.joint), Some(secret), key, Some(&self.message), None);
        let nonce = Nonce(Some(nonce));
        let outbox = Outbox { broadcast: Some(public.serialize().to_vec()), private: BTreeMap::new() };
        Next::send(outbox, Contribute { signer: *self, nonce, public })
    }
}

struct Contribute {
    signer: Commit,
    nonce: Nonce,
    public: PublicNonce,
}

impl Round for Contribute {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let Self { signer: Commit { keypair, joint, me, message, context }, mut nonce, public } = *self;
        let own = public.serialize();
        let mut encoded = BTreeMap::from([(me, own.as_slice())]);
        encoded.extend(&inbox.broadcast);
        let mut nonces = nonces(&inbox.broadcast)?;
        nonces.insert(me, public);
        let session = session(&joint, &nonces, &message);
        let nonce = nonce.0.take().ok_or_else(|| Fault::aborted("the nonce is used up"))?;
        let partial = session.partial_sign(nonce, &keypair.0, &joint);
        Ok(Next::Done(Outcome::Contribution([&context.list(&encoded)[..], &own, &partial.serialize()].concat())))
    }
}

fn nonces(encoded: &BTreeMap<u8, &[u8]>) -> Result<BTreeMap<u8, PublicNonce>> {
    let decode = |(&sender, bytes): (&u8, &&[u8])| {
        let nonce = (*bytes).try_into().ok().and_then(|bytes| PublicNonce::from_byte_array(bytes).ok());
        Ok((sender, nonce.ok_or(Fault::MalformedMessage { sender, what: "not a public nonce" })?))
    };
    encoded.iter().map(decode).collect()
}

fn session(joint: &KeyAggCache, nonces: &BTreeMap<u8, PublicNonce>, message: &[u8; 32]) -> Session {
    Session::new(joint, AggregatedNonce::new(&nonces.values().collect::<Vec<_>>()), message)
}

pub fn combine(
    package: &Package,
    request: &Request,
    context: Context,
    contributions: &BTreeMap<u8, &[u8]>,
) -> Result<Vec<u8>> {
    let (mut digests, mut encoded, mut partials) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for (&sender, body) in contributions {
        let mut fields = Fields::of(sender, body);
        digests.push(*fields.take::<32>()?);
        encoded.insert(sender, fields.take::<66>()?.as_slice());
        let partial = PartialSignature::from_byte_array(fields.take()?);
        fields.finish()?;
        partials.insert(sender, partial.map_err(|_| Fault::MalformedMessage { sender, what: "not a scalar" })?);
    }
    let (digest, nonces) = (context.list(&encoded), nonces(&encoded)?);
    if digests.iter().any(|claimed| *claimed != digest) {
        return Err(Fault::aborted("the signers do not agree on their nonces"));
    }
    let message = message(request)?;
    let joint = joint_key(package, request.tweak.as_deref())?;
    let session = session(&joint, &nonces, &message);
    let culprits = wrong(&session, &joint, &keys(package)?, &nonces, &partials);
    if !culprits.is_empty() {
        return Err(Fault::BadShare { verdict: Verdict::Proof, culprits });
    }
    let signature = session.partial_sig_agg(&partials.values().collect::<Vec<_>>());
    let signature = signature.verify(&joint.agg_pk(), &message).map_err(Fault::aborted)?;
    Ok(signature.to_byte_array().to_vec())
}

/// Whose partial signature does not verify under its own nonce and key.
fn wrong(
    session: &Session,
    joint: &KeyAggCache,
    keys: &[PublicKey],
    nonces: &BTreeMap<u8, PublicNonce>,
    partials: &BTreeMap<u8, PartialSignature>,
) -> Vec<u8> {
    let signers = partials.iter().zip(nonces.values()).zip(keys);
    signers
        .filter(|(((_, partial), nonce), key)| !session.partial_verify(joint, partial, nonce, **key))
        .map(|(((party, _), _), _)| *party)
        .collect()
}
