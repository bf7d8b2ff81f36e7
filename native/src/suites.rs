//! The suites: one trait, one line of registration each.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ceremony::Round;
use crate::dkls23::Dkls23;
use crate::error::{Fault, Result};
use crate::frost::Frost;
use crate::musig2::Musig2;
use crate::share::{Material, Package, Pairwise, Share};
use crate::transcript::Context;

static SUITES: [&dyn Suite; 4] = [
    &Dkls23,
    &Frost::<frost_ed25519::Ed25519Sha512>::SUITE,
    &Frost::<frost_secp256k1_tr::Secp256K1Sha256TR>::SUITE,
    &Musig2,
];

/// What the roster of a wallet and `suites()` say of a suite.
pub struct Info {
    pub suite: &'static str,
    pub curve: &'static str,
    pub library: &'static str,
    pub version: &'static str,
    /// "none" where nobody outside the authors has audited the library.
    pub auditor: &'static str,
    /// Where the library draws its randomness.
    pub randomness: &'static str,
    pub pairwise: bool,
    /// Signs under a BIP-341 output key, so that `tweak` means something to it.
    pub taproot: bool,
    /// n of n: every party signs.
    pub all_sign: bool,
    /// Rounds of messages, by kind of ceremony; a signer's contribution comes on top.
    pub rounds: &'static [(&'static str, u8)],
}

pub struct Group {
    pub index: u8,
    pub threshold: u8,
    pub parties: u8,
}

/// What a set of signers agrees on before the first message.
pub struct Request {
    pub signers: Vec<u8>,
    pub message: Vec<u8>,
    /// BIP-341: None signs under the bare key, an empty root under the key-path-only output key.
    pub tweak: Option<Vec<u8>>,
    /// BIP-32 steps from the key to the one that signs; empty for the key itself.
    pub path: Vec<u32>,
}

pub trait Suite: Sync {
    fn info(&self) -> &'static Info;

    fn dkg(&self, group: Group, context: Context) -> Result<Box<dyn Round>>;

    /// Fresh pairwise state with `peer`, replacing what was there.
    fn pair(&self, _share: Arc<Share>, _peer: u8, _context: Context) -> Result<Box<dyn Round>> {
        Fault::misuse("this suite has no pairwise state")
    }

    fn sign(&self, share: Arc<Share>, request: Request, context: Context) -> Result<Box<dyn Round>>;

    /// `contributions` are bodies, from exactly the request's signers.
    fn combine(
        &self,
        package: &Package,
        request: &Request,
        context: Context,
        contributions: &BTreeMap<u8, &[u8]>,
    ) -> Result<Vec<u8>>;

    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8], tweak: Option<&[u8]>) -> Result<bool>;

    /// Whether the secret share belongs to its verification share, and the verification shares to the public key.
    fn matches(&self, material: &Material) -> Result<bool>;

    /// Room for pairwise state that is not set up yet; None for suites without.
    fn unpaired(&self, _material: &Material) -> Result<Option<Arc<dyn Pairwise>>> {
        Ok(None)
    }
}

pub fn all() -> impl Iterator<Item = &'static Info> {
    SUITES.iter().map(|suite| suite.info())
}

pub fn find(name: &str) -> Result<&'static dyn Suite> {
    let found = SUITES.iter().find(|suite| suite.info().suite == name);
    found.copied().ok_or(Fault::Misuse { why: "no suite of that name" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = include_str!("../Cargo.lock");
        for info in all() {
            let entry = format!("name = \"{}\"\nversion = \"{}\"", info.library, info.version);
            assert!(lock.contains(&entry), "{entry}");
        }
    }
}
