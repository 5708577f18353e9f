//! The core: the table of requests, and what moves them from their entry to their completion.
//!
//! Everything about one ring lies behind one lock ([`Ring::lock`]). Whoever has it moves requests: the thread that enters, a
//! worker that has finished, the background thread, the polling thread. Nobody waits while they have it.
//!
//! What it keeps true:
//! - every request ends exactly once, in [`State::end`], and what is linked to it goes on from there;
//! - completions are published, and whoever waits for them woken, when the lock is given back ([`Ring::with`]);
//! - an operation that is with a worker is in no table: nobody else can touch it until it comes back.

mod background;
mod cancel;
mod complete;
mod control;
mod descriptor;
mod directory;
mod doze;
mod issue;
mod message;
mod notice;
mod ready;
mod requests;
mod sign;
mod sqpoll;
mod submit;
mod teardown;
mod time;
mod transfer;
mod turnstile;
mod wait;
mod watch;
mod work;

use std::any::Any;
use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;

use annulus_abi::{Params, SetupFlags};
use rustix::io::Errno;

pub(crate) use descriptor::Descriptor;
pub(crate) use directory::{
    find, hold as hold_directory, is_ring, register as enlist, release as release_directory,
    unregister as delist,
};
pub(crate) use message::Letter;
pub(crate) use notice::Audience;
pub(crate) use sqpoll::start as start_sqpoll;
pub(crate) use teardown::tear_down;
pub(crate) use wait::Wait;

use self::background::Background;
use self::complete::Backlog;
use self::doze::SqPoll;
use self::notice::Notices;
use self::requests::Requests;
use self::time::Clocks;
use self::turnstile::Turnstile;
use self::watch::Watches;
use self::work::Late;
use crate::files::RingTest;
use crate::fork::Home;
use crate::mailbox::Mailbox;
use crate::op::Tables;
use crate::pool::Pool;
use crate::request::Request;
use crate::scheduler::{Action, Key, Scheduler};
use crate::shared::Rings;
use crate::world::{Event, World};

/// One ring, shared by all threads that move its requests.
pub(crate) struct Ring {
    state: Mutex<State>,
    /// Followers, who wait for the leader's news, and the background thread, which waits for work.
    turn: Condvar,
    /// What workers have brought back for a ring whose completions appear only when its owner enters.
    late: Mailbox<Late>,
    /// The outside.
    pub(crate) world: Arc<dyn World>,
    /// The workers.
    pub(crate) pool: Pool,
    /// How it was set up.
    pub(crate) setup: SetupFlags,
    /// Tells its jobs from those of other rings with the same workers.
    pub(crate) id: u64,
    /// The process that it works in.
    pub(crate) home: Home,
    /// What the program may poll; none on a ring of `REGISTERED_FD_ONLY`.
    pub(crate) descriptor: Option<Descriptor>,
    /// Memory of the program's that the queues lie in; after them, so that it goes last.
    pub(crate) lent: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) rings: Rings,
    pub(crate) tables: Tables,
    pub(crate) settings: crate::register::Settings,
    /// The ring was set up disabled and not enabled yet.
    pub(crate) disabled: bool,
    /// The thread that may submit to a ring of one issuer.
    pub(crate) issuer: Option<ThreadId>,
    requests: Requests,
    generation: u32,
    scheduler: Scheduler,
    /// What the scheduler has decided and nobody has done yet.
    actions: VecDeque<Action>,
    /// Where the scheduler writes its decisions.
    decisions: Vec<Action>,
    /// Somebody further up the stack is doing them.
    acting: bool,
    clocks: Clocks,
    watches: Watches,
    /// Requests that had their turn and are to be attempted again.
    again: VecDeque<Key>,
    /// Requests whose transfer goes on by itself.
    transfers: usize,
    /// Some of them were prepared and not launched.
    is_prepared: bool,
    backlog: Backlog,
    notices: Notices,
    turnstile: Turnstile,
    background: Background,
    sqpoll: SqPoll,
    /// Requests are dropped, and what workers bring is thrown away.
    closing: bool,
    events: Vec<Event>,
    /// A poll request was armed: what is ready already must be told at once.
    look_now: bool,
    env: Env,
}

/// What every part of the state may need, beside the state.
pub(crate) struct Env {
    pub(crate) world: Arc<dyn World>,
    pub(crate) pool: Pool,
    pub(crate) setup: SetupFlags,
    pub(crate) id: u64,
    ring: Weak<Ring>,
}

/// Rings whose completions appear only when their owner enters.
const DEFERRING: SetupFlags = SetupFlags::DEFER_TASKRUN.union(SetupFlags::IOPOLL);

/// Numbers for [`Ring::id`].
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Ring {
    /// A ring with nothing in it.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`: there are no descriptors for it.
    pub(crate) fn new(
        rings: Rings,
        params: &Params,
        world: Arc<dyn World>,
        pool: Pool,
    ) -> Result<Arc<Self>, Errno> {
        let home = Home::here()?;
        let setup = SetupFlags::from_bits_retain(params.flags);
        let defers = setup.intersects(DEFERRING);
        let descriptor = if setup.contains(SetupFlags::REGISTERED_FD_ONLY) {
            None
        } else {
            Some(Descriptor::new(defers)?)
        };
        // The thread that sets a disabled ring up need not be the one that enables it.
        let disabled = setup.contains(SetupFlags::R_DISABLED);
        let issuer = (!disabled).then(|| std::thread::current().id());
        // Relaxed: only uniqueness matters.
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new_cyclic(|ring| Self {
            state: Mutex::new(State {
                rings,
                tables: Tables::new(RingTest(is_ring)),
                settings: crate::register::Settings::default(),
                disabled,
                issuer,
                requests: Requests::default(),
                generation: 0,
                scheduler: Scheduler::default(),
                actions: VecDeque::new(),
                decisions: Vec::new(),
                acting: false,
                clocks: Clocks::default(),
                watches: Watches::default(),
                again: VecDeque::new(),
                transfers: 0,
                is_prepared: false,
                backlog: Backlog::default(),
                notices: Notices::default(),
                turnstile: Turnstile::default(),
                background: Background::default(),
                sqpoll: SqPoll::default(),
                closing: false,
                events: Vec::new(),
                look_now: false,
                env: Env {
                    world: Arc::clone(&world),
                    pool: pool.clone(),
                    setup,
                    id,
                    ring: Weak::clone(ring),
                },
            }),
            turn: Condvar::new(),
            late: Mailbox::default(),
            world,
            pool,
            setup,
            id,
            home,
            descriptor,
            lent: OnceLock::new(),
        }))
    }

    /// Whether completions appear only when the owner enters: those of task work, and those of a polled device.
    pub(crate) fn defers(&self) -> bool {
        self.setup.intersects(DEFERRING)
    }

    /// The state, for whoever moves requests. A panic elsewhere is no reason to lose what is in flight.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the state and then tells those whom its completions concern, or who see to what is left.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = work(&mut state);
        state.settle_up(self);
        state.see_to_background(self);
        result
    }
}

impl Debug for Ring {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("id", &self.id).field("setup", &self.setup).finish_non_exhaustive()
    }
}

impl State {
    /// Puts a request into the table.
    fn insert(&mut self, mut request: Request) -> Key {
        self.generation = self.generation.wrapping_add(1);
        request.generation = self.generation;
        Key(u32::try_from(self.requests.insert(request)).expect("fewer than 2^32 requests fit into memory"))
    }

    /// The request of a key that is known to live.
    fn request(&mut self, key: Key) -> &mut Request {
        &mut self.requests[key.0 as usize]
    }

    /// The request of a key, if it is still that of this generation.
    fn find_request(&mut self, key: Key, generation: u32) -> Option<&mut Request> {
        self.requests.get_mut(key.0 as usize).filter(|request| request.generation == generation)
    }

    /// Whether something may happen without the program's doing that somebody has to see to.
    fn is_expecting(&self) -> bool {
        !self.watches.is_empty() || self.transfers > 0 || self.clocks.has_deadline() || !self.again.is_empty()
    }
}
