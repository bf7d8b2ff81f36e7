//! FROST(secp256k1, SHA-256) with BIP-340 signatures and BIP-341 tweaks.
//!
//! The crate's DKG tweaks its joint key once with an unspendable script path, so that no party can hide a script path in
//! it (BIP-341, "Constructing and spending Taproot outputs"). That key is the wallet's `public_key` here; a `tweak` comes on top.

use frost_core::keys::{KeyPackage, PublicKeyPackage};
use frost_secp256k1_tr::Secp256K1Sha256TR;
use frost_secp256k1_tr::keys::Tweak;

use super::Kind;
use crate::error::Result;
use crate::secp;
use crate::suites::Info;

impl Kind for Secp256K1Sha256TR {
    const INFO: Info = Info {
        suite: "frost-secp256k1-tr",
        curve: "secp256k1",
        library: "frost-secp256k1-tr",
        version: "3.0.0",
        auditor: "none",
        randomness: "the operating system",
        pairwise: false,
        taproot: true,
        all_sign: false,
        rounds: &[("dkg", 2), ("sign", 1)],
    };

    fn tweak_key(key: KeyPackage<Self>, tweak: Option<&[u8]>) -> Result<KeyPackage<Self>> {
        Ok(if tweak.is_some() { key.tweak(tweak) } else { key })
    }

    fn tweak_public(public: PublicKeyPackage<Self>, tweak: Option<&[u8]>) -> Result<PublicKeyPackage<Self>> {
        Ok(if tweak.is_some() { public.tweak(tweak) } else { public })
    }

    fn verify(public_key: &[u8], message: &[u8], signature: &[u8], tweak: Option<&[u8]>) -> Result<bool> {
        secp::verify_bip340(public_key, message, signature, tweak)
    }
}
