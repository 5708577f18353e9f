//! A core without operations: it does what the scheduler says, and ends requests when the test says so.

use annulus_abi::SqeFlags;
use rustix::io::Errno;

use crate::scheduler::{Action, Key, Kind, Scheduler};

/// A request whose result is known in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) flags: SqeFlags,
    pub(super) kind: Kind,
    /// Its preparation fails.
    pub(super) refused: Option<Errno>,
    /// It fails if it is issued.
    pub(super) fails: bool,
}

impl Step {
    pub(super) const fn new(flags: SqeFlags) -> Self {
        Self { flags, kind: Kind::Ordinary, refused: None, fails: false }
    }

    pub(super) const fn failing(self) -> Self {
        Self { fails: true, ..self }
    }

    pub(super) const fn refused(self) -> Self {
        Self { refused: Some(Errno::BADF), ..self }
    }

    pub(super) const fn timeout(flags: SqeFlags) -> Self {
        Self { kind: Kind::LinkTimeout, ..Self::new(flags) }
    }

    pub(super) const fn is_linked(&self) -> bool {
        self.flags.intersects(SqeFlags::IO_LINK.union(SqeFlags::IO_HARDLINK))
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It ran, and succeeded.
    Ok,
    /// It ran, and failed.
    Failed,
    /// A `LINK_TIMEOUT` that fired.
    Fired,
    /// It did not run, or was stopped.
    Refused(Errno),
}

/// Something that happened to a request, by its place among all that were submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Issued(usize),
    /// Started, for this target.
    Started(usize, usize),
    /// Ended, and whether it posted.
    Ended(usize, End, bool),
}

/// A scheduler and what it was told and said.
#[derive(Debug, Default)]
pub(super) struct Stage {
    pub(super) scheduler: Scheduler,
    pub(super) steps: Vec<Step>,
    pub(super) events: Vec<Event>,
    /// Issued or started, and not ended, in that order.
    pub(super) running: Vec<usize>,
    /// The places at which submissions ended.
    pub(super) cuts: Vec<usize>,
    actions: Vec<Action>,
}

impl Stage {
    /// Submits requests as one submission, and leaves them running.
    pub(super) fn submit(&mut self, steps: &[Step]) {
        for step in steps {
            self.take(*step);
        }
        self.end();
    }

    /// Takes one request, as the core does: past the scheduler if that may be.
    pub(super) fn take(&mut self, step: Step) -> Option<Errno> {
        let place = self.steps.len();
        self.steps.push(step);
        let told = step.flags.intersects(Scheduler::TOLD) || step.kind == Kind::LinkTimeout;
        if self.scheduler.is_idle() && !told && step.refused.is_none() {
            self.scheduler.admit(key(place));
            self.events.push(Event::Issued(place));
            self.running.push(place);
            return None;
        }
        let refused =
            self.scheduler.submit(key(place), step.flags, step.kind, step.refused, &mut self.actions);
        self.act();
        refused
    }

    pub(super) fn end(&mut self) {
        self.cuts.push(self.steps.len());
        self.scheduler.end(&mut self.actions);
        self.act();
    }

    /// Ends a running request with the result that it has.
    pub(super) fn complete(&mut self, place: usize) {
        let step = self.steps[place];
        let end = match (step.kind, step.fails) {
            (Kind::LinkTimeout, _) => End::Fired,
            (Kind::Ordinary, true) => End::Failed,
            (Kind::Ordinary, false) => End::Ok,
        };
        self.finish(place, end, step.fails);
    }

    /// Lets a running `LINK_TIMEOUT` fire, which cancels its target.
    pub(super) fn fire(&mut self, timer: usize) {
        let target = self.scheduler.fired(key(timer)).expect("it runs");
        assert_eq!(self.scheduler.target_of(key(timer)), None, "it has fired");
        let target = place(target);
        self.finish(target, End::Failed, true);
        self.finish(timer, End::Fired, false);
    }

    /// Ends what runs, the oldest first, until nothing runs. Timeouts are left to their targets.
    pub(super) fn complete_all(&mut self) {
        while let Some(next) = self.running_requests().first().copied() {
            self.complete(next);
        }
    }

    /// What runs and is no timeout, the oldest first.
    pub(super) fn running_requests(&self) -> Vec<usize> {
        let is_request = |place: &usize| self.steps[*place].kind == Kind::Ordinary;
        self.running.iter().copied().filter(is_request).collect()
    }

    /// How each request ended, and whether it posted; the test fails if one ended twice.
    pub(super) fn ends(&self) -> Vec<Option<(End, bool)>> {
        let mut ends = vec![None; self.steps.len()];
        for event in &self.events {
            if let Event::Ended(place, end, posted) = *event {
                assert_eq!(
                    ends[place].replace((end, posted)),
                    None,
                    "{place} ended twice: {:?}",
                    self.events
                );
            }
        }
        ends
    }

    /// As [`Stage::ends`], of requests that have all ended: `None` for those that posted nothing.
    pub(super) fn answers(&self) -> Vec<Option<End>> {
        let ended = |end: Option<(End, bool)>| end.expect("it ended");
        self.ends().into_iter().map(ended).map(|(end, posted)| posted.then_some(end)).collect()
    }

    /// The moment at which something happened.
    pub(super) fn moment(&self, what: impl Fn(&Event) -> bool) -> Option<usize> {
        self.events.iter().position(what)
    }

    /// Nothing is left of what was submitted.
    pub(super) fn assert_at_rest(&self) {
        assert!(self.ends().iter().all(Option::is_some), "{:?}", self.events);
        assert_eq!((self.running.len(), self.scheduler.outstanding()), (0, 0), "{:?}", self.events);
        assert!(self.scheduler.is_idle(), "{self:?}");
        for place in 0..self.steps.len() {
            assert!(!self.scheduler.chains.knows(key(place)), "{place} is not forgotten: {self:?}");
        }
    }

    fn finish(&mut self, place: usize, end: End, severs: bool) {
        let at = self.running.iter().position(|it| *it == place).expect("only what runs can end");
        self.running.remove(at);
        let skips = self.steps[place].flags.contains(SqeFlags::CQE_SKIP_SUCCESS);
        self.events.push(Event::Ended(place, end, severs || !skips));
        self.scheduler.complete(key(place), severs, &mut self.actions);
        self.act();
    }

    fn act(&mut self) {
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::Issue(key) => {
                    self.events.push(Event::Issued(place(key)));
                    self.running.push(place(key));
                }
                Action::StartLinkTimeout { timer, target } => {
                    assert_eq!(self.scheduler.link_timeout_of(target), Some(timer));
                    assert_eq!(self.scheduler.target_of(timer), Some(target));
                    self.events.push(Event::Started(place(timer), place(target)));
                    self.running.push(place(timer));
                }
                Action::StopLinkTimeout { timer, silent } => {
                    let at = self.running.iter().position(|it| *it == place(timer));
                    self.running.remove(at.expect("only what runs can be stopped"));
                    self.events.push(Event::Ended(place(timer), End::Refused(Errno::CANCELED), !silent));
                }
                Action::Refuse { key, errno, silent } => {
                    assert!(!self.running.contains(&place(key)), "{key:?} runs, and is refused");
                    self.events.push(Event::Ended(place(key), End::Refused(errno), !silent));
                }
            }
        }
    }
}

/// A key for a place. Keys are not places, lest they be taken for each other: every second one is left out.
pub(super) fn key(place: usize) -> Key {
    Key(u32::try_from(2 * place + 1).expect("few requests"))
}

fn place(key: Key) -> usize {
    (key.index() - 1) / 2
}
