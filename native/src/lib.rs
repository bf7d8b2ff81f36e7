//! `strongroom_native`: published threshold-signature crates behind one ceremony seam.
#![deny(unsafe_code)] // process.rs alone: prctl and setrlimit
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
pub mod ceremony;
mod dkls23;
pub mod error;
mod feldman;
mod frost;
mod musig2;
pub mod process;
pub mod seal;
mod secp;
pub mod share;
pub mod suites;
pub mod transcript;
mod wire;

#[cfg(feature = "python")]
mod python;
