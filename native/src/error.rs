//! The one error type. `python/error.rs` maps it, once, to the exception `NativeError`.
#![forbid(unsafe_code)]

use std::fmt;

pub type Result<T> = std::result::Result<T, Fault>;

/// Who could believe a fault's blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Anyone who holds the public messages can check it.
    Proof,
    /// Only the accuser can know: it rests on a private message.
    Accusation,
    /// The protocol names nobody.
    Unattributed,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Accusation => "accusation",
            Self::Unattributed => "unattributed",
        }
    }
}

/// A refusal or a fault. Reasons never hold secret material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A message does not decode, exactly and in full, to what the round calls for.
    MalformedMessage {
        sender: u8,
        what: &'static str,
    },
    OversizedMessage {
        sender: u8,
        length: usize,
    },
    /// A message of another session, round, sender or addressee. No blame: a stale view is enough to send one.
    ForeignMessage {
        sender: u8,
    },
    UnexpectedSender {
        sender: u8,
    },
    /// A broadcast where the round has none, or a private message where it has none.
    UnexpectedMessage {
        sender: u8,
        broadcast: bool,
    },
    DuplicateMessage {
        sender: u8,
        broadcast: bool,
    },
    MissingMessage {
        senders: Vec<u8>,
    },
    /// A share (of a key, or of a signature) that does not match the public commitments of its sender.
    BadShare {
        verdict: Verdict,
        culprits: Vec<u8>,
    },
    /// A proof of knowledge, or the opening of a commitment, that does not verify.
    BadProof {
        verdict: Verdict,
        culprit: u8,
        what: &'static str,
    },
    /// A consistency check of oblivious transfer failed; the pair's state is already destroyed.
    OtCheckFailed {
        peer: u8,
    },
    /// The protocol failed and names nobody.
    Aborted {
        why: String,
    },
    NotPaired {
        peers: Vec<u8>,
    },
    WrongProcess,
    /// The operating system gave no randomness.
    NoRandomness,
    Misuse {
        why: &'static str,
    },
    SealMismatch {
        what: &'static str,
    },
    Panic,
}

impl Fault {
    pub fn misuse<T>(why: &'static str) -> Result<T> {
        Err(Self::Misuse { why })
    }

    pub fn aborted(why: impl fmt::Display) -> Self {
        Self::Aborted { why: why.to_string() }
    }

    /// Stable: the API, the CLI and the documents share it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedMessage { .. } => "malformed_message",
            Self::OversizedMessage { .. } => "oversized_message",
            Self::ForeignMessage { .. } => "foreign_message",
            Self::UnexpectedSender { .. } => "unexpected_sender",
            Self::UnexpectedMessage { .. } => "unexpected_message",
            Self::DuplicateMessage { .. } => "duplicate_message",
            Self::MissingMessage { .. } => "missing_message",
            Self::BadShare { .. } => "bad_share",
            Self::BadProof { .. } => "bad_proof",
            Self::OtCheckFailed { .. } => "ot_check_failed",
            Self::Aborted { .. } => "aborted",
            Self::NotPaired { .. } => "not_paired",
            Self::WrongProcess => "wrong_process",
            Self::NoRandomness => "no_randomness",
            Self::Misuse { .. } => "misuse",
            Self::SealMismatch { .. } => "seal_mismatch",
            Self::Panic => "panic",
        }
    }

    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::BadShare { verdict, .. } | Self::BadProof { verdict, .. } => Some(*verdict),
            Self::MalformedMessage { .. } | Self::OversizedMessage { .. } | Self::OtCheckFailed { .. } => {
                Some(Verdict::Accusation)
            }
            Self::ForeignMessage { .. } | Self::Aborted { .. } | Self::Panic => Some(Verdict::Unattributed),
            _ => None,
        }
    }

    /// Sorted, without duplicates.
    pub fn culprits(&self) -> Vec<u8> {
        let mut named = match self {
            Self::MalformedMessage { sender, .. } | Self::OversizedMessage { sender, .. } => vec![*sender],
            Self::BadProof { culprit, .. } => vec![*culprit],
            Self::OtCheckFailed { peer } => vec![*peer],
            Self::BadShare { culprits, .. } => culprits.clone(),
            Self::NotPaired { peers } => peers.clone(),
            _ => Vec::new(),
        };
        named.sort_unstable();
        named.dedup();
        named
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |broadcast: &bool| if *broadcast { "broadcast" } else { "private message" };
        match self {
            Self::MalformedMessage { sender, what } => write!(f, "party {sender} sent a malformed message: {what}"),
            Self::OversizedMessage { sender, length } => {
                write!(f, "party {sender} sent {length} bytes, more than a message may have")
            }
            Self::ForeignMessage { sender } => {
                write!(f, "the message of party {sender} belongs to another session, round or addressee")
            }
            Self::UnexpectedSender { sender } => write!(f, "party {sender} takes no part, or is this party itself"),
            Self::UnexpectedMessage { sender, broadcast } => {
                write!(f, "this round has no {} from party {sender}", kind(broadcast))
            }
            Self::DuplicateMessage { sender, broadcast } => {
                write!(f, "a second {} from party {sender}", kind(broadcast))
            }
            Self::MissingMessage { senders } => write!(f, "messages are missing from parties {senders:?}"),
            Self::BadShare { culprits, .. } => write!(f, "wrong shares from parties {culprits:?}"),
            Self::BadProof { culprit, what, .. } => write!(f, "party {culprit}: {what}"),
            Self::OtCheckFailed { peer } => {
                write!(
                    f,
                    "an oblivious-transfer check failed with party {peer}; the pairwise state is destroyed: pair again"
                )
            }
            Self::Aborted { why } => write!(f, "the protocol aborted: {why}"),
            Self::NotPaired { peers } => write!(f, "no pairwise state with parties {peers:?}: pair first"),
            Self::WrongProcess => {
                write!(f, "this process is a fork of the one that imported the module: spawn instead")
            }
            Self::NoRandomness => write!(f, "the operating system gave no randomness"),
            Self::Misuse { why } => write!(f, "{why}"),
            Self::SealMismatch { what } => write!(f, "{what}"),
            Self::Panic => write!(f, "a bug: native code panicked; the call had no effect that may be relied on"),
        }
    }
}

impl std::error::Error for Fault {}
