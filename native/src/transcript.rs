//! What both ends must agree on before a message means anything, as a hash.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Bytes before every message's body.
pub const HEADER: usize = 16;

/// The round number of a contribution to `combine`; no ceremony has as many rounds.
pub const CONTRIBUTION: u8 = u8::MAX;

/// SHA-256 of `tag` and `parts`, each behind its length, so that no two lists give the same input.
pub fn hash(tag: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Sha256::new();
    for part in std::iter::once(tag.as_bytes()).chain(parts.iter().copied()) {
        state.update((part.len() as u64).to_be_bytes());
        state.update(part);
    }
    state.finalize().into()
}

/// One ceremony: its kind, suite, session and whatever else selects what is computed.
#[derive(Clone, Copy)]
pub struct Context([u8; 32]);

impl Context {
    pub fn new(kind: &str, suite: &str, session: &[u8; 32], parts: &[&[u8]]) -> Self {
        let rest = hash("strongroom/native/context/parts/v1", parts);
        Self(hash("strongroom/native/context/v1", &[kind.as_bytes(), suite.as_bytes(), session, &rest]))
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Stands before each message, and is compared by its receiver: a replayed or misaddressed message is noticed
    /// here, before a protocol takes it for a cheat. It authenticates nobody; the channel does.
    pub fn header(&self, round: u8, sender: u8, recipient: u8) -> [u8; HEADER] {
        let digest = hash("strongroom/native/header/v1", &[&self.0, &[round, sender, recipient]]);
        let mut header = [0; HEADER];
        header.copy_from_slice(&digest[..HEADER]);
        header
    }

    /// What all signers committed to, in the order of their numbers; equal for those who saw the same.
    pub fn list(&self, commitments: &BTreeMap<u8, &[u8]>) -> [u8; 32] {
        let parts: Vec<&[u8]> = std::iter::once(&self.0[..]).chain(commitments.values().copied()).collect();
        hash("strongroom/native/list/v1", &parts)
    }

    /// A contribution to `combine`: readable by anyone, good for this one signing only.
    pub fn contribution(&self, sender: u8, body: &[u8]) -> Vec<u8> {
        [&self.header(CONTRIBUTION, sender, 0), body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(hash("t", &[b"ab", b"c"]), hash("t", &[b"a", b"bc"]));
        assert_ne!(hash("t", &[b"a"]), hash("t", &[b"a", b""]));
    }

    #[test]
    fn a_header_is_for_one_round_one_sender_one_recipient() {
        let context = Context::new("sign", "s", &[1; 32], &[]);
        let all = [context.header(1, 1, 2), context.header(2, 1, 2), context.header(1, 2, 1), context.header(1, 1, 0)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        assert_ne!(all[0], Context::new("sign", "s", &[2; 32], &[]).header(1, 1, 2));
    }
}
