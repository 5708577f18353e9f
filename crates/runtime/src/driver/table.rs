//! The table of operations in flight: who waits for which, and what has come of it.
//!
//! Pure data: no ring, no call, no user code runs in here (wakers and leftovers are handed out, not
//! called), so it can stay borrowed. What it keeps true: a key names one operation for ever, as a slot's
//! generation changes whenever the slot is freed; a completion for a key of the past is recognised.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::os::fd::RawFd;
use std::task::{Context, Poll, Waker};

use rustix::io::Errno;

use super::side::Limits;
use super::slot::{Owner, Slot};

/// Indices with this bit are no places: [`u32::MAX`] is that of what belongs to no operation, and each of the others that of
/// the cancellation of the operation which has the rest of it.
const MARK: u32 = 1 << 31;

/// How many operations a table can hold: half of the indices, as there may be a place for a cancellation of each.
const MOST: usize = (MARK / 2 - 1) as usize;

/// How often an operation is cancelled that goes on in spite of it.
const TRIES: u8 = 8;

/// What one completion said: `cqe.res` and `cqe.flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) result: i32,
    pub(crate) flags: annulus::abi::CqeFlags,
    /// The kernel's ring does not do this; the [side ring](super::side) may.
    pub(crate) refused: bool,
}

impl Completion {
    /// As it came out of a ring.
    pub(crate) const fn new(result: i32, flags: annulus::abi::CqeFlags) -> Self {
        Self { result, flags, refused: false }
    }

    /// Whether the operation goes on: another completion follows.
    pub(crate) const fn more(self) -> bool {
        self.flags.contains(annulus::abi::CqeFlags::MORE)
    }

    /// An operation that came to nothing in this process, before or after the kernel had it.
    pub(crate) const fn failed(errno: Errno) -> Self {
        Self::new(-errno.raw_os_error(), annulus::abi::CqeFlags::empty())
    }
}

/// What is left of an operation whose future was dropped: the memory that it names, and what is to be
/// done with a result that comes late.
pub(crate) trait Leftover {
    /// A completion arrived, or had arrived and was not read. Called for each, the last included.
    fn late(&mut self, completion: Completion);

    /// No completion follows, and the kernel is done with the memory. Called once, at the end.
    fn over(&mut self);
}

/// Names an operation: an index and the generation of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// That of requests whose completion means nothing: cancellations. No table reaches this index.
    pub(crate) const IGNORED: Self = Self { index: u32::MAX, generation: u32::MAX };
    /// That of the poll by which the main ring learns of completions of the side ring.
    pub(crate) const SIDE: Self = Self { index: u32::MAX, generation: u32::MAX - 2 };

    /// That of calls: completions that other executors post here, so that this one looks into its inbox.
    pub(crate) const CALL: Self = Self { index: u32::MAX, generation: u32::MAX - 1 };

    /// That of the request to cancel everything.
    pub(crate) const EVERYTHING: Self = Self { index: u32::MAX, generation: u32::MAX - 3 };

    /// How many numbers there are for messages to other executors.
    pub(crate) const MESSAGES: u32 = u32::MAX - 3;

    /// That of a message to another executor.
    pub(crate) const fn message(number: u32) -> Self {
        Self { index: u32::MAX, generation: number }
    }

    /// That of the cancellation of this operation.
    pub(crate) const fn cancellation(self) -> Self {
        Self { index: self.index | MARK, generation: self.generation }
    }

    const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    const fn from_bits(bits: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = bits.to_le_bytes();
        Self { index: u32::from_le_bytes([a, b, c, d]), generation: u32::from_le_bytes([e, f, g, h]) }
    }
}

/// Which ring an operation is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The ring of the driver.
    Main,
    /// The side ring, at once.
    Side,
    /// The side ring, after the other had refused it.
    Again,
}

/// What the caller has to do after a completion was delivered.
pub(crate) enum Delivered {
    /// Wake the future.
    Wake(Waker),
    /// Wake the future, and cancel the operation: too much of it waits.
    Throttle(Option<Waker>, Key),
    /// Tell the leftover, and [`Table::put_back`] unless this was the last.
    Late(Box<dyn Leftover>, Key),
    /// A close did not run: close it by other means.
    CloseAgain(RawFd),
    /// This message to another executor did not arrive.
    Undelivered(u32, Errno),
    /// The side ring has completions, or cannot be polled.
    Side,
    /// A cancellation did not reach its operation: cancel it once more.
    CancelAgain(Key),
    /// The request to cancel everything failed.
    NotTogether,
    /// Nothing: the future has not been polled, a close is done, or the completion means nothing.
    Nothing,
    /// No such operation (any more).
    Stale,
}

/// The table itself.
pub(crate) struct Table {
    /// Mixed into `user_data`, so that a completion which somebody else posts on the ring (a `MSG_RING`, whose
    /// sender needs no more than the ring's number) does not pass for that of an operation.
    secret: u64,
    slots: Vec<Slot>,
    free: Vec<u32>,
    bound: usize,
    /// Slots of requests that the bound does not count.
    extra: usize,
    /// Operations that are not over.
    unfinished: usize,
    /// Operations that nobody waits for and whose memory is kept.
    parked: usize,
    /// What the main ring cannot do.
    limits: Limits,
}

impl Table {
    /// An empty table that holds `bound` operations at most, for a ring of these limits.
    pub(crate) fn new(bound: usize, limits: Limits) -> Self {
        let secret = RandomState::new().hash_one(0);
        let bound = bound.min(MOST);
        Self {
            secret,
            slots: Vec::new(),
            free: Vec::new(),
            bound,
            extra: 0,
            unfinished: 0,
            parked: 0,
            limits,
        }
    }

    /// A key as it travels in `user_data`.
    pub(crate) const fn user_data(&self, key: Key) -> u64 {
        key.to_bits() ^ self.secret
    }

    /// Takes a slot for an operation that a future owns; at most `waiting` completions of it may wait (0:
    /// any number). `None` if the table is full.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        opcode: u8,
        place: Place,
        waker: Option<Waker>,
        waiting: usize,
    ) -> Option<Key> {
        let bound = u32::try_from(waiting).unwrap_or(u32::MAX);
        if self.has_room() { Some(self.occupy(Owner::Future(waker), opcode, place, bound)) } else { None }
    }

    /// Where an operation of this kind is to go.
    pub(crate) const fn place_for(&self, opcode: u8) -> Place {
        if self.limits.lacking.contains(opcode) { Place::Side } else { Place::Main }
    }

    /// Where an operation is. The main ring if it is of the past, whose cancellation finds nothing anywhere.
    pub(crate) fn place_of(&mut self, key: Key) -> Place {
        self.live(key).map_or(Place::Main, |live| live.place)
    }

    /// Takes a slot for a close.
    pub(crate) fn insert_close(&mut self, fd: RawFd) -> Option<Key> {
        let close = annulus::opcode::Close::CODE;
        self.has_room().then(|| self.occupy(Owner::Close(fd), close, self.place_for(close), 0))
    }

    /// Takes a slot for the cancellation of an operation, which is marked as cancelled. There is room for it in a full
    /// table too: it is from there that a program wants to get away.
    pub(crate) fn insert_cancellation(&mut self, target: Key) -> Key {
        self.mark_cancelled(target);
        self.extra += 1;
        let place = self.place_of(target);
        self.occupy(Owner::Future(None), annulus::opcode::AsyncCancel::CODE, place, 0)
    }

    /// Gives up a cancellation that somebody asked for. It goes on all the same. Returns a waker to be dropped.
    pub(crate) fn disown_cancellation(&mut self, key: Key) -> Option<Waker> {
        let live = self.live(key)?;
        let owner = std::mem::replace(&mut live.owner, Owner::Nobody);
        if live.finished {
            self.free(key);
        }
        if let Owner::Future(waker) = owner { waker } else { None }
    }

    const fn has_room(&self) -> bool {
        self.slots.len() - self.free.len() - self.extra < self.bound
    }

    #[inline]
    fn occupy(&mut self, owner: Owner, opcode: u8, place: Place, bound: u32) -> Key {
        self.unfinished += 1;
        let index = self.free.pop().unwrap_or_else(|| self.grow());
        let slot = &mut self.slots[index as usize];
        slot.occupy(owner, opcode, place, bound);
        Key { index, generation: slot.generation }
    }

    /// One more slot.
    #[cold]
    fn grow(&mut self) -> u32 {
        let index = u32::try_from(self.slots.len()).expect("twice `MOST` is an index without the mark");
        self.slots.push(Slot::default());
        index
    }

    /// Hands a completion to its operation if all that there is to it is that the future is woken, as almost always: it waits,
    /// and has nothing to read yet. Returns whom to wake, or `None` if the completion is [`deliver`](Self::deliver)'s.
    #[inline]
    pub(crate) fn deliver_first(&mut self, user_data: u64, completion: Completion) -> Option<Option<Waker>> {
        let key = Key::from_bits(user_data ^ self.secret);
        // What is no place of the table lies beyond its end.
        let live = self.live(key)?;
        let Owner::Future(waker) = &mut live.owner else { return None };
        if live.first.is_some() || live.bound == 1 {
            return None;
        }
        let last = !completion.more();
        let ends = last && !live.finished;
        live.finished = last;
        live.first = Some(completion);
        let waker = waker.take();
        self.unfinished -= usize::from(ends);
        Some(waker)
    }

    /// Hands a completion to its operation.
    pub(crate) fn deliver(&mut self, user_data: u64, completion: Completion) -> Delivered {
        let key = Key::from_bits(user_data ^ self.secret);
        if key.index & MARK != 0 {
            return self.beside(key, completion);
        }
        let slot = self.slots.get_mut(key.index as usize);
        let Some(live) = slot.filter(|slot| slot.generation == key.generation && !slot.is_vacant()) else {
            return Delivered::Stale;
        };
        let last = !completion.more();
        self.unfinished -= usize::from(last && !live.finished);
        live.finished = last;
        if let Owner::Future(waker) = &mut live.owner {
            let waker = waker.take();
            if live.keep(completion) && !last && !live.throttled {
                live.throttled = true;
                return Delivered::Throttle(waker, key);
            }
            return waker.map_or(Delivered::Nothing, Delivered::Wake);
        }
        match std::mem::replace(&mut live.owner, Owner::Told) {
            Owner::Vacant | Owner::Future(_) => unreachable!("it was looked at just now"),
            Owner::Leftover(leftover) => Delivered::Late(leftover, key),
            Owner::Close(fd) => {
                live.owner = Owner::Nobody;
                self.free(key);
                // close(2) itself says none of these: it was cancelled, or the ring does not close.
                let undone = [-libc::ECANCELED, -libc::EACCES, -libc::EINVAL].contains(&completion.result);
                if undone { Delivered::CloseAgain(fd) } else { Delivered::Nothing }
            }
            Owner::Nobody => {
                live.owner = Owner::Nobody;
                if last {
                    self.free(key);
                }
                Delivered::Nothing
            }
            // It is told of one completion at a time; so a panic kept it from being put back, and it is lost.
            Owner::Told => {
                if last {
                    self.free(key);
                }
                Delivered::Nothing
            }
        }
    }

    /// Ends what [`Delivered::Late`] began: frees the slot and lets the caller drop the leftover if that
    /// was the last completion, else keeps it for the next.
    pub(crate) fn put_back(&mut self, key: Key, leftover: Box<dyn Leftover>) -> Option<Box<dyn Leftover>> {
        let live = self.live(key).expect("the slot of a leftover that is being told stays");
        if live.finished {
            self.free(key);
            return Some(leftover);
        }
        live.owner = Owner::Leftover(leftover);
        None
    }

    /// The one result of an operation, once its last completion is there: the first completion, as
    /// those after it (the notification of a zero-copy send) only say that the memory is free. Frees the slot.
    #[inline]
    pub(crate) fn poll_single(
        &mut self,
        key: Key,
        cx: &Context<'_>,
        replaced: &mut Option<Waker>,
    ) -> Poll<Completion> {
        let live = self.live(key).expect("a future polls its own operation, which nobody else frees");
        if live.finished
            && let Some(first) = live.first
        {
            let (place, opcode) = (live.place, live.opcode);
            self.free(key);
            return Poll::Ready(self.judged(place, opcode, first));
        }
        *replaced = live.set_waker(cx);
        Poll::Pending
    }

    /// The next completion of a multishot operation, or `None` after the last, which frees the slot. A
    /// cancellation that the table asked for to throttle it is no result but an end.
    #[inline]
    pub(crate) fn poll_next(
        &mut self,
        key: Key,
        cx: &Context<'_>,
        replaced: &mut Option<Waker>,
    ) -> Poll<Option<Completion>> {
        let live = self.live(key).expect("a future polls its own operation, which nobody else frees");
        if let Some(next) = live.read() {
            let hidden = live.throttled && live.finished && next.result == -libc::ECANCELED;
            if !hidden {
                let (place, opcode) = (live.place, live.opcode);
                return Poll::Ready(Some(self.judged(place, opcode, next)));
            }
        }
        if live.finished {
            self.free(key);
            return Poll::Ready(None);
        }
        *replaced = live.set_waker(cx);
        Poll::Pending
    }

    /// The future is gone. Returns its unread completions, its waker, and whether the operation is over (the slot
    /// is free then). If not, the caller tells the leftover of them, puts it [back](Self::put_back), and cancels.
    pub(crate) fn abandon(&mut self, key: Key) -> (Vec<Completion>, Option<Waker>, bool) {
        let live = self.live(key).expect("a future abandons its own operation, once");
        let unread = std::iter::from_fn(|| live.read()).collect();
        let finished = live.finished;
        let owner = std::mem::replace(&mut live.owner, Owner::Told);
        let waker = if let Owner::Future(waker) = owner { waker } else { None };
        self.parked += 1;
        if finished {
            self.free(key);
        }
        (unread, waker, finished)
    }

    /// Notes which task started an operation.
    pub(crate) fn tag(&mut self, key: Key, task: u64) {
        if let Some(live) = self.live(key) {
            live.task = task;
        }
    }

    /// How many operations of each opcode are not over, by the task that started them.
    pub(crate) fn by_task(&self) -> HashMap<u64, Vec<(u8, usize)>> {
        let mut counts: BTreeMap<(u64, u8), usize> = BTreeMap::new();
        for live in self.slots.iter().filter(|slot| !slot.is_vacant() && !slot.finished) {
            *counts.entry((live.task, live.opcode)).or_default() += 1;
        }
        let mut by_task: HashMap<u64, Vec<(u8, usize)>> = HashMap::new();
        for ((task, opcode), count) in counts {
            by_task.entry(task).or_default().push((opcode, count));
        }
        by_task
    }

    /// How many operations have lost their future, and are kept until their last completion.
    pub(crate) const fn parked(&self) -> usize {
        self.parked
    }

    /// How many operations are not over: their last completion has not come.
    pub(crate) const fn in_flight(&self) -> usize {
        self.unfinished
    }

    /// Whether the operation is not over.
    pub(crate) fn is_unfinished(&mut self, key: Key) -> bool {
        self.live(key).is_some_and(|live| !live.finished)
    }

    /// Notes that an operation belongs to this run of a canceller. Whether that is new.
    pub(crate) fn join(&mut self, key: Key, run: u64) -> bool {
        self.live(key).is_some_and(|live| std::mem::replace(&mut live.run, run) != run)
    }

    /// Notes that the cancellation of an operation was asked for.
    pub(crate) fn mark_cancelled(&mut self, key: Key) {
        if let Some(live) = self.live(key) {
            live.cancelled = true;
        }
    }

    /// The opcode of an operation that belongs to this run, that a future waits for, and whose cancellation nobody
    /// asked for yet.
    pub(crate) fn cancellable(&mut self, key: Key, run: u64) -> Option<u8> {
        let live = self.live(key).filter(|live| live.run == run && !live.finished && !live.cancelled)?;
        matches!(live.owner, Owner::Future(_)).then_some(live.opcode)
    }

    /// Every operation that is not over, with where it is; but no cancellations.
    pub(crate) fn unfinished(&self) -> Vec<(Key, Place)> {
        let unfinished = self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let goes_on = !slot.is_vacant() && !slot.finished;
            let index = u32::try_from(index).ok()?;
            (goes_on && slot.opcode != annulus::opcode::AsyncCancel::CODE)
                .then_some((Key { index, generation: slot.generation }, slot.place))
        });
        unfinished.collect()
    }

    /// Whether none of what is not over is on the side ring.
    pub(crate) fn is_all_on_main(&self) -> bool {
        let live = self.slots.iter().filter(|slot| !slot.is_vacant());
        live.filter(|live| !live.finished).all(|live| live.place == Place::Main)
    }

    /// What a completion says that is not an operation's own.
    fn beside(&mut self, key: Key, completion: Completion) -> Delivered {
        if key == Key::SIDE {
            return Delivered::Side;
        }
        let target = Key { index: key.index & !MARK, generation: key.generation };
        let known = key.index == u32::MAX || (target.index as usize) < self.slots.len();
        if !known {
            return Delivered::Stale;
        }
        if completion.result >= 0 || key == Key::IGNORED || key == Key::CALL {
            return Delivered::Nothing;
        }
        if key == Key::EVERYTHING {
            return Delivered::NotTogether;
        }
        if key.index == u32::MAX {
            return Delivered::Undelivered(key.generation, Errno::from_raw_os_error(-completion.result));
        }
        // Not found, or not to be stopped, and not over: it was on its way from one queue to another, as a read is that
        // was woken for data which somebody else took. It would wait for more now.
        match self.live(target) {
            Some(live) if !live.finished && live.tries < TRIES => {
                live.tries += 1;
                Delivered::CancelAgain(target)
            }
            _ => Delivered::Nothing,
        }
    }

    /// A completion with what it says about its ring.
    #[inline]
    fn judged(&mut self, place: Place, opcode: u8, completion: Completion) -> Completion {
        if place == Place::Main && completion.result >= 0 {
            return completion;
        }
        self.judge(place, opcode, completion)
    }

    #[cold]
    fn judge(&mut self, place: Place, opcode: u8, completion: Completion) -> Completion {
        if place == Place::Again && completion.result != -libc::EACCES {
            // The main ring denies the opcode, or this form of it; so the next one goes the right way at once.
            self.limits.lacking.insert(opcode);
        }
        let refused = place == Place::Main && self.limits.refused(opcode, completion.result);
        Completion { refused, ..completion }
    }

    /// The slot of an operation, if that is not of the past. A slot that is vacant has a generation that no key has got yet.
    #[inline]
    fn live(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation)
    }

    #[inline]
    fn free(&mut self, key: Key) {
        let slot = &mut self.slots[key.index as usize];
        self.extra -= usize::from(slot.opcode == annulus::opcode::AsyncCancel::CODE);
        self.parked -= usize::from(matches!(slot.owner, Owner::Told | Owner::Leftover(_)));
        slot.vacate();
        self.free.push(key.index);
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
