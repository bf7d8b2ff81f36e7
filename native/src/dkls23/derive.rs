//! BIP-32 children of a key, by steps that are not hardened: a hardened one hashes the whole secret, which nobody has.
//!
//! Each step adds the same public number to every share, so each party derives alone, and the shares stay on one
//! polynomial. What a pair has set up by oblivious transfer depends on no key, and `derive_from_path` copies it unchanged.
//! It may serve many keys (dkls23-core 0.6.2, `protocols/signing.rs`):
//!
//! - `mul_session_id` and `zero_session_id` hash the sign id, the chain code, the public key in use, the digest and the
//!   signers, so that no two keys ever run under one id. Our sign id is a `Context`, which covers the path as well.
//! - Each extension of a transfer mixes in nonces that both sides draw afresh (`OteNonce`): repeating an id leaks nothing.
//! - `session_binding` covers the key too, and is compared before any check of a transfer: a peer that signs for another
//!   path ends the signing, but is no cheat to be banned for it.

use super::Party;
use crate::error::{Fault, Result};

/// The party of the child key, its own copy of the pairwise state in it; all of it is wiped on drop.
pub fn child(party: &Party, path: &[u32]) -> Result<Party> {
    let path = std::iter::once("m".to_owned()).chain(path.iter().map(u32::to_string)).collect::<Vec<_>>().join("/");
    party.derive_from_path(&path, |_| String::new()).map_err(|_| Fault::Misuse { why: "this path has no key" })
}
