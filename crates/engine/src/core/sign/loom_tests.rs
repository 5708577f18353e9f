//! The sign under loom: every order in which posting, exposing and taking out can meet.

#[allow(clippy::duplicate_mod, reason = "the same text over other primitives is what is tested")]
#[path = "board.rs"]
mod board;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering, fence};
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use board::Sign;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Release};

/// A queue of completions that only counts, and the sign beside it.
#[derive(Default)]
struct Model {
    lock: Mutex<()>,
    head: AtomicU32,
    tail: AtomicU32,
    sign: Sign,
    /// What whoever looks sees. Of no order of its own: it is turned with the lock.
    shown: AtomicBool,
}

impl Model {
    fn waiting(&self) -> u32 {
        self.tail.load(Relaxed) - self.head.load(Acquire)
    }

    fn show(&self, up: bool) {
        assert_ne!(self.shown.swap(up, Relaxed), up, "it is turned, not told twice");
    }

    fn update(&self) {
        self.sign.update(|| self.waiting(), |up| self.show(up));
    }

    fn post(&self) {
        let _lock = self.lock.lock().unwrap();
        self.tail.fetch_add(1, Release);
        self.update();
    }

    fn expose(&self) {
        let _lock = self.lock.lock().unwrap();
        self.sign.expose(|| self.waiting(), |up| self.show(up));
    }

    fn take(&self) {
        let tail = self.tail.load(Acquire);
        if tail == self.head.load(Acquire) {
            return;
        }
        self.head.store(tail, Release);
        if self.sign.is_left_up() {
            let _lock = self.lock.lock().unwrap();
            self.update();
        }
    }
}

/// Posts twice while another thread exposes the sign and takes out so many times; what is shown is right in the end.
fn is_right_after(takes: u32, exposed_first: bool) {
    loom::model(move || {
        let model = Arc::new(Model::default());
        if exposed_first {
            model.expose();
        }
        let posting = model.clone();
        let thread = loom::thread::spawn(move || {
            posting.post();
            posting.post();
        });
        if !exposed_first {
            model.expose();
        }
        for _ in 0..takes {
            model.take();
        }
        thread.join().unwrap();
        assert_eq!(model.shown.load(Relaxed), model.waiting() > 0, "{} wait", model.waiting());
    });
}

#[test]
fn what_is_posted_while_the_sign_is_exposed_is_shown() {
    is_right_after(0, false);
}

#[test]
fn what_was_taken_out_at_once_is_not_shown() {
    is_right_after(1, false);
    is_right_after(2, true);
}
