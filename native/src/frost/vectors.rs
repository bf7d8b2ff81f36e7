//! RFC 9591, appendix E.1: FROST(Ed25519, SHA-512), through the rounds and `combine` of this module.

use std::collections::BTreeMap;

use frost_core::keys::{SigningShare, VerifyingShare};
use frost_core::round1::{Nonce, NonceCommitment, SigningCommitments, SigningNonces};
use frost_ed25519::Ed25519Sha512;
use zeroize::Zeroizing;

use super::Frost;
use super::sign::{Commit, Contribute};
use crate::ceremony::{Inbox, Next, Outcome, Round};
use crate::share::{Material, Package};
use crate::suites::{Request, Suite};
use crate::transcript::Context;

const PUBLIC_KEY: &str = "15d21ccd7ee42959562fc8aa63224c8851fb3ec85a3faf66040d380fb9738673";
const MESSAGE: &str = "74657374";
const SHARES: [&str; 3] = [
    "929dcc590407aae7d388761cddb0c0db6f5627aea8e217f4a033f2ec83d93509",
    "a91e66e012e4364ac9aaa405fcafd370402d9859f7b6685c07eed76bf409e80d",
    "d3cb090a075eb154e82fdb4b3cb507f110040905468bb9c46da8bdea643a9a02",
];
const SIGNATURE: &str = "154fb694ee7fcb37bf2381d94488c2a84b03b3352ad085feca81ad26d45852b7\
                         ecfe971ce4da95c4a95db93ac376b053897fca212ef85f99cf696bffeb178f07";

struct Signer {
    index: u8,
    nonces: [&'static str; 2],
    commitments: [&'static str; 2],
    share: &'static str,
}

const SIGNERS: [Signer; 2] = [
    Signer {
        index: 1,
        nonces: [
            "ef6599dea4010581a72b3018c37c29a4341d7cab0773e8687ca74dcf14009701",
            "2baadfa0c69aa60d517ad4751de372a73f9d89cfc39026601f18458cdec12605",
        ],
        commitments: [
            "9b116f12589591a7e23fe8048059ab10ab48e67739e7a2fb3890f61a7999478c",
            "c39b66b7dfccb122da24f13587f9a08c4347cae70046ca15169adf90ba65854d",
        ],
        share: "60997f0142e43e8005027fe5ab7447dac00d22c2d7ddd9571a02613ba7d81c08",
    },
    Signer {
        index: 3,
        nonces: [
            "80f8d9a4b8f9366e1a0b618107c907cd3ee29fa9bb40b4691cc1bde696240005",
            "2610b664a5a187b4855e87d2ff485bebdf043dc2f161fcd4854cd01dc0276404",
        ],
        commitments: [
            "e679a2a971748ccfaabead4dbe8ac1def61275c186c79d471e1e45091ad1e687",
            "b2a942478453fabb6bd3181c56ba657413447b4136e1daea2484d396d1a516b3",
        ],
        share: "79390e78bc59699c7af831f8f5fb478ec871a85f561a8641b5670ac4443f720f",
    },
];

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn package() -> Package {
    let verifying = |share: &&str| {
        let secret = SigningShare::<Ed25519Sha512>::deserialize(&bytes(share)).unwrap();
        VerifyingShare::from(secret).serialize().unwrap()
    };
    Package {
        suite: "frost-ed25519".into(),
        threshold: 2,
        parties: 3,
        public_key: bytes(PUBLIC_KEY),
        verification_shares: SHARES.iter().map(verifying).collect(),
        chain_code: None,
    }
}

fn material(index: u8) -> Material {
    let secret = bytes(SHARES[usize::from(index) - 1]).try_into().unwrap();
    Material { package: package(), index, session: [0; 32], secret: Zeroizing::new(secret) }
}

fn commitments(signer: &Signer) -> Vec<u8> {
    let [hiding, binding] = signer.commitments.map(|hex| NonceCommitment::deserialize(&bytes(hex)).unwrap());
    SigningCommitments::<Ed25519Sha512>::new(hiding, binding).serialize().unwrap()
}

/// The body of the contribution of `SIGNERS[own]`, made with the vector's nonces.
fn contribution(own: usize, context: Context) -> Vec<u8> {
    let (signer, other) = (&SIGNERS[own], &SIGNERS[1 - own]);
    let key = super::keys::key_package::<Ed25519Sha512>(&material(signer.index)).unwrap();
    let [hiding, binding] = signer.nonces.map(|hex| Nonce::deserialize(&bytes(hex)).unwrap());
    let commit = Commit { key, me: signer.index, message: bytes(MESSAGE), context };
    let round = Contribute { signer: commit, nonces: SigningNonces::from_nonces(hiding, binding) };
    let theirs = commitments(other);
    let inbox = Inbox { broadcast: BTreeMap::from([(other.index, &theirs[..])]), private: BTreeMap::new() };
    match Box::new(round).advance(&inbox) {
        Ok(Next::Done(Outcome::Contribution(body))) => body,
        _ => panic!("no contribution"),
    }
}

#[test]
fn rfc_9591_shares_and_signature() {
    let context = Context::new("sign", "frost-ed25519", &[0; 32], &[]);
    let bodies = [contribution(0, context), contribution(1, context)];
    for (body, signer) in bodies.iter().zip(&SIGNERS) {
        assert_eq!(hex::encode(&body[body.len() - 32..]), signer.share);
        assert_eq!(body[32..body.len() - 32], commitments(signer));
    }
    let request = Request { signers: vec![1, 3], message: bytes(MESSAGE), tweak: None, path: Vec::new() };
    let contributions = BTreeMap::from([(1, &bodies[0][..]), (3, &bodies[1][..])]);
    let suite = Frost::<Ed25519Sha512>::SUITE;
    let signature = suite.combine(&package(), &request, context, &contributions).unwrap();
    assert_eq!(hex::encode(&signature), SIGNATURE);
    assert!(suite.verify(&bytes(PUBLIC_KEY), &bytes(MESSAGE), &signature, None).unwrap());
}

#[test]
fn rfc_9591_shares_match_their_key() {
    let suite = Frost::<Ed25519Sha512>::SUITE;
    for index in 1..=3 {
        assert!(suite.matches(&material(index)).unwrap());
    }
    let mut swapped = material(1);
    swapped.index = 2;
    assert!(!suite.matches(&swapped).unwrap());
    let mut off_the_polynomial = material(1);
    off_the_polynomial.package.verification_shares.swap(1, 2);
    assert!(!suite.matches(&off_the_polynomial).unwrap());
    let mut other_key = material(1);
    other_key.package.public_key = other_key.package.verification_shares[0].clone();
    assert!(!suite.matches(&other_key).unwrap());
}
