//! Pairwise state: the oblivious transfers for multiplication, both ways, and the seed for shares of zero.
//!
//! A share's state is one immutable `Party` behind an `Arc`, replaced as a whole when a pair changes. Signing borrows it
//! by reference count: no copy of 50 KB a peer for each signature, and no lock while anything is computed. A link's
//! flag reaches the signings that hold an older `Party`: once a pair is cut, they stop too.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dkls23_core::protocols::derivation::DerivData;
use dkls23_core::protocols::{Parameters, PartyIndex};
use dkls23_core::utilities::hashes::scalar_to_bytes;
use dkls23_core::utilities::multiplication::{MulReceiver, MulSender};
use dkls23_core::utilities::zero_shares::{SeedPair, ZeroShare};
use k256::elliptic_curve::ff::PrimeField;
use k256::elliptic_curve::group::GroupEncoding;
use k256::{AffinePoint, Scalar, Secp256k1};
use zeroize::Zeroizing;

use super::{Party, party_index};
use crate::error::{Fault, Result};
use crate::share::{Material, Package, Pairwise, Share};
use crate::transcript::hash;

/// One pair's state as this party holds it.
pub struct Pairing {
    pub sender: MulSender<Secp256k1>,
    pub receiver: MulReceiver<Secp256k1>,
    pub seed: SeedPair,
    pub session: [u8; 32],
}

/// Whether a pair's state may still be used, and its public fingerprint.
pub struct Link {
    peer: u8,
    digest: [u8; 32],
    live: AtomicBool,
}

#[derive(Clone)]
struct Snapshot {
    party: Arc<Party>,
    links: BTreeMap<u8, Arc<Link>>,
}

pub struct Pairs(RwLock<Snapshot>);

impl Pairs {
    /// Nobody is paired: a share that comes out of its seal.
    pub fn empty(material: &Material) -> Result<Self> {
        let party = hollow(&material.package, material.index, material.session, scalar_of(&material.secret)?)?;
        Ok(Self(RwLock::new(Snapshot { party: Arc::new(party), links: BTreeMap::new() })))
    }

    /// Everybody is paired: a share that comes out of the DKG.
    pub fn complete(party: Party, session: &[u8; 32]) -> Self {
        let peers = party.mul_senders.keys();
        let links = peers.map(|peer| (peer.as_u8(), Arc::new(Link::new(&party, *peer, session)))).collect();
        Self(RwLock::new(Snapshot { party: Arc::new(party), links }))
    }

    pub fn of(share: &Share) -> Result<Arc<Self>> {
        let pairwise: Arc<dyn Any + Send + Sync> =
            share.pairwise.clone().ok_or(Fault::Misuse { why: "not a share of this suite" })?;
        pairwise.downcast().map_err(|_| Fault::Misuse { why: "not a share of this suite" })
    }

    /// The party to sign with and its links to the other `signers`.
    pub fn with(&self, signers: &[u8]) -> Result<(Arc<Party>, Links)> {
        let Snapshot { party, links } = self.read();
        let me = party.party_index.as_u8();
        let others = || signers.iter().copied().filter(|signer| *signer != me);
        let peers: Vec<u8> = others().filter(|peer| !links.contains_key(peer)).collect();
        if !peers.is_empty() {
            return Err(Fault::NotPaired { peers });
        }
        let links = others().filter_map(|peer| links.get(&peer).cloned()).collect();
        Ok((party, Links(links)))
    }

    pub fn install(&self, peer: u8, pairing: Pairing) -> Result<()> {
        let index = party_index(peer)?;
        self.replace(peer, |party| {
            party.zero_share.seeds.push(pairing.seed);
            party.mul_senders.insert(index, pairing.sender);
            party.mul_receivers.insert(index, pairing.receiver);
            Some(Arc::new(Link::new(party, index, &pairing.session)))
        });
        Ok(())
    }

    /// Cuts `peer` off in a copy of the party, lets `extend` add to the copy, and puts the copy in place.
    fn replace(&self, peer: u8, extend: impl FnOnce(&mut Party) -> Option<Arc<Link>>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut party = Party::clone(&held.party);
        party.zero_share.seeds.retain(|seed| seed.index_counterparty.as_u8() != peer);
        party.mul_senders.retain(|index, _| index.as_u8() != peer);
        party.mul_receivers.retain(|index, _| index.as_u8() != peer);
        let link = extend(&mut party);
        held.party = Arc::new(party);
        if let Some(old) = held.links.remove(&peer) {
            old.live.store(false, Ordering::SeqCst);
        }
        held.links.extend(link.map(|link| (peer, link)));
    }

    fn read(&self) -> Snapshot {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Pairwise for Pairs {
    fn paired(&self) -> Vec<u8> {
        self.read().links.into_keys().collect()
    }

    fn unpair(&self, peer: u8) {
        self.replace(peer, |_| None);
    }

    fn digest(&self, peer: u8) -> Option<[u8; 32]> {
        self.read().links.get(&peer).map(|link| link.digest)
    }
}

/// The links that one signing rests on.
pub struct Links(Vec<Arc<Link>>);

impl Links {
    /// Refuses to go on where a pair has been cut or set up anew since the signing began.
    pub fn check(&self) -> Result<()> {
        let cut = self.0.iter().filter(|link| !link.live.load(Ordering::SeqCst));
        let peers: Vec<u8> = cut.map(|link| link.peer).collect();
        if peers.is_empty() { Ok(()) } else { Err(Fault::NotPaired { peers }) }
    }
}

impl Link {
    /// The digest covers both public gadgets, each drawn from a fresh nonce of its receiver; both ends compute it alike.
    fn new(party: &Party, peer: PartyIndex, session: &[u8; 32]) -> Self {
        let me = party.party_index;
        let bytes = |gadget: Option<&Vec<Scalar>>| -> Vec<u8> {
            gadget.into_iter().flatten().flat_map(scalar_to_bytes::<Secp256k1>).collect()
        };
        let receiving = bytes(party.mul_receivers.get(&peer).map(|state| &state.public_gadget));
        let sending = bytes(party.mul_senders.get(&peer).map(|state| &state.public_gadget));
        let (low, high) = if me < peer { (receiving, sending) } else { (sending, receiving) };
        let ends = [me.min(peer).as_u8(), me.max(peer).as_u8()];
        let digest = hash("strongroom/native/dkls23/pairing/v1", &[session, &ends, &low, &high]);
        Self { peer: peer.as_u8(), digest, live: AtomicBool::new(true) }
    }
}

/// A party with its share and without any pairwise state.
pub fn hollow(package: &Package, index: u8, session: [u8; 32], poly_point: Zeroizing<Scalar>) -> Result<Party> {
    let pk = point_of(&package.public_key)?;
    let chain_code = package.chain_code.ok_or(Fault::Misuse { why: "the key has no chain code" })?;
    Ok(Party {
        parameters: Parameters::new(package.threshold, package.parties).map_err(Fault::aborted)?,
        party_index: party_index(index)?,
        session_id: session.to_vec(),
        poly_point: *poly_point,
        pk,
        zero_share: ZeroShare::initialize(Vec::new()),
        mul_senders: BTreeMap::new(),
        mul_receivers: BTreeMap::new(),
        derivation_data: DerivData {
            depth: 0,
            child_number: 0,
            parent_fingerprint: [0; 4],
            poly_point: *poly_point,
            pk,
            chain_code,
        },
        address: String::new(),
    })
}

pub fn scalar_of(bytes: &[u8; 32]) -> Result<Zeroizing<Scalar>> {
    let scalar = Option::<Scalar>::from(Scalar::from_repr((*bytes).into()));
    scalar.map(Zeroizing::new).ok_or(Fault::SealMismatch { what: "the secret share is not a scalar" })
}

fn point_of(bytes: &[u8]) -> Result<AffinePoint> {
    let repr = bytes.try_into().ok();
    let point = repr.and_then(|repr| Option::<AffinePoint>::from(AffinePoint::from_bytes(&repr)));
    point.ok_or(Fault::Misuse { why: "not a compressed secp256k1 public key" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(threshold: u8, parties: u8) -> Package {
        let generator = AffinePoint::GENERATOR.to_bytes().to_vec();
        Package {
            suite: "dkls23-secp256k1".to_owned(),
            threshold,
            parties,
            verification_shares: vec![generator.clone(); parties.into()],
            public_key: generator,
            chain_code: Some([0; 32]),
        }
    }

    /// A package comes from outside: from a seal, or from whoever asks for a combination.
    #[test]
    fn a_package_whose_threshold_shares_nothing_makes_no_party() {
        let party = |package: &Package| hollow(package, 1, [0; 32], Zeroizing::new(Scalar::ONE));
        for (threshold, parties) in [(0, 3), (1, 3), (4, 3)] {
            assert_eq!(party(&package(threshold, parties)).err().unwrap().code(), "aborted");
        }
        assert!(party(&package(2, 3)).is_ok());
    }
}
