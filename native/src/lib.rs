//! `strongroom_native`: published threshold-signature crates behind one ceremony seam.
//!
//! `ceremony` is the seam and its bookkeeping; `suites` lists what stands behind it: `dkls23`, `frost`, `musig2`. `api`
//! checks arguments, `python` converts them. `share` and `seal` keep keys; `transcript` and `wire` make and read the
//! bytes on the wire; `feldman` and `secp` check keys and signatures; `process` knows forks, panics and core dumps.
#![deny(unsafe_code)] // process.rs alone: prctl, setrlimit and mallopt
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
