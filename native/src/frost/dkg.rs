//! Distributed key generation of the FROST paper (<https://eprint.iacr.org/2020/852>, figure 1).
//!
//! Round 1, broadcast: commitments to the polynomial and a proof that its constant term is known. Round 2, private: a
//! point of it. The crate's proof binds the party but no session; the header of every message does.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use frost_core::Identifier;
use frost_core::keys::dkg::{self, round1, round2};
use rand_core::OsRng;

use super::{Frost, Kind, fault_of, identifier, keys, strict};
use crate::ceremony::{Inbox, Next, Outbox, Outcome, Round};
use crate::error::{Fault, Result};
use crate::share::Share;
use crate::suites::Group;
use crate::transcript::Context;

pub fn begin<C: Kind>(group: Group, context: Context) -> Result<Box<dyn Round>> {
    Ok(Box::new(Commit::<C> { group, context, suite: PhantomData }))
}

struct Commit<C> {
    group: Group,
    context: Context,
    suite: PhantomData<C>,
}

impl<C: Kind> Round for Commit<C> {
    fn advance(self: Box<Self>, _: &Inbox) -> Result<Next> {
        let Self { group, context, .. } = *self;
        let (index, parties, threshold) =
            (identifier::<C>(group.index)?, u16::from(group.parties), u16::from(group.threshold));
        let (secret, package) = dkg::part1(index, parties, threshold, OsRng).map_err(|error| fault_of(&error))?;
        let broadcast = Some(package.serialize().map_err(|error| fault_of(&error))?);
        Next::send(Outbox { broadcast, private: BTreeMap::new() }, Deal { group, context, secret })
    }
}

struct Deal<C: Kind> {
    group: Group,
    context: Context,
    secret: round1::SecretPackage<C>,
}

impl<C: Kind> Round for Deal<C> {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let Self { group, context, secret } = *self;
        let mut commitments = BTreeMap::new();
        for (&sender, body) in &inbox.broadcast {
            let package = strict(sender, body, round1::Package::<C>::deserialize, round1::Package::serialize)?;
            if package.commitment().coefficients().len() != usize::from(group.threshold) {
                return Err(Fault::MalformedMessage { sender, what: "a polynomial of another degree" });
            }
            commitments.insert(identifier(sender)?, package);
        }
        let (secret, points) = dkg::part2(secret, &commitments).map_err(|error| fault_of(&error))?;
        let mut private = BTreeMap::new();
        for &peer in inbox.broadcast.keys() {
            let point = points.get(&identifier(peer)?).ok_or_else(|| Fault::aborted("no point for a party"))?;
            private.insert(peer, point.serialize().map_err(|error| fault_of(&error))?);
        }
        let then = Finish { index: group.index, context, secret, commitments };
        Next::send(Outbox { broadcast: None, private }, then)
    }
}

struct Finish<C: Kind> {
    index: u8,
    context: Context,
    secret: round2::SecretPackage<C>,
    commitments: BTreeMap<Identifier<C>, round1::Package<C>>,
}

impl<C: Kind> Round for Finish<C> {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next> {
        let mut points = BTreeMap::new();
        for (&sender, body) in &inbox.private {
            let point = strict(sender, body, round2::Package::<C>::deserialize, round2::Package::serialize)?;
            points.insert(identifier(sender)?, point);
        }
        let (key, public) = dkg::part3(&self.secret, &self.commitments, &points).map_err(|error| fault_of(&error))?;
        let material = keys::material(&key, &public, self.index, *self.context.bytes())?;
        Ok(Next::Done(Outcome::Share(Arc::new(Share { suite: &Frost::<C>::SUITE, material, pairwise: None }))))
    }
}
