//! The inbox and the flag of a task under loom: every order in which wakers, senders and the executor can meet.
//!
//! Waiting is loom's `Notify`: an executor that waits for a call which nobody makes is a deadlock, and loom says so.

#[allow(clippy::duplicate_mod, reason = "the same text over other primitives is what is tested")]
#[path = "flag.rs"]
mod flag;
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

use std::collections::VecDeque;
use std::sync::Arc;

use loom::sync::Notify;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

use flag::Left;
use post::{Next, Post, Refused};
use sync::Ordering;

/// All orders in which a thread is interrupted at most twice where it need not be: with three threads, all of them
/// are more than a test has time for.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// An executor's end, and what ends its wait: the eventfd, or a completion of its ring.
#[derive(Clone)]
struct End {
    post: Arc<Post<char, u32>>,
    bell: Arc<Notify>,
}

impl End {
    fn new(capacity: usize) -> Self {
        Self { post: Arc::new(Post::new(capacity)), bell: Arc::new(Notify::new()) }
    }

    /// A thread without a ring wakes a task.
    fn wake(&self, task: char) {
        if self.post.wake(task) == Next::Call && self.post.call() {
            self.bell.notify();
        }
    }

    /// Another shard leaves a letter, and sends a message later if it is told to.
    fn leave(&self, letter: u32) -> Result<(), (Refused, u32)> {
        if self.post.leave(letter, |letter| letter)? == Next::Call {
            self.bell.notify();
        }
        Ok(())
    }

    /// The executor's loop, until it has got so much.
    fn collect(&self, tasks: usize, letters: usize) -> (Vec<char>, Vec<u32>) {
        let (mut woken, mut read) = (Vec::new(), Vec::new());
        loop {
            let (mut tasks_now, mut letters_now) = (Vec::new(), VecDeque::new());
            self.post.collect(&mut tasks_now, &mut letters_now);
            woken.extend(tasks_now);
            read.extend(letters_now);
            if woken.len() >= tasks && read.len() >= letters {
                return (woken, read);
            }
            if self.post.fall_asleep() {
                self.bell.wait();
                self.post.awake();
            }
        }
    }
}

#[test]
fn an_executor_does_not_sleep_over_a_task_or_a_letter() {
    check(|| {
        let end = End::new(8);
        let (waker, sender) = (end.clone(), end.clone());
        let threads =
            [thread::spawn(move || waker.wake('a')), thread::spawn(move || sender.leave(1).unwrap())];
        assert_eq!(end.collect(1, 1), (vec!['a'], vec![1]));
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_call_that_one_has_yet_to_make_does_not_keep_another_from_calling() {
    check(|| {
        let end = End::new(8);
        let (slow, quick) = (end.clone(), end.clone());
        // A shard whose turn goes on: it has been told to send a message, and does not send it.
        let slow = thread::spawn(move || slow.post.leave(1, |letter| letter).is_ok());
        let quick = thread::spawn(move || quick.wake('a'));
        let (woken, _) = end.collect(1, 0);
        assert_eq!(woken, ['a']);
        assert!(slow.join().unwrap());
        quick.join().unwrap();
    });
}

#[test]
fn letters_of_one_sender_stay_in_order_and_none_is_there_twice() {
    check(|| {
        let end = End::new(8);
        let threads = [vec![1, 2], vec![3]].map(|letters| {
            let end = end.clone();
            thread::spawn(move || letters.into_iter().for_each(|letter| end.leave(letter).unwrap()))
        });
        let (_, mut read) = end.collect(0, 3);
        let place = |letter| read.iter().position(|read| *read == letter);
        assert!(place(1) < place(2), "{read:?}");
        read.sort_unstable();
        assert_eq!(read, [1, 2, 3]);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_letter_is_read_or_given_back_when_the_executor_ends_and_never_both() {
    check(|| {
        let end = End::new(1);
        let sender = end.clone();
        let thread = thread::spawn(move || {
            let mut back = Vec::new();
            for letter in [1, 2] {
                if let Err((_, letter)) = sender.leave(letter) {
                    back.push(letter);
                }
            }
            back
        });
        let mut read = VecDeque::new();
        end.post.collect(&mut Vec::new(), &mut read);
        let mut read = Vec::from(read);
        let (_, rest) = end.post.close();
        assert!(rest.len() <= 1, "there was room for one");
        read.extend(rest);
        read.extend(thread.join().unwrap());
        read.sort_unstable();
        assert_eq!(read, [1, 2]);
        assert_eq!(end.leave(3), Err((Refused::Closed, 3)));
        end.wake('a');
        assert!(end.post.close().0.is_empty() && end.post.is_closed());
    });
}

#[test]
fn what_was_done_before_a_wake_is_seen_by_a_poll_that_follows() {
    check(|| {
        let end = End::new(1);
        let task = Arc::new((Left::new(), AtomicUsize::new(0)));
        let threads = [1, 2].map(|part| {
            let (end, task) = (end.clone(), task.clone());
            thread::spawn(move || {
                task.1.fetch_add(part, Ordering::Relaxed);
                if task.0.leave() {
                    end.wake('t');
                }
            })
        });
        loop {
            assert_eq!(end.collect(1, 0).0, ['t'], "once in the inbox");
            assert!(!task.0.arrive(), "nobody has condemned it");
            // The poll.
            if task.1.load(Ordering::Relaxed) == 3 {
                break;
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_task_that_is_aborted_while_another_thread_wakes_it_is_not_forgotten() {
    check(|| {
        let end = End::new(1);
        let task = Arc::new(Left::new());
        let threads = [false, true].map(|aborts| {
            let (end, task) = (end.clone(), task.clone());
            thread::spawn(move || {
                if aborts {
                    task.condemn();
                }
                if task.leave() {
                    end.wake('t');
                }
            })
        });
        loop {
            assert_eq!(end.collect(1, 0).0, ['t']);
            if task.arrive() {
                break;
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(task.is_set(), !end.post.close().0.is_empty(), "it says where it lies");
    });
}
