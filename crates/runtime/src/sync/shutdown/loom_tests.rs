//! The shutdown under loom: every order in which those who ask, wait, hold on and go away can meet.
//!
//! Waiting is loom's `Notify`: whoever waits for a call that nobody makes is a deadlock, and loom says so.

#[allow(clippy::duplicate_mod, reason = "the same text over other primitives is what is tested")]
#[path = "node.rs"]
mod node;

use std::pin::pin;
use std::sync::Arc;

use loom::thread;

use crate::sync::model::{self, Bell, check, poll, sync};
use node::{Event, Node, Stage};

/// Waits until this has come.
fn wait_for(node: &Arc<Node>, event: Event) {
    model::wait_for(node.wait(event));
}

/// A thread that knows a node.
fn with<R: 'static>(node: &Arc<Node>, work: impl FnOnce(Arc<Node>) -> R + 'static) -> thread::JoinHandle<R> {
    let node = node.clone();
    thread::spawn(move || work(node))
}

#[test]
fn whoever_waits_hears_of_its_stage_and_of_a_later_one() {
    check(|| {
        let node = Node::new();
        let requested = with(&node, |node| wait_for(&node, Event::Stage(Stage::Requested)));
        let cancelled = with(&node, |node| {
            wait_for(&node, Event::Stage(Stage::Cancelled));
            assert_eq!(node.stage(), Stage::Cancelled);
        });
        node.enter(Stage::Requested);
        requested.join().unwrap();
        node.enter(Stage::Cancelled);
        // Back is no way.
        node.enter(Stage::Requested);
        cancelled.join().unwrap();
    });
}

#[test]
fn two_who_ask_for_different_stages_reach_the_later_one() {
    check(|| {
        let node = Node::new();
        let child = node.child();
        let other = with(&node, |node| node.enter(Stage::Requested));
        let waits = with(&child, |child| wait_for(&child, Event::Stage(Stage::Cancelled)));
        node.enter(Stage::Cancelled);
        other.join().unwrap();
        waits.join().unwrap();
        assert_eq!((node.stage(), child.stage()), (Stage::Cancelled, Stage::Cancelled));
    });
}

#[test]
fn a_child_that_is_made_meanwhile_is_cancelled_with_its_parent() {
    check(|| {
        let node = Node::new();
        let waits = with(&node, |node| wait_for(&node.child(), Event::Stage(Stage::Cancelled)));
        let passes = with(&node, |node| drop(node.child().child()));
        node.enter(Stage::Cancelled);
        waits.join().unwrap();
        passes.join().unwrap();
        assert_eq!(node.child().stage(), Stage::Cancelled);
    });
}

#[test]
fn the_last_guard_that_goes_is_heard_of_here_and_above() {
    check(|| {
        let node = Node::new();
        let child = node.child();
        child.hold();
        node.hold();
        let guards = [child.clone(), node.clone()].map(|held| with(&held, |held| held.release()));
        wait_for(&child, Event::Drained);
        wait_for(&node, Event::Drained);
        assert_eq!((node.guards(), child.guards()), (0, 0));
        guards.into_iter().for_each(|guard| guard.join().unwrap());
    });
}

#[test]
fn one_that_stops_waiting_takes_nothing_from_the_others() {
    check(|| {
        let node = Node::new();
        node.hold();
        let gives_up = with(&node, |node| {
            let bell = Bell::new();
            // Waits for one thing and then for the other, and is gone whatever came of it.
            let _stage = poll(pin!(node.wait(Event::Stage(Stage::Requested))), &bell);
            let _drained = poll(pin!(node.wait(Event::Drained)), &bell);
        });
        let waits = with(&node, |node| wait_for(&node, Event::Drained));
        node.enter(Stage::Requested);
        node.release();
        wait_for(&node, Event::Stage(Stage::Requested));
        gives_up.join().unwrap();
        waits.join().unwrap();
    });
}

#[test]
fn one_who_waits_until_all_are_gone_waits_for_those_who_came_meanwhile() {
    check(|| {
        let node = Node::new();
        node.hold();
        let passes_on = with(&node, |node| {
            // As a clone of a guard, and then the guard.
            node.hold();
            node.release();
            node.release();
        });
        wait_for(&node, Event::Drained);
        assert_eq!(node.guards(), 0);
        passes_on.join().unwrap();
    });
}

#[test]
fn a_wait_that_goes_to_another_task_is_woken_there() {
    check(|| {
        let node = Node::new();
        let mut wait = pin!(node.wait(Event::Stage(Stage::Requested)));
        let asks = with(&node, |node| node.enter(Stage::Requested));
        let [before, now] = [(); 2].map(|()| Bell::new());
        let mut heard = poll(wait.as_mut(), &before);
        while heard.is_pending() {
            heard = poll(wait.as_mut(), &now);
            if heard.is_pending() {
                now.0.wait();
            }
        }
        asks.join().unwrap();
    });
}
