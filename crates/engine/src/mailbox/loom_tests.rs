//! The mailbox under loom: every order in which those who leave something and the one who takes it out can meet.

#[allow(clippy::duplicate_mod, reason = "the same text over other primitives is what is tested")]
#[path = "post.rs"]
mod post;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};
    pub(super) use loom::sync::{Mutex, MutexGuard};

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

use std::sync::Arc;

use post::Mailbox;

#[test]
fn everything_is_taken_out_once() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::default());
        let threads = [[1, 2], [3, 4]].map(|letters| {
            let mailbox = mailbox.clone();
            loom::thread::spawn(move || letters.into_iter().for_each(|letter| mailbox.put(letter)))
        });
        let mut taken = mailbox.take();
        for thread in threads {
            thread.join().unwrap();
        }
        taken.extend(mailbox.take());
        assert_eq!(mailbox.take(), Vec::<i32>::new());
        let order = |one, other| {
            let place = |letter| taken.iter().position(|taken| *taken == letter);
            place(one) < place(other)
        };
        assert!(order(1, 2) && order(3, 4), "each in its order: {taken:?}");
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3, 4]);
    });
}

#[test]
fn what_was_left_before_a_word_was_sent_is_there_when_it_arrives() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::default());
        let (word, sent) = (Arc::new(loom::sync::atomic::AtomicBool::new(false)), mailbox.clone());
        let arrives = word.clone();
        let thread = loom::thread::spawn(move || {
            sent.put(7);
            word.store(true, loom::sync::atomic::Ordering::Release);
        });
        let mut taken = mailbox.take();
        if arrives.load(loom::sync::atomic::Ordering::Acquire) {
            taken.extend(mailbox.take());
            assert_eq!(taken, [7]);
        }
        thread.join().unwrap();
    });
}
