//! MuSig2 (BIP-327), n of n, with libsecp256k1.
#![forbid(unsafe_code)]

mod dkg;
mod sign;

use std::collections::BTreeMap;
use std::sync::Arc;

use secp256k1::musig::KeyAggCache;
use secp256k1::{Keypair, PublicKey};

use crate::ceremony::Round;
use crate::error::{Fault, Result};
use crate::secp;
use crate::share::{Material, Package, Share};
use crate::suites::{Group, Info, Request, Suite};
use crate::transcript::Context;

pub struct Musig2;

impl Suite for Musig2 {
    fn info(&self) -> &'static Info {
        &Info {
            suite: "musig2-secp256k1",
            curve: "secp256k1",
            library: "secp256k1",
            version: "0.33.1",
            auditor: "none",
            randomness: "the operating system",
            pairwise: false,
            taproot: true,
            all_sign: true,
            rounds: &[("dkg", 2), ("sign", 1)],
        }
    }

    fn dkg(&self, group: Group, context: Context) -> Result<Box<dyn Round>> {
        dkg::begin(group, context)
    }

    fn sign(&self, share: Arc<Share>, request: Request, context: Context) -> Result<Box<dyn Round>> {
        sign::begin(&share, request, context)
    }

    fn combine(
        &self,
        package: &Package,
        request: &Request,
        context: Context,
        contributions: &BTreeMap<u8, &[u8]>,
    ) -> Result<Vec<u8>> {
        sign::combine(package, request, context, contributions)
    }

    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8], tweak: Option<&[u8]>) -> Result<bool> {
        secp::verify_bip340(public_key, message, signature, tweak)
    }

    fn matches(&self, material: &Material) -> Result<bool> {
        let package = &material.package;
        let own = keypair(&material.secret)?.public_key().serialize();
        let joint = aggregate(&keys(package)?).agg_pk_full().serialize();
        Ok(own == package.verification_share(material.index)? && joint == package.public_key[..])
    }
}

fn keypair(secret: &[u8; 32]) -> Result<Keypair> {
    Keypair::from_secret_bytes(*secret).map_err(|_| Fault::SealMismatch { what: "the secret share is not a key" })
}

fn keys(package: &Package) -> Result<Vec<PublicKey>> {
    package.verification_shares.iter().map(|key| secp::public_key_of(key)).collect()
}

/// Keys in the order of their parties: BIP-327 lets the protocol choose, and the roster has an order.
fn aggregate(keys: &[PublicKey]) -> KeyAggCache {
    KeyAggCache::new(&keys.iter().collect::<Vec<_>>())
}

#[cfg(test)]
mod vectors;
