//! The functions of the module, before Python: arguments are checked here, once, for every suite.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ceremony::Ceremony;
use crate::error::{Fault, Result};
use crate::secp;
use crate::share::{MAX_PARTIES, Package, Share};
use crate::suites::{self, Group, Request};
use crate::transcript::{CONTRIBUTION, Context, HEADER};

/// Purpose, coin, account, chain, index (BIP-44).
const MAX_STEPS: usize = 5;

const HARDENED: u32 = 1 << 31;

pub fn dkg(suite: &str, session: &[u8], index: u8, threshold: u8, parties: u8) -> Result<Ceremony> {
    let suite = suites::find(suite)?;
    if !(2..=MAX_PARTIES).contains(&parties) || !(2..=parties).contains(&threshold) {
        return Fault::misuse("2 <= threshold <= parties <= 9");
    }
    if !(1..=parties).contains(&index) {
        return Fault::misuse("a party's number is one of 1..=parties");
    }
    let name = suite.info().suite;
    let context = Context::new("dkg", name, of_session(session)?, &[&[threshold, parties]]);
    let first = suite.dkg(Group { index, threshold, parties }, context)?;
    Ok(Ceremony::new("dkg", name, context, index, 1..=parties, first))
}

pub fn pair(share: &Arc<Share>, session: &[u8], peer: u8) -> Result<Ceremony> {
    if !share.others().any(|other| other == peer) {
        return Fault::misuse("the peer is not another party of this key");
    }
    let (suite, material) = (share.suite, &share.material);
    let (me, name) = (material.index, suite.info().suite);
    let pair = [me.min(peer), me.max(peer)];
    let parts: [&[u8]; 3] = [&material.session, &material.package.public_key, &pair];
    let context = Context::new("pair", name, of_session(session)?, &parts);
    let first = suite.pair(share.clone(), peer, context)?;
    Ok(Ceremony::new("pair", name, context, me, pair, first))
}

pub fn sign(
    share: &Arc<Share>,
    session: &[u8],
    signers: Vec<u8>,
    message: Vec<u8>,
    tweak: Option<Vec<u8>>,
    path: Vec<u32>,
) -> Result<Ceremony> {
    let (suite, material) = (share.suite, &share.material);
    let request = of_request(&material.package, signers, message, tweak, path)?;
    let (me, name, signers) = (material.index, suite.info().suite, request.signers.clone());
    if !signers.contains(&me) {
        return Fault::misuse("this party is not among the signers");
    }
    let context = of_signing(&material.package, of_session(session)?, &request);
    let first = suite.sign(share.clone(), request, context)?;
    Ok(Ceremony::new("sign", name, context, me, signers, first))
}

pub fn combine(
    suite: &str,
    public_package: &[u8],
    session: &[u8],
    message: Vec<u8>,
    contributions: &[(u8, &[u8])],
    tweak: Option<Vec<u8>>,
    path: Vec<u32>,
) -> Result<Vec<u8>> {
    let suite = suites::find(suite)?;
    let package = Package::decode(suite, public_package)?;
    let signers = contributions.iter().map(|(signer, _)| *signer).collect();
    let request = of_request(&package, signers, message, tweak, path)?;
    let context = of_signing(&package, of_session(session)?, &request);

    let mut bodies = BTreeMap::new();
    for &(signer, contribution) in contributions {
        let (header, body) = contribution
            .split_first_chunk::<HEADER>()
            .ok_or(Fault::MalformedMessage { sender: signer, what: "shorter than a header" })?;
        if *header != context.header(CONTRIBUTION, signer, 0) {
            return Err(Fault::ForeignMessage { sender: signer });
        }
        bodies.insert(signer, body);
    }
    suite.combine(&package, &request, context, &bodies)
}

pub fn verify(suite: &str, public_key: &[u8], message: &[u8], signature: &[u8], tweak: Option<&[u8]>) -> Result<bool> {
    let suite = suites::find(suite)?;
    of_tweak(tweak)?;
    suite.verify(public_key, message, signature, tweak)
}

pub fn output_key(public_key: &[u8], tweak: &[u8]) -> Result<[u8; 32]> {
    of_tweak(Some(tweak))?;
    secp::output_key(public_key, tweak)
}

/// Exactly `threshold` distinct signers, sorted.
fn of_request(
    package: &Package,
    mut signers: Vec<u8>,
    message: Vec<u8>,
    tweak: Option<Vec<u8>>,
    path: Vec<u32>,
) -> Result<Request> {
    signers.sort_unstable();
    if signers.windows(2).any(|two| two[0] == two[1]) || signers.len() != usize::from(package.threshold) {
        return Fault::misuse("exactly threshold distinct signers");
    }
    if !signers.iter().all(|signer| (1..=package.parties).contains(signer)) {
        return Fault::misuse("a signer is not a party of this key");
    }
    of_tweak(tweak.as_deref())?;
    if !path.is_empty() && package.chain_code.is_none() {
        return Fault::misuse("this key derives no others");
    }
    if path.len() > MAX_STEPS || path.iter().any(|step| *step >= HARDENED) {
        return Fault::misuse("a path has at most 5 steps, none of them hardened");
    }
    Ok(Request { signers, message, tweak, path })
}

fn of_signing(package: &Package, session: &[u8; 32], request: &Request) -> Context {
    let group = [package.threshold, package.parties];
    let (tweaked, root) = (u8::from(request.tweak.is_some()), request.tweak.as_deref().unwrap_or_default());
    let path: Vec<u8> = request.path.iter().flat_map(|step| step.to_be_bytes()).collect();
    let parts: [&[u8]; 7] = [&package.public_key, &group, &request.signers, &request.message, &[tweaked], root, &path];
    Context::new("sign", &package.suite, session, &parts)
}

fn of_session(session: &[u8]) -> Result<&[u8; 32]> {
    session.try_into().map_err(|_| Fault::Misuse { why: "a session has 32 bytes" })
}

fn of_tweak(tweak: Option<&[u8]>) -> Result<()> {
    match tweak.map(<[u8]>::len) {
        None | Some(0 | 32) => Ok(()),
        Some(_) => Fault::misuse("a tweak is empty or a 32-byte script root"),
    }
}
