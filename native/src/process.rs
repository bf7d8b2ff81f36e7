//! What this process has of the operating system: its number, its randomness, its memory.

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

/// Two arenas for the allocator (mallopt(3)) in place of eight for each processor. A signer's threads compute one after the
/// other for the most part, and each arena keeps the megabytes of a key generation: an enclave that had made seventy
/// wallets held 94 MB with two and 105 MB without, at the same speed (`make bench`, footprint).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn spare_memory() {
    // SAFETY: it takes plain integers. What it answers is not looked at: without it all is as before.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn spare_memory() {}

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
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::FromRawFd;

    use rand::RngExt;

    use super::*;

    #[test]
    fn a_panic_becomes_a_fault() {
        assert_eq!(guard::<()>(|| panic!("bug")), Err(Fault::Panic));
    }

    /// What a forked child draws from `ThreadRng` after `prepare`, and what its parent draws meanwhile.
    #[allow(unsafe_code)]
    fn drawn_after_fork(prepare: fn()) -> ([u8; 32], [u8; 32]) {
        let _warm: u64 = rand::rng().random();
        let mut ends = [0; 2];
        // SAFETY: pipe fills two descriptors; the child makes no call but draw, write and _exit.
        let (mut read, mut write) = unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
        };
        // SAFETY: as above.
        let child = unsafe { libc::fork() };
        if child == 0 {
            prepare();
            let written = write.write_all(&rand::rng().random::<[u8; 32]>());
            // SAFETY: ends the child at once, without the parent's destructors.
            unsafe { libc::_exit(i32::from(written.is_err())) }
        }
        let parents = rand::rng().random();
        let mut childs = [0; 32];
        read.read_exact(&mut childs).unwrap();
        // SAFETY: waits for our own child.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        (childs, parents)
    }

    /// The trap, and the way out of it. Should the first half ever fail, rand has learnt of forks.
    #[test]
    fn a_fork_repeats_its_parents_randomness_unless_reseeded() {
        let (child, parent) = drawn_after_fork(|| {});
        assert_eq!(child, parent);
        let (child, parent) = drawn_after_fork(|| enter().unwrap());
        assert_ne!(child, parent);
    }

    #[test]
    fn the_system_gives_other_bytes_each_time() {
        assert_ne!(random::<32>().unwrap(), random::<32>().unwrap());
    }
}
