//! Chains: requests that are tied to the one in front of them.
//!
//! A chain is a list through [`Place`]s, one for each key of the engine's table, so that whatever ends finds its
//! successor in one step. A `LINK_TIMEOUT` is no link of that list: it hangs on its target, as it neither waits
//! for it nor is waited for.
//!
//! What it keeps true: a key has a place exactly as long as it is tied to others; a `next` always names a member
//! that was not issued; member and timeout name each other until one of them has ended or the timeout has fired.

use std::mem::take;

use annulus_abi::SqeFlags;
use rustix::io::Errno;

use super::{Action, Key, Kind, Unit};

/// What ties a request to the next one.
pub(super) const LINKS: SqeFlags = SqeFlags::IO_LINK.union(SqeFlags::IO_HARDLINK);

/// What is known of a key.
#[derive(Debug, Default)]
enum Place {
    /// Nothing: the request has no ties.
    #[default]
    Free,
    Member(Member),
    Timeout(Timeout),
}

/// A request of a chain.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// What is tied to it.
    next: Option<Key>,
    /// The `LINK_TIMEOUT` directly behind it.
    timeout: Option<Key>,
    /// Its preparation failed.
    refused: Option<Errno>,
    /// Its failure does not sever the chain.
    hard: bool,
    /// It posts nothing if it succeeds; if it fails, what follows it posts nothing.
    skips: bool,
    issued: bool,
}

/// A `LINK_TIMEOUT` whose target has not ended.
#[derive(Clone, Copy, Debug)]
struct Timeout {
    target: Key,
    skips: bool,
    started: bool,
}

/// The chain that is being submitted.
#[derive(Debug)]
struct Open {
    unit: Unit,
    /// The request that the next one is tied to.
    tail: Key,
    /// The last entry was a `LINK_TIMEOUT`, good or bad.
    behind_timeout: bool,
}

/// All chains of a ring.
#[derive(Debug, Default)]
pub(super) struct Chains {
    places: Vec<Place>,
    open: Option<Open>,
}

impl Chains {
    #[inline]
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the request is tied to others.
    pub(super) fn knows(&self, key: Key) -> bool {
        !matches!(self.places.get(key.index()), None | Some(Place::Free))
    }

    /// The errno for a `LINK_TIMEOUT` that does not directly follow a request that it could limit.
    pub(super) fn misplaced(&self, kind: Kind) -> Option<Errno> {
        let follows = self.open.as_ref().is_some_and(|open| !open.behind_timeout);
        (kind == Kind::LinkTimeout && !follows).then_some(Errno::INVAL)
    }

    /// Adds an entry to the open chain, or opens one with it. Gives the chain if it is complete.
    pub(super) fn join(
        &mut self,
        key: Key,
        flags: SqeFlags,
        kind: Kind,
        refused: Option<Errno>,
    ) -> Option<Unit> {
        let mut open = self.open.take().unwrap_or_else(|| Open::at(key));
        if kind == Kind::LinkTimeout && refused.is_none() {
            // It has passed `misplaced`, so there is something in front of it.
            let (target, skips) = (open.tail, flags.contains(SqeFlags::CQE_SKIP_SUCCESS));
            self.put(key, Place::Timeout(Timeout { target, skips, started: false }));
            self.member_mut(target).timeout = Some(key);
        } else {
            self.put(key, Place::Member(Member::new(flags, refused)));
            if open.unit.len > 0 {
                self.member_mut(open.tail).next = Some(key);
            }
            open.tail = key;
        }
        open.unit.len += 1;
        open.unit.drains |= flags.contains(SqeFlags::IO_DRAIN);
        open.unit.refused |= refused.is_some();
        open.behind_timeout = kind == Kind::LinkTimeout;
        if flags.intersects(LINKS) {
            self.open = Some(open);
            return None;
        }
        Some(open.unit)
    }

    /// The open chain, which is complete now.
    pub(super) fn close(&mut self) -> Option<Unit> {
        self.open.take().map(|open| open.unit)
    }

    /// Lets a request begin, and its `LINK_TIMEOUT` just before it.
    pub(super) fn start(&mut self, key: Key, out: &mut Vec<Action>) {
        let timeout = match self.places.get_mut(key.index()) {
            Some(Place::Member(member)) => {
                member.issued = true;
                member.timeout
            }
            _ => None,
        };
        if let Some(timer) = timeout {
            self.timeout_mut(timer).started = true;
            out.push(Action::StartLinkTimeout { timer, target: key });
        }
        out.push(Action::Issue(key));
    }

    /// Refuses a whole chain, or a request without ties. The first one is always told, and the `LINK_TIMEOUT`
    /// directly behind it unless it may be silent; about the others, the first one decides.
    pub(super) fn refuse(&mut self, head: Key, out: &mut Vec<Action>) {
        let member = match self.take(head) {
            Place::Member(member) => member,
            Place::Free => Member::new(SqeFlags::empty(), None),
            Place::Timeout(timeout) => panic!("{head:?} heads a chain, and is {timeout:?}"),
        };
        let errno = member.refused.unwrap_or(Errno::CANCELED);
        out.push(Action::Refuse { key: head, errno, silent: false });
        if let Some(timer) = member.timeout {
            let silent = self.take_timeout(timer).skips;
            out.push(Action::Refuse { key: timer, errno: Errno::CANCELED, silent });
        }
        self.refuse_from(member.next, member.skips, out);
    }

    /// A request has ended: its `LINK_TIMEOUT` is stopped, and its successor begins, or all that follow are
    /// refused. Gives the number of requests that have ended.
    #[inline]
    pub(super) fn ended(&mut self, key: Key, severs: bool, out: &mut Vec<Action>) -> usize {
        if self.knows(key) { self.tied_ended(key, severs, out) } else { 1 }
    }

    fn tied_ended(&mut self, key: Key, severs: bool, out: &mut Vec<Action>) -> usize {
        let member = match self.take(key) {
            Place::Member(member) => member,
            Place::Timeout(Timeout { target, started, .. }) => {
                assert!(started, "{key:?} is a timeout that was not started, and has ended");
                self.member_mut(target).timeout = None;
                return 1;
            }
            Place::Free => return 1,
        };
        assert!(member.issued, "{key:?} was not issued, and has ended: {member:?}");
        let mut ended = 1;
        if let Some(timer) = member.timeout {
            let silent = self.take_timeout(timer).skips;
            out.push(Action::StopLinkTimeout { timer, silent });
            ended += 1;
        }
        match member.next {
            Some(_) if severs && !member.hard => ended += self.refuse_from(member.next, member.skips, out),
            Some(next) => self.start(next, out),
            None => {}
        }
        ended
    }

    /// Unties a started `LINK_TIMEOUT` from its target, and gives the target.
    pub(super) fn detach(&mut self, timer: Key) -> Option<Key> {
        let target = self.target_of(timer)?;
        self.take_timeout(timer);
        self.member_mut(target).timeout = None;
        Some(target)
    }

    #[cfg(test)]
    pub(super) fn link_timeout_of(&self, target: Key) -> Option<Key> {
        match self.places.get(target.index())? {
            Place::Member(member) if member.issued => member.timeout,
            _ => None,
        }
    }

    pub(super) fn target_of(&self, timer: Key) -> Option<Key> {
        match self.places.get(timer.index())? {
            Place::Timeout(timeout) if timeout.started => Some(timeout.target),
            _ => None,
        }
    }

    /// Refuses this request and all that follow it, and gives their number.
    fn refuse_from(&mut self, first: Option<Key>, silent: bool, out: &mut Vec<Action>) -> usize {
        let (mut key, mut refused) = (first, 0);
        while let Some(this) = key {
            let Place::Member(member) = self.take(this) else { panic!("{this:?} follows, and is no member") };
            let errno = member.refused.unwrap_or(Errno::CANCELED);
            out.push(Action::Refuse { key: this, errno, silent });
            refused += 1;
            if let Some(timer) = member.timeout {
                self.take_timeout(timer);
                out.push(Action::Refuse { key: timer, errno: Errno::CANCELED, silent });
                refused += 1;
            }
            key = member.next;
        }
        refused
    }

    fn put(&mut self, key: Key, place: Place) {
        assert!(!self.knows(key), "{key:?} is submitted, and has not ended: {:?}", self.places[key.index()]);
        if self.places.len() <= key.index() {
            self.places.resize_with(key.index() + 1, Place::default);
        }
        self.places[key.index()] = place;
    }

    fn take(&mut self, key: Key) -> Place {
        self.places.get_mut(key.index()).map(take).unwrap_or_default()
    }

    fn take_timeout(&mut self, key: Key) -> Timeout {
        match self.take(key) {
            Place::Timeout(timeout) => timeout,
            other => panic!("{key:?} hangs on a request, and is {other:?}"),
        }
    }

    fn member_mut(&mut self, key: Key) -> &mut Member {
        match &mut self.places[key.index()] {
            Place::Member(member) => member,
            other => panic!("{key:?} is in a chain, and is {other:?}"),
        }
    }

    fn timeout_mut(&mut self, key: Key) -> &mut Timeout {
        match &mut self.places[key.index()] {
            Place::Timeout(timeout) => timeout,
            other => panic!("{key:?} hangs on a request, and is {other:?}"),
        }
    }
}

impl Open {
    /// A chain that nothing is in yet, and `head` will be the first of.
    const fn at(head: Key) -> Self {
        let unit = Unit { head, len: 0, drains: false, refused: false };
        Self { unit, tail: head, behind_timeout: false }
    }
}

impl Member {
    const fn new(flags: SqeFlags, refused: Option<Errno>) -> Self {
        Self {
            next: None,
            timeout: None,
            refused,
            hard: flags.contains(SqeFlags::IO_HARDLINK),
            skips: flags.contains(SqeFlags::CQE_SKIP_SUCCESS),
            issued: false,
        }
    }
}
