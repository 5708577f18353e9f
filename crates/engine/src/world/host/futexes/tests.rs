//! Waits for futexes: with wakes of the system's own kind, from this thread and others.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use annulus_abi::{FUTEX2_SIZE_U32, Futex2Flags};
use rustix::io::Errno;

use super::calls::{self, Target};
use super::{MOST, Waiters};
use crate::world::{Futex, FutexWait, FutexWaiting, Futexes, Host, Readiness, Vouched};

const SHARED: u32 = FUTEX2_SIZE_U32;
const PRIVATE: u32 = FUTEX2_SIZE_U32 | Futex2Flags::PRIVATE.bits();
const ANY: u32 = u32::MAX;
const IN: u32 = 1;

fn on(word: &AtomicU32, flags: u32, value: u32) -> FutexWait {
    let addr = word.as_ptr().expose_provenance() as u64;
    FutexWait { futex: Futex { word: Vouched::in_tests().span(addr, 4), flags }, value }
}

fn wake(host: &Host, word: &AtomicU32, count: i32, mask: u32) -> u32 {
    host.wake_futex(on(word, PRIVATE, 0).futex, count, mask).unwrap()
}

fn outcome(host: &Host, waiting: &dyn FutexWaiting) -> Result<u32, Errno> {
    assert_eq!(host.await_ready(waiting.descriptor(), IN), Ok(IN));
    waiting.woken().expect("the descriptor says that it is over")
}

#[test]
fn a_wake_right_behind_the_begin_of_a_wait_finds_it() {
    let (host, word) = (Host::new().unwrap(), AtomicU32::new(5));
    for flags in [PRIVATE, SHARED] {
        for _ in 0..200 {
            let waiting = host.wait_futexes(&[on(&word, flags, 5)], ANY).unwrap();
            assert_eq!(host.wake_futex(on(&word, flags, 0).futex, 9, ANY), Ok(1));
            assert_eq!(outcome(&host, &*waiting), Ok(0));
        }
    }
}

#[test]
fn a_wait_for_another_value_does_not_begin() {
    let (host, word) = (Host::new().unwrap(), AtomicU32::new(6));
    assert_eq!(host.wait_futexes(&[on(&word, PRIVATE, 5)], ANY).unwrap_err(), Errno::AGAIN);
    assert_eq!(wake(&host, &word, 9, ANY), 0);
}

#[test]
fn addresses_are_checked_as_by_the_kernel() {
    let (host, words) = (Host::new().unwrap(), [AtomicU32::new(5), AtomicU32::new(5)]);
    let mut unaligned = on(&words[0], PRIVATE, 5);
    unaligned.futex.word = Vouched::in_tests().span(unaligned.futex.word.addr() + 1, 4);
    let mut nowhere = unaligned;
    nowhere.futex.word = Vouched::in_tests().span(64, 4);
    for (wait, errno) in [(unaligned, Errno::INVAL), (nowhere, Errno::FAULT)] {
        assert_eq!(host.wait_futexes(&[wait], ANY).unwrap_err(), errno);
    }
    assert_eq!(host.wake_futex(unaligned.futex, 1, ANY), Err(Errno::INVAL));
    assert_eq!(host.wake_futex(on(&words[0], PRIVATE, 0).futex, 1, 0), Err(Errno::INVAL), "an empty mask");
}

#[test]
fn a_stopped_wait_is_in_nobodys_way() {
    let (host, word) = (Host::new().unwrap(), AtomicU32::new(5));
    for _ in 0..50 {
        let mut stopped = host.wait_futexes(&[on(&word, PRIVATE, 5)], ANY).unwrap();
        let waiting = host.wait_futexes(&[on(&word, PRIVATE, 5)], ANY).unwrap();
        assert_eq!(stopped.stop(), None);
        assert_eq!(wake(&host, &word, 1, ANY), 1);
        assert_eq!(outcome(&host, &*waiting), Ok(0));
    }
}

#[test]
fn a_wake_that_came_before_the_stop_is_told() {
    let (host, word) = (Host::new().unwrap(), AtomicU32::new(5));
    for _ in 0..50 {
        let mut waiting = host.wait_futexes(&[on(&word, PRIVATE, 5)], ANY).unwrap();
        assert_eq!(wake(&host, &word, 1, ANY), 1);
        assert_eq!(waiting.stop(), Some(Ok(0)));
    }
}

#[test]
fn a_mask_chooses_who_is_woken() {
    let (host, word) = (Host::new().unwrap(), AtomicU32::new(5));
    let two = host.wait_futexes(&[on(&word, PRIVATE, 5)], 2).unwrap();
    assert_eq!(wake(&host, &word, 9, 5), 0);
    assert_eq!(wake(&host, &word, 0, 2), 0, "nobody is what was asked for");
    assert_eq!(wake(&host, &word, 9, 6), 1);
    assert_eq!(outcome(&host, &*two), Ok(0));
}

#[test]
fn a_wait_for_several_tells_which_one_woke_it() {
    let host = Host::new().unwrap();
    let words: Vec<AtomicU32> = (0..128).map(AtomicU32::new).collect();
    let waits: Vec<FutexWait> = words.iter().map(|word| on(word, PRIVATE, word.load(SeqCst))).collect();
    for index in [0, 77, 127] {
        let waiting = host.wait_futexes(&waits, ANY).unwrap();
        assert_eq!(wake(&host, &words[index as usize], 9, ANY), 1);
        assert_eq!(outcome(&host, &*waiting), Ok(index));
        drop(waiting);
        assert_eq!(wake(&host, &words[0], 9, ANY), 0, "it waits for none any more");
    }
    words[90].store(0, SeqCst);
    assert_eq!(host.wait_futexes(&waits, ANY).unwrap_err(), Errno::AGAIN);
}

#[test]
fn a_thread_that_is_interrupted_for_no_reason_goes_on_waiting() {
    let (waiters, word) = (Waiters::default(), AtomicU32::new(5));
    let target = Target { addr: word.as_ptr().expose_provenance() as u64, flags: PRIVATE, value: 5 };
    let waiter = waiters.take().unwrap();
    waiter.begin(vec![target], ANY).unwrap();
    for _ in 0..20 {
        waiter.nudge();
        std::thread::yield_now();
    }
    // It may be on its way back into the queue.
    while calls::wake(&target, 1, ANY).unwrap() == 0 {
        assert_eq!(waiter.outcome(), None);
        std::thread::yield_now();
    }
    while waiter.outcome().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(waiter.outcome(), Some(Ok(0)));
    waiter.clear();
    waiters.give_back(waiter);
    waiters.close();
}

#[test]
fn a_thread_that_comes_back_before_the_mark_is_moved_again() {
    let (waiters, words) = (Waiters::default(), [AtomicU32::new(5), AtomicU32::new(6), AtomicU32::new(7)]);
    for count in 1..=words.len() {
        let targets: Vec<Target> = words[..count]
            .iter()
            .map(|word| Target {
                addr: word.as_ptr().expose_provenance() as u64,
                flags: PRIVATE,
                value: word.load(SeqCst),
            })
            .collect();
        for (target, index) in targets.iter().zip(0..) {
            let waiter = waiters.take().unwrap();
            let come_back = |own: &AtomicU32| {
                waiter.nudge();
                while !calls::is_awaited(own, own.load(SeqCst), target).unwrap() {
                    std::thread::yield_now();
                }
            };
            waiter.begin_and(targets.clone(), ANY, come_back).unwrap();
            assert_eq!(calls::wake(target, 1, ANY), Ok(1));
            while waiter.outcome().is_none() {
                std::thread::yield_now();
            }
            assert_eq!(waiter.outcome(), Some(Ok(index)));
            waiter.clear();
            waiters.give_back(waiter);
        }
    }
    waiters.close();
}

#[test]
fn what_changed_while_a_thread_was_interrupted_ends_its_wait() {
    let (waiters, word) = (Waiters::default(), AtomicU32::new(5));
    let target = Target { addr: word.as_ptr().expose_provenance() as u64, flags: PRIVATE, value: 5 };
    let waiter = waiters.take().unwrap();
    waiter.begin(vec![target], ANY).unwrap();
    word.store(6, SeqCst);
    while waiter.outcome().is_none() {
        waiter.nudge();
        // Signals that come faster than they are handled would keep the thread from everything else.
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(waiter.outcome(), Some(Ok(0)), "woken for no reason, as futex(2) may be");
    waiter.clear();
    waiters.give_back(waiter);
    waiters.close();
}

#[test]
fn waits_are_bounded_and_threads_are_used_again() {
    let (host, word) = (Host::new().unwrap(), AtomicU32::new(5));
    let many: Vec<_> = (0..MOST).map(|_| host.wait_futexes(&[on(&word, PRIVATE, 5)], ANY).unwrap()).collect();
    assert_eq!(host.wait_futexes(&[on(&word, PRIVATE, 5)], ANY).unwrap_err(), Errno::NOMEM);
    assert_eq!(wake(&host, &word, i32::MAX, ANY), u32::try_from(MOST).unwrap());
    for waiting in many {
        assert_eq!(outcome(&host, &*waiting), Ok(0));
    }
    let again = host.wait_futexes(&[on(&word, PRIVATE, 5)], ANY).unwrap();
    assert_eq!(host.waiters.lock().count, MOST);
    drop(again);
}
