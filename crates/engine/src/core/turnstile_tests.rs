//! The protocol under loom: every order in which those who wait, post and look can meet.
//!
//! The house is a queue of completions that only counts. A wait that nobody ends is a deadlock, which loom reports. Time does not
//! pass: a rest with a timeout runs out at any moment.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use loom::sync::{Condvar, Mutex, MutexGuard};
use rustix::io::Errno;

use super::{House, Leader, Monitor, Turn, Turnstile, attend, dismiss, go, rouse, take_turn};

/// What the lock guards.
#[derive(Default)]
struct State {
    turnstile: Turnstile,
    /// Completions in the queue.
    waiting: u32,
    /// Those that were there at the last news.
    told: u32,
    /// Events that are still to come.
    expected: u32,
    /// The background thread has said that there is something to enter for.
    task_work: u32,
}

/// What can be heard in the world.
#[derive(Default)]
struct World {
    woken: bool,
    events: u32,
}

struct Model {
    state: Mutex<State>,
    turn: Condvar,
    world: Mutex<World>,
    heard: Condvar,
    /// Notified whenever something was posted, for a program that looks at its queue.
    posted: Condvar,
    defers: bool,
}

/// The lock of a model, held.
struct Guard<'a>(MutexGuard<'a, State>);

impl Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

impl Model {
    fn new(defers: bool, expected: u32) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { expected, ..State::default() }),
            turn: Condvar::new(),
            world: Mutex::default(),
            heard: Condvar::new(),
            posted: Condvar::new(),
            defers,
        })
    }

    /// Something happens outside.
    fn happen(&self) {
        self.world.lock().unwrap().events += 1;
        self.heard.notify_all();
    }

    /// As a thread that submits what completes at once.
    fn post(&self) {
        let mut state = self.lock();
        state.waiting += 1;
        self.settle_up(&mut state);
    }

    fn settle_up(&self, state: &mut State) {
        if state.told != state.waiting {
            state.told = state.waiting;
            state.turnstile.news(self, state.waiting);
            self.posted.notify_all();
        }
    }

    /// As a thread that submits, and looks around without waiting.
    fn look(&self) {
        let mut state = self.lock();
        let World { woken, events } = std::mem::take(&mut *self.world.lock().unwrap());
        if woken && state.turnstile.wants_wakes() {
            self.wake();
        }
        Self::hear(&mut state, events);
        self.settle_up(&mut state);
    }

    /// As a thread that enters to wait, and takes nothing out.
    fn wait(&self, want: u32) {
        let mut state = self.lock();
        state.turnstile.come();
        loop {
            self.settle_up(&mut state);
            if state.waiting >= want {
                break;
            }
            state = take_turn(self, state, &Turn { want, ..Turn::default() }).0;
        }
        go(self, &mut state);
        self.see_to_background(&mut state);
    }

    /// As the end of every call does.
    fn see_to_background(&self, state: &mut State) {
        if state.turnstile.leader == Leader::Nobody && state.expected > 0 {
            rouse(self, state);
        }
    }

    /// As a program that looks at its queue until so many completions are there, and never enters.
    fn watch(&self, want: u32) {
        let mut state = self.lock();
        while state.waiting < want {
            state = Guard(self.posted.wait(state.0).unwrap());
        }
    }

    fn end_background(&self, thread: loom::thread::JoinHandle<()>) {
        dismiss(self, &mut self.lock());
        thread.join().unwrap();
    }
}

impl Monitor for Model {
    type State = State;
    type Guard<'a> = Guard<'a>;

    fn lock(&self) -> Guard<'_> {
        Guard(self.state.lock().unwrap())
    }

    fn rest<'a>(&'a self, state: Guard<'a>, timeout: Option<Duration>) -> Guard<'a> {
        if timeout.is_some() {
            drop(state);
            loom::thread::yield_now();
            return self.lock();
        }
        Guard(self.turn.wait(state.0).unwrap())
    }

    fn notify_all(&self) {
        self.turn.notify_all();
    }
}

impl House for Model {
    type Heard = u32;

    fn wake(&self) {
        self.world.lock().unwrap().woken = true;
        self.heard.notify_all();
    }

    fn listen<'a>(
        &'a self,
        state: Guard<'a>,
        _: Option<Duration>,
        _: Option<u64>,
    ) -> (Guard<'a>, u32, Result<(), Errno>) {
        drop(state);
        let mut world = self.world.lock().unwrap();
        while !world.woken && world.events == 0 {
            world = self.heard.wait(world).unwrap();
        }
        let World { events, .. } = std::mem::take(&mut *world);
        drop(world);
        (self.lock(), events, Ok(()))
    }

    fn hear(state: &mut State, events: u32) {
        state.waiting += events;
        state.expected -= events;
    }

    fn turnstile(state: &mut State) -> &mut Turnstile {
        &mut state.turnstile
    }

    fn is_expecting(state: &State) -> bool {
        state.expected > 0
    }

    fn time_left(&self, _: &State) -> (Option<Duration>, Option<u64>) {
        (None, None)
    }

    fn catch_up(&self, state: &mut State) {
        self.settle_up(state);
    }

    fn defers(&self) -> bool {
        self.defers
    }

    fn await_task_work<'a>(&'a self, state: Guard<'a>, _: Option<Duration>) -> Guard<'a> {
        drop(state);
        let mut world = self.world.lock().unwrap();
        while !world.woken && world.events == 0 {
            world = self.heard.wait(world).unwrap();
        }
        drop(world);
        self.lock()
    }

    fn tell_of_task_work(&self, state: &mut State) {
        state.task_work += 1;
        self.posted.notify_all();
    }
}

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn spawn(model: &Arc<Model>, act: impl FnOnce(&Model) + 'static) -> loom::thread::JoinHandle<()> {
    let model = model.clone();
    loom::thread::spawn(move || act(&model))
}

#[test]
fn a_leader_and_a_follower_both_get_what_they_wait_for() {
    check(3, || {
        let model = Model::new(false, 2);
        let other = spawn(&model, |model| model.wait(2));
        let world = spawn(&model, |model| {
            model.happen();
            model.happen();
        });
        model.wait(1);
        other.join().unwrap();
        world.join().unwrap();
    });
}

#[test]
fn a_follower_leads_when_the_leader_goes() {
    check(3, || {
        let model = Model::new(false, 1);
        let other = spawn(&model, |model| model.wait(2));
        let poster = spawn(&model, |model| {
            model.post();
            model.happen();
        });
        model.wait(1);
        other.join().unwrap();
        poster.join().unwrap();
    });
}

#[test]
fn what_another_thread_posts_ends_a_wait() {
    check(3, || {
        let model = Model::new(false, 0);
        let poster = spawn(&model, |model| {
            model.post();
            model.post();
        });
        model.wait(2);
        poster.join().unwrap();
    });
}

#[test]
fn a_wake_that_somebody_else_takes_out_reaches_the_leader() {
    check(3, || {
        let model = Model::new(false, 0);
        let poster = spawn(&model, Model::post);
        let looker = spawn(&model, Model::look);
        model.wait(1);
        poster.join().unwrap();
        looker.join().unwrap();
    });
}

#[test]
fn what_happens_while_nobody_waits_is_seen_to_in_the_background() {
    check(2, || {
        let model = Model::new(false, 1);
        let background = spawn(&model, attend);
        model.happen();
        model.watch(1);
        model.end_background(background);
    });
}

#[test]
fn a_background_thread_that_sleeps_is_woken_for_what_is_new() {
    check(2, || {
        let model = Model::new(false, 0);
        let background = spawn(&model, attend);
        {
            let mut state = model.lock();
            state.expected += 1;
            model.see_to_background(&mut state);
        }
        model.happen();
        model.watch(1);
        model.end_background(background);
    });
}

#[test]
fn who_comes_to_wait_gets_the_place_of_the_background_thread() {
    check(2, || {
        let model = Model::new(false, 1);
        let background = spawn(&model, attend);
        let world = spawn(&model, Model::happen);
        model.wait(1);
        world.join().unwrap();
        model.end_background(background);
    });
}

#[test]
fn the_background_thread_takes_over_from_a_wait_that_is_over() {
    check(2, || {
        let model = Model::new(false, 2);
        let background = spawn(&model, attend);
        model.happen();
        model.wait(1);
        model.happen();
        model.watch(2);
        model.end_background(background);
    });
}

#[test]
fn a_deferring_ring_is_told_of_what_there_is_to_enter_for() {
    check(2, || {
        let model = Model::new(true, 1);
        let background = spawn(&model, attend);
        model.happen();
        let mut state = model.lock();
        while state.task_work == 0 {
            state = Guard(model.posted.wait(state.0).unwrap());
        }
        assert_eq!((state.task_work, state.waiting), (1, 0), "told once, and left to the owner");
        drop(state);
        model.wait(1);
        model.end_background(background);
    });
}
