//! Verification on secp256k1 with libsecp256k1, which made none of the signatures of the threshold suites.
#![forbid(unsafe_code)]

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Parity, PublicKey, Scalar, XOnlyPublicKey, schnorr};
use sha2::{Digest, Sha256};

use crate::error::{Fault, Result};

/// ECDSA: r || s || recovery id, s in the lower half, the id the one that recovers this key.
pub fn verify_ecdsa(public_key: &[u8], digest: &[u8; 32], signature: &[u8]) -> Result<bool> {
    let key = public_key_of(public_key)?;
    let Some((&id, compact)) = signature.split_last().filter(|(_, compact)| compact.len() == 64) else {
        return Ok(false);
    };
    let Ok(id) = RecoveryId::try_from(i32::from(id)) else { return Ok(false) };
    let Ok(signature) = RecoverableSignature::from_compact(compact, id) else { return Ok(false) };
    let message = Message::from_digest(*digest);
    // libsecp256k1 verifies low s only; recovery alone would take a high one.
    let verified = signature.to_standard().verify(message, &key).is_ok();
    Ok(verified && signature.recover(message).is_ok_and(|recovered| recovered == key))
}

/// BIP-340, under `public_key` (33 bytes, its parity ignored) or its BIP-341 output key.
pub fn verify_bip340(public_key: &[u8], message: &[u8], signature: &[u8], tweak: Option<&[u8]>) -> Result<bool> {
    let (mut key, _) = public_key_of(public_key)?.x_only_public_key();
    if let Some(root) = tweak {
        key = tweaked(key, root)?;
    }
    let signature = signature.try_into().map(schnorr::Signature::from_byte_array);
    Ok(signature.is_ok_and(|signature| signature.verify(message, &key).is_ok()))
}

pub fn output_key(public_key: &[u8], root: &[u8]) -> Result<[u8; 32]> {
    let (key, _) = public_key_of(public_key)?.x_only_public_key();
    Ok(tweaked(key, root)?.to_byte_array())
}

/// hashTapTweak(key || root), BIP-341.
pub fn tap_tweak(key: XOnlyPublicKey, root: &[u8]) -> Result<Scalar> {
    let tag = Sha256::digest(b"TapTweak");
    let mut hash = Sha256::new();
    for part in [&tag[..], &tag[..], &key.to_byte_array(), root] {
        hash.update(part);
    }
    Scalar::from_be_bytes(hash.finalize().into()).map_err(Fault::aborted)
}

pub fn public_key_of(bytes: &[u8]) -> Result<PublicKey> {
    let compressed = bytes.try_into().ok().and_then(|bytes| PublicKey::from_byte_array_compressed(bytes).ok());
    compressed.ok_or(Fault::Misuse { why: "not a compressed secp256k1 public key" })
}

fn tweaked(key: XOnlyPublicKey, root: &[u8]) -> Result<XOnlyPublicKey> {
    let (output, _): (_, Parity) = key.add_tweak(&tap_tweak(key, root)?).map_err(Fault::aborted)?;
    Ok(output)
}
