//! A share at rest: AES-256-GCM (NIST SP 800-38D) under a data key that an HSM or KMS guards.
//!
//! `version (1) | length of suite (1) | suite | nonce (12) | ciphertext | tag (16)`. Additional data: all that stands
//! before the nonce, then the caller's. Random 96-bit nonces are good for 2^32 seals under one key (SP 800-38D, 8.3).
#![forbid(unsafe_code)]

use std::sync::Arc;

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, KeyInit};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{Fault, Result};
use crate::process;
use crate::share::{Material, Package, Share};

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
/// More than the plaintext of nine parties; fixed, so that no growing buffer leaves copies of the secret behind.
const ROOM: usize = 1024;

/// A 32-byte AES-256-GCM key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DataKey([u8; 32]);

impl DataKey {
    pub fn generate() -> Result<Self> {
        Ok(Self(process::random()?))
    }

    pub fn from_slice(raw: &[u8]) -> Result<Self> {
        raw.try_into().map(Self).map_err(|_| Fault::Misuse { why: "a data key has 32 bytes" })
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&self.0.into())
    }
}

/// The sealed part. Pairwise state and nonces have no field here, and so never rest on a disk.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    index: u8,
    session: [u8; 32],
    package: std::borrow::Cow<'a, Package>,
    secret: Zeroizing<[u8; 32]>,
}

pub fn seal(share: &Share, key: &DataKey, aad: &[u8]) -> Result<Vec<u8>> {
    let material = &share.material;
    let content = Sealed {
        index: material.index,
        session: material.session,
        package: std::borrow::Cow::Borrowed(&material.package),
        secret: material.secret.clone(),
    };
    let mut room = Zeroizing::new([0u8; ROOM]);
    let text = postcard::to_slice(&content, &mut room[..ROOM - TAG]).map_err(Fault::aborted)?;

    let head = head(share.suite.info().suite);
    let nonce: [u8; NONCE] = process::random()?;
    let tag = key
        .cipher()
        .encrypt_in_place_detached(&nonce.into(), &[&head, aad].concat(), text)
        .map_err(|_| Fault::aborted("AES-GCM refused to encrypt"))?;
    Ok([&head, &nonce[..], text, &tag].concat())
}

pub fn unseal(blob: &[u8], key: &DataKey, aad: &[u8]) -> Result<Arc<Share>> {
    const WRONG: Fault = Fault::SealMismatch { what: "wrong key, other additional data, or changed bytes" };
    let (head, rest) = split_head(blob).ok_or(WRONG)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(WRONG)?;
    let (text, tag) = rest.split_last_chunk::<TAG>().ok_or(WRONG)?;
    let mut text = Zeroizing::new(text.to_vec());
    key.cipher()
        .decrypt_in_place_detached(nonce.into(), &[head, aad].concat(), &mut text, tag.into())
        .map_err(|_| WRONG)?;

    let content: Sealed = postcard::from_bytes(&text).map_err(|_| WRONG)?;
    let package = content.package.into_owned();
    if !package.is_sound() || !(1..=package.parties).contains(&content.index) || head != self::head(&package.suite) {
        return Err(WRONG);
    }
    Share::restore(Material { package, index: content.index, session: content.session, secret: content.secret })
}

fn head(suite: &str) -> Vec<u8> {
    [&[VERSION, suite.len() as u8], suite.as_bytes()].concat()
}

fn split_head(blob: &[u8]) -> Option<(&[u8], &[u8])> {
    match blob {
        [VERSION, length, ..] => blob.split_at_checked(2 + usize::from(*length)),
        _ => None,
    }
}
