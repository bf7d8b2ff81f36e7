//! What the operating system knows of this process: its number, its randomness, its core dumps.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use crate::error::{Fault, Result};

static HOME: OnceLock<u32> = OnceLock::new();

/// Remembers the process that imported the module; later calls keep the first answer.
pub fn settle() {
    HOME.get_or_init(std::process::id);
}

/// To be called by every entry that may draw randomness or use a nonce, before it does.
///
/// dkls23-core draws from rand's `ThreadRng`, which `fork` copies: parent and child would draw the same instance key
/// for different messages, which gives the key away. Fresh seed first; a fork is refused besides, since it holds
/// copies of nonces too.
pub fn enter() -> Result<()> {
    if HOME.get().is_some_and(|home| *home != std::process::id()) {
        return Err(Fault::WrongProcess);
    }
    reseed()
}

fn reseed() -> Result<()> {
    rand::rng().reseed().map_err(|_| Fault::NoRandomness)
}

/// Runs `work`; a panic becomes a `Fault`, because Python's `except Exception` does not catch PyO3's `PanicException`.
pub fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Fault::Panic))
}

/// Fills from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    use rand_core::RngCore;
    let mut bytes = [0; N];
    rand_core::OsRng.try_fill_bytes(&mut bytes).map_err(|_| Fault::NoRandomness)?;
    Ok(bytes)
}

/// No core dumps, and no reading of this process's memory by others of the same user (ptrace, /proc/pid/mem).
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub fn harden() -> Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` outlives the call; PR_SET_DUMPABLE takes plain integers (prctl(2), setrlimit(2)).
    let failed = unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &none) != 0 || libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) != 0
    };
    if failed { Fault::misuse("the operating system refused to harden the process") } else { Ok(()) }
}

#[cfg(not(target_os = "linux"))]
pub fn harden() -> Result<()> {
    Fault::misuse("harden_process is for Linux")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_fault() {
        assert_eq!(guard::<()>(|| panic!("bug")), Err(Fault::Panic));
    }
}
