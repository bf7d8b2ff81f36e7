//! One party's share of one key, and what anyone may know of that key.
#![forbid(unsafe_code)]

use std::any::Any;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Fault, Result};
use crate::suites::{self, Suite};
use crate::wire;

/// The roster numbers parties 1..=9; no suite here needs more, and the DKG of DKLs23 grows with the square.
pub const MAX_PARTIES: u8 = 9;

/// What `combine` needs and anyone may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub suite: String,
    pub threshold: u8,
    pub parties: u8,
    pub public_key: Vec<u8>,
    /// By party number, 1 first.
    pub verification_shares: Vec<Vec<u8>>,
    pub chain_code: Option<[u8; 32]>,
}

impl Package {
    const VERSION: u8 = 1;

    pub fn encode(&self) -> Result<Vec<u8>> {
        wire::encode(&(Self::VERSION, self))
    }

    pub fn decode(suite: &dyn Suite, bytes: &[u8]) -> Result<Self> {
        match wire::decode::<(u8, Self)>(bytes) {
            Some((Self::VERSION, package)) if package.is_sound() && package.suite == suite.info().suite => Ok(package),
            _ => Fault::misuse("not a public package of this suite"),
        }
    }

    pub fn is_sound(&self) -> bool {
        (2..=MAX_PARTIES).contains(&self.parties)
            && (2..=self.parties).contains(&self.threshold)
            && self.verification_shares.len() == usize::from(self.parties)
    }

    pub fn verification_share(&self, party: u8) -> Result<&[u8]> {
        let share = self.verification_shares.get(usize::from(party).wrapping_sub(1));
        share.map(Vec::as_slice).ok_or(Fault::Misuse { why: "no party of that number" })
    }
}

/// Everything of a share that survives a restart.
pub struct Material {
    pub package: Package,
    pub index: u8,
    /// The DKG's session, which later protocols of the suite bind to.
    pub session: [u8; 32],
    pub secret: Zeroizing<[u8; 32]>,
}

/// Pairwise state of the suites that have it; lives in this process only.
pub trait Pairwise: Any + Send + Sync {
    fn paired(&self) -> Vec<u8>;
    fn unpair(&self, peer: u8);
    fn digest(&self, peer: u8) -> Option<[u8; 32]>;
}

pub struct Share {
    pub suite: &'static dyn Suite,
    pub material: Material,
    /// None where the suite has no pairwise state.
    pub pairwise: Option<Arc<dyn Pairwise>>,
}

impl Share {
    pub fn others(&self) -> impl Iterator<Item = u8> {
        let me = self.material.index;
        (1..=self.material.package.parties).filter(move |party| *party != me)
    }

    pub fn paired(&self) -> Vec<u8> {
        self.pairwise.as_ref().map_or_else(|| self.others().collect(), |pairwise| pairwise.paired())
    }

    pub fn unpair(&self, peer: u8) {
        if let Some(pairwise) = &self.pairwise {
            pairwise.unpair(peer);
        }
    }

    pub fn pairing_digest(&self, peer: u8) -> Option<[u8; 32]> {
        self.pairwise.as_ref()?.digest(peer)
    }

    /// The secret share belongs to its verification share, and the verification shares to the public key.
    pub fn check(&self) -> Result<()> {
        if self.suite.matches(&self.material)? {
            Ok(())
        } else {
            Err(Fault::SealMismatch {
                what: "the secret share does not belong to its verification share and public key",
            })
        }
    }

    /// A share back from its seal: no pairwise state yet.
    pub fn restore(material: Material) -> Result<Arc<Self>> {
        let suite = suites::find(&material.package.suite)?;
        let pairwise = suite.unpaired(&material)?;
        Ok(Arc::new(Self { suite, material, pairwise }))
    }
}
