//! FROST(Ed25519, SHA-512), RFC 9591 section 6.1: signatures are RFC 8032 signatures.

use frost_core::keys::{KeyPackage, PublicKeyPackage};
use frost_ed25519::{Ed25519Sha512, Signature, VerifyingKey};

use super::Kind;
use crate::error::{Fault, Result};
use crate::suites::Info;

impl Kind for Ed25519Sha512 {
    const INFO: Info = Info {
        suite: "frost-ed25519",
        curve: "ed25519",
        library: "frost-ed25519",
        version: "3.0.0",
        auditor: "NCC Group, 2023, of version 0.6.0",
        randomness: "the operating system",
        pairwise: false,
        taproot: false,
        all_sign: false,
        rounds: &[("dkg", 2), ("sign", 1)],
    };

    fn tweak_key(key: KeyPackage<Self>, tweak: Option<&[u8]>) -> Result<KeyPackage<Self>> {
        none(tweak)?;
        Ok(key)
    }

    fn tweak_public(public: PublicKeyPackage<Self>, tweak: Option<&[u8]>) -> Result<PublicKeyPackage<Self>> {
        none(tweak)?;
        Ok(public)
    }

    fn verify(public_key: &[u8], message: &[u8], signature: &[u8], tweak: Option<&[u8]>) -> Result<bool> {
        none(tweak)?;
        let key = VerifyingKey::deserialize(public_key).map_err(|_| Fault::Misuse { why: "not an Ed25519 key" })?;
        Ok(Signature::deserialize(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok()))
    }
}

fn none(tweak: Option<&[u8]>) -> Result<()> {
    if tweak.is_some() { Fault::misuse("Ed25519 has no BIP-341 tweak") } else { Ok(()) }
}
