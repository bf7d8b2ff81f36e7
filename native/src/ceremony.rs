//! The seam that every protocol stands behind, and the bookkeeping that none of them does itself.
//!
//! A protocol is a chain of `Round`s. Each is given the messages of one round and consumed by them, so that secrets and
//! nonces move on or are dropped, and no round can run twice. Before a round sees a message, `Ceremony` has checked
//! that exactly the expected parties sent exactly the expected kinds, once each, within size, for this session.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Fault, Result};
use crate::share::Share;
use crate::transcript::{Context, HEADER};

/// The largest message of any suite (a DKG's OT set-up) has about 150 KB.
pub const MAX_MESSAGE: usize = 1 << 20;

/// One step of a protocol: takes the messages of its round and gives the next step.
pub trait Round: Send {
    fn advance(self: Box<Self>, inbox: &Inbox) -> Result<Next>;
}

pub enum Next {
    /// Send these. The others send messages of the same shape, and `then` takes them.
    Send {
        outbox: Outbox,
        then: Box<dyn Round>,
    },
    Done(Outcome),
}

impl Next {
    pub fn send(outbox: Outbox, then: impl Round + 'static) -> Result<Self> {
        Ok(Self::Send { outbox, then: Box::new(then) })
    }
}

pub enum Outcome {
    Share(Arc<Share>),
    Paired,
    /// The body of a contribution to `combine`.
    Contribution(Vec<u8>),
}

#[derive(Default)]
pub struct Outbox {
    pub broadcast: Option<Vec<u8>>,
    /// To each other participant, or to nobody.
    pub private: BTreeMap<u8, Vec<u8>>,
}

/// The bodies of one round's messages, by sender.
#[derive(Default)]
pub struct Inbox<'a> {
    pub broadcast: BTreeMap<u8, &'a [u8]>,
    pub private: BTreeMap<u8, &'a [u8]>,
}

/// A message as the channel delivered it: the sender is authenticated, nothing else is.
pub struct Message<'a> {
    pub sender: u8,
    pub broadcast: bool,
    pub payload: &'a [u8],
}

/// What `start` and `receive` return: (recipient, payload), recipient 0 for a broadcast.
pub struct Step {
    pub outgoing: Vec<(u8, Vec<u8>)>,
    pub done: bool,
}

/// Which kinds of message a round has; the same for every sender.
#[derive(Clone, Copy)]
struct Shape {
    broadcast: bool,
    private: bool,
}

enum State {
    Fresh(Box<dyn Round>),
    Awaiting(Shape, Box<dyn Round>),
    /// A call is computing; another one is misuse.
    Busy,
    Done(Outcome),
    /// Failed, or its result is taken.
    Over,
}

pub struct Ceremony {
    pub kind: &'static str,
    pub suite: &'static str,
    context: Context,
    me: u8,
    peers: Vec<u8>,
    round: AtomicU8,
    state: Mutex<State>,
}

impl Ceremony {
    /// `participants` include `me`.
    pub fn new(
        kind: &'static str,
        suite: &'static str,
        context: Context,
        me: u8,
        participants: impl IntoIterator<Item = u8>,
        first: Box<dyn Round>,
    ) -> Self {
        let peers = participants.into_iter().filter(|party| *party != me).collect();
        let state = Mutex::new(State::Fresh(first));
        Self { kind, suite, context, me, peers, round: AtomicU8::new(0), state }
    }

    pub fn round(&self) -> u8 {
        self.round.load(Ordering::Relaxed)
    }

    pub fn start(&self) -> Result<Step> {
        let first = self.claim(State::Busy, "the ceremony has been started already", |state| match state {
            State::Fresh(first) => Ok(first),
            other => Err(other),
        })?;
        self.run(first, &Inbox::default())
    }

    pub fn receive(&self, messages: &[Message]) -> Result<Step> {
        let (shape, round) = self.claim(State::Busy, "the ceremony awaits no messages", |state| match state {
            State::Awaiting(shape, round) => Ok((shape, round)),
            other => Err(other),
        })?;
        match self.sort(shape, messages) {
            Ok(inbox) => self.run(round, &inbox),
            Err(fault) => self.end(fault),
        }
    }

    pub fn result(&self) -> Result<Outcome> {
        let outcome = self.claim(State::Over, "the ceremony has no result to take", |state| match state {
            State::Done(outcome) => Ok(outcome),
            other => Err(other),
        })?;
        Ok(match outcome {
            Outcome::Contribution(body) => Outcome::Contribution(self.context.contribution(self.me, &body)),
            outcome => outcome,
        })
    }

    /// Takes what a call is meant for and leaves `next`; or leaves everything as it is, under one lock, so that a
    /// misplaced call cannot get in the way of another thread's.
    fn claim<T>(
        &self,
        next: State,
        why: &'static str,
        take: impl FnOnce(State) -> std::result::Result<T, State>,
    ) -> Result<T> {
        let mut state = self.lock();
        match take(std::mem::replace(&mut *state, next)) {
            Ok(taken) => Ok(taken),
            Err(found) => {
                *state = found;
                Fault::misuse(why)
            }
        }
    }

    fn run(&self, round: Box<dyn Round>, inbox: &Inbox) -> Result<Step> {
        match round.advance(inbox) {
            Ok(Next::Send { outbox, then }) => {
                let shape = Shape { broadcast: outbox.broadcast.is_some(), private: !outbox.private.is_empty() };
                let step = self.address(outbox);
                self.leave(State::Awaiting(shape, then));
                Ok(step)
            }
            Ok(Next::Done(outcome)) => {
                self.leave(State::Done(outcome));
                Ok(Step { outgoing: Vec::new(), done: true })
            }
            Err(fault) => self.end(fault),
        }
    }

    fn address(&self, outbox: Outbox) -> Step {
        let round = self.round.fetch_add(1, Ordering::Relaxed) + 1;
        let envelopes = outbox.broadcast.into_iter().map(|body| (0, body)).chain(outbox.private);
        let outgoing = envelopes
            .map(|(recipient, body)| (recipient, [&self.context.header(round, self.me, recipient)[..], &body].concat()))
            .collect();
        Step { outgoing, done: false }
    }

    /// The exact set of messages, or a refusal that says which one is wrong.
    fn sort<'a>(&self, shape: Shape, messages: &[Message<'a>]) -> Result<Inbox<'a>> {
        let mut inbox = Inbox::default();
        for message in messages {
            let &Message { sender, broadcast, payload } = message;
            if !self.peers.contains(&sender) {
                return Err(Fault::UnexpectedSender { sender });
            }
            let (expected, kind) =
                if broadcast { (shape.broadcast, &mut inbox.broadcast) } else { (shape.private, &mut inbox.private) };
            if !expected {
                return Err(Fault::UnexpectedMessage { sender, broadcast });
            }
            if kind.insert(sender, self.open(message, payload)?).is_some() {
                return Err(Fault::DuplicateMessage { sender, broadcast });
            }
        }
        let complete = |wanted: bool, have: &BTreeMap<u8, &[u8]>, peer: &u8| !wanted || have.contains_key(peer);
        let senders: Vec<u8> = (self.peers.iter().copied())
            .filter(|peer| {
                !complete(shape.broadcast, &inbox.broadcast, peer) || !complete(shape.private, &inbox.private, peer)
            })
            .collect();
        if senders.is_empty() { Ok(inbox) } else { Err(Fault::MissingMessage { senders }) }
    }

    /// The body of a message whose header is the one that its sender gives to us, now.
    fn open<'a>(&self, message: &Message, payload: &'a [u8]) -> Result<&'a [u8]> {
        let sender = message.sender;
        if payload.len() > MAX_MESSAGE {
            return Err(Fault::OversizedMessage { sender, length: payload.len() });
        }
        let (header, body) = payload
            .split_first_chunk::<HEADER>()
            .ok_or(Fault::MalformedMessage { sender, what: "shorter than a header" })?;
        let recipient = if message.broadcast { 0 } else { self.me };
        if *header != self.context.header(self.round(), sender, recipient) {
            return Err(Fault::ForeignMessage { sender });
        }
        Ok(body)
    }

    fn end<T>(&self, fault: Fault) -> Result<T> {
        self.leave(State::Over);
        Err(fault)
    }

    fn leave(&self, state: State) {
        let before = std::mem::replace(&mut *self.lock(), state);
        drop(before); // after the lock
    }

    /// Held for an exchange alone, never while a protocol computes.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::process;

    /// Sends one more byte in each of `left` rounds and is done; or panics, as a bug would.
    struct Count {
        left: u8,
        panics: bool,
    }

    impl Round for Count {
        fn advance(self: Box<Self>, _: &Inbox) -> Result<Next> {
            let Self { left, panics } = *self;
            assert!(left > 0 || !panics, "a bug in a protocol");
            match left.checked_sub(1) {
                None => Ok(Next::Done(Outcome::Contribution(vec![7]))),
                Some(left) => {
                    Next::send(Outbox { broadcast: Some(vec![left]), private: BTreeMap::new() }, Self { left, panics })
                }
            }
        }
    }

    fn two(left: u8, panics: bool) -> (Ceremony, Ceremony) {
        let context = Context::new("test", "none", &[1; 32], &[]);
        let one = |me| Ceremony::new("test", "none", context, me, 1..=2, Box::new(Count { left, panics }));
        (one(1), one(2))
    }

    fn from(sender: u8, step: &Step) -> Message<'_> {
        Message { sender, broadcast: true, payload: &step.outgoing[0].1 }
    }

    #[test]
    fn rounds_follow_each_other_and_the_result_is_taken_once() {
        let (one, two) = two(3, false);
        let (mut mine, mut theirs) = (one.start().unwrap(), two.start().unwrap());
        for round in 1..=3 {
            assert_eq!((one.round(), mine.done), (round, false));
            let next = (one.receive(&[from(2, &theirs)]).unwrap(), two.receive(&[from(1, &mine)]).unwrap());
            (mine, theirs) = next;
        }
        assert!(mine.done && mine.outgoing.is_empty());
        assert!(matches!(one.result(), Ok(Outcome::Contribution(_))));
        assert_eq!(one.result().err().unwrap().code(), "misuse");
    }

    #[test]
    fn misplaced_calls_of_other_threads_do_not_get_in_the_way() {
        for _ in 0..300 {
            let (one, two) = two(9, false);
            let (mut mine, mut theirs) = (one.start().unwrap(), two.start().unwrap());
            let finished = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let meddle = || {
                    while !finished.load(Ordering::Relaxed) {
                        assert_eq!(one.start().err().unwrap().code(), "misuse");
                    }
                };
                scope.spawn(meddle);
                scope.spawn(meddle);
                while !mine.done {
                    let next = (one.receive(&[from(2, &theirs)]).ok(), two.receive(&[from(1, &mine)]).ok());
                    let (Some(a), Some(b)) = next else { break };
                    (mine, theirs) = (a, b);
                }
                finished.store(true, Ordering::Relaxed);
            });
            assert!(mine.done);
        }
    }

    #[test]
    fn nothing_goes_on_after_a_panic() {
        let (one, two) = two(1, true);
        let (_, theirs) = (one.start().unwrap(), two.start().unwrap());
        let panicked = process::guard(|| one.receive(&[from(2, &theirs)]).map(|_| ()));
        assert_eq!(panicked, Err(Fault::Panic));
        assert_eq!(one.receive(&[from(2, &theirs)]).err().unwrap().code(), "misuse");
        assert_eq!(one.result().err().unwrap().code(), "misuse");
    }

    #[test]
    fn an_early_message_is_not_this_rounds() {
        let (one, two) = two(3, false);
        let (mine, _) = (one.start().unwrap(), two.start().unwrap());
        let early = two.receive(&[from(1, &mine)]).unwrap();
        assert_eq!(one.receive(&[from(2, &early)]).err().unwrap(), Fault::ForeignMessage { sender: 2 });
    }
}
