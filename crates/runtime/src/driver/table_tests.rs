//! The table alone: late completions, reused slots, bounds, throttling.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use annulus::abi::CqeFlags;

use super::*;

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<i32>>>);

impl Leftover for Told {
    fn late(&mut self, completion: Completion) {
        self.0.borrow_mut().push(completion.result);
    }

    fn over(&mut self) {
        self.0.borrow_mut().push(i32::MAX);
    }
}

const fn last(result: i32) -> Completion {
    Completion::new(result, CqeFlags::empty())
}

const fn more(result: i32) -> Completion {
    Completion::new(result, CqeFlags::MORE)
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn poll_single(table: &mut Table, key: Key) -> Poll<Completion> {
    table.poll_single(key, &context(), &mut None)
}

fn poll_next(table: &mut Table, key: Key) -> Poll<Option<Completion>> {
    table.poll_next(key, &context(), &mut None)
}

/// Delivers as the driver does.
fn deliver(table: &mut Table, key: Key, completion: Completion) -> &'static str {
    match table.deliver(table.user_data(key), completion) {
        Delivered::Wake(waker) => {
            waker.wake();
            "woken"
        }
        Delivered::Throttle(..) => "throttled",
        Delivered::Late(mut leftover, key) => {
            leftover.late(completion);
            if let Some(mut leftover) = table.put_back(key, leftover) {
                leftover.over();
            }
            "late"
        }
        Delivered::CloseAgain(_) => "close again",
        Delivered::Undelivered(..) => "undelivered",
        Delivered::Side => "side",
        Delivered::CancelAgain(_) => "cancel again",
        Delivered::NotTogether => "not together",
        Delivered::Nothing => "nothing",
        Delivered::Stale => "stale",
    }
}

#[test]
fn a_late_completion_on_a_reused_slot_is_recognised() {
    let mut table = Table::new(8, Limits::default());
    let first = table.insert(0, Place::Main, None, 0).unwrap();
    assert_eq!(deliver(&mut table, first, last(1)), "nothing");
    assert_eq!(poll_single(&mut table, first), Poll::Ready(last(1)));

    let second = table.insert(0, Place::Main, None, 0).unwrap();
    assert_eq!((first.index, second.index), (0, 0));
    assert_ne!(table.user_data(first), table.user_data(second));
    assert_eq!(deliver(&mut table, first, last(99)), "stale");
    assert_eq!(poll_single(&mut table, second), Poll::Pending);
    assert_eq!(deliver(&mut table, second, last(2)), "woken");
    assert_eq!(poll_single(&mut table, second), Poll::Ready(last(2)));
    assert_eq!(deliver(&mut table, Key::IGNORED, last(0)), "nothing");
}

#[test]
fn a_completion_that_somebody_else_posts_ends_no_operation() {
    let mut table = Table::new(8, Limits::default());
    let key = table.insert(0, Place::Main, None, 0).unwrap();
    for guess in [0, 1, u64::MAX] {
        assert!(matches!(table.deliver(guess, last(1)), Delivered::Stale), "{guess}");
    }
    assert_eq!(poll_single(&mut table, key), Poll::Pending);
    assert_ne!(
        Table::new(8, Limits::default()).user_data(key),
        table.user_data(key),
        "each table has a secret of its own"
    );
}

#[test]
fn calls_and_messages_are_told_from_operations() {
    let mut table = Table::new(8, Limits::default());
    let key = table.insert(0, Place::Main, None, 0).unwrap();
    assert_eq!(deliver(&mut table, Key::CALL, last(0)), "nothing");
    assert_eq!(deliver(&mut table, Key::SIDE, last(1)), "side");
    assert_eq!(deliver(&mut table, Key::message(0), last(0)), "nothing");
    assert_eq!(deliver(&mut table, Key::message(7), last(-libc::EBADFD)), "undelivered");
    assert_eq!(deliver(&mut table, Key::IGNORED, last(-libc::ENOENT)), "nothing");
    assert_eq!(deliver(&mut table, Key::EVERYTHING, last(3)), "nothing");
    assert_eq!(deliver(&mut table, Key::EVERYTHING, last(-libc::EACCES)), "not together");
    let Delivered::Undelivered(number, errno) =
        table.deliver(table.user_data(Key::message(Key::MESSAGES - 1)), last(-libc::EOVERFLOW))
    else {
        panic!("it did not arrive")
    };
    assert_eq!((number, errno), (u32::MAX - 4, Errno::OVERFLOW));
    // The call of another table means nothing to this one.
    let foreign = Table::new(8, Limits::default()).user_data(Key::CALL);
    assert!(matches!(table.deliver(foreign, last(0)), Delivered::Stale));
    assert!(poll_single(&mut table, key).is_pending(), "the operation has heard nothing");
}

#[test]
fn the_result_of_a_zero_copy_send_is_given_out_with_its_notification() {
    let mut table = Table::new(8, Limits::default());
    let woken = Arc::new(Woken::default());
    let key = table.insert(0, Place::Main, Some(woken.clone().into()), 0).unwrap();
    assert_eq!(deliver(&mut table, key, more(100)), "woken");
    // The kernel still reads the buffer.
    assert_eq!(poll_single(&mut table, key), Poll::Pending);
    let notification = Completion::new(0, CqeFlags::NOTIF);
    assert_eq!(deliver(&mut table, key, notification), "woken");
    assert_eq!(woken.0.load(Ordering::Relaxed), 1, "once; the poll in between left another waker");
    assert_eq!(poll_single(&mut table, key), Poll::Ready(more(100)));
    assert_eq!(table.in_flight(), 0);
}

#[test]
fn a_leftover_is_told_of_everything_and_freed_at_the_end() {
    let mut table = Table::new(8, Limits::default());
    let key = table.insert(0, Place::Main, None, 0).unwrap();
    let told = Told::default();
    deliver(&mut table, key, more(1));
    deliver(&mut table, key, more(2));
    let (unread, waker, finished) = table.abandon(key);
    assert!(waker.is_none());
    assert_eq!((unread.as_slice(), finished), (&[more(1), more(2)][..], false));
    let mut leftover = told.clone();
    unread.into_iter().for_each(|completion| leftover.late(completion));
    assert!(table.put_back(key, Box::new(leftover)).is_none());
    assert_eq!(deliver(&mut table, key, more(3)), "late");
    assert_eq!(table.in_flight(), 1);
    assert_eq!(deliver(&mut table, key, last(-125)), "late");
    assert_eq!(*told.0.borrow(), [1, 2, 3, -125, i32::MAX]);
    assert_eq!((table.in_flight(), deliver(&mut table, key, last(4))), (0, "stale"));
}

#[test]
fn a_finished_operation_is_freed_as_it_is_abandoned() {
    let mut table = Table::new(8, Limits::default());
    let key = table.insert(0, Place::Main, None, 0).unwrap();
    deliver(&mut table, key, last(7));
    let (unread, _, finished) = table.abandon(key);
    assert_eq!((unread.as_slice(), finished), (&[last(7)][..], true));
    assert_eq!(deliver(&mut table, key, last(8)), "stale");
}

#[test]
fn completions_of_a_flow_come_in_order_and_its_end_after_them() {
    let mut table = Table::new(8, Limits::default());
    let key = table.insert(0, Place::Main, None, 0).unwrap();
    for completion in [more(1), more(2), last(3)] {
        deliver(&mut table, key, completion);
    }
    for expected in [Some(more(1)), Some(more(2)), Some(last(3)), None] {
        assert_eq!(poll_next(&mut table, key), Poll::Ready(expected));
    }
    assert_eq!(table.insert(0, Place::Main, None, 0).unwrap().index, 0);
}

#[test]
fn a_flow_that_piles_up_is_throttled_once_and_ends_without_an_error() {
    let mut table = Table::new(8, Limits::default());
    let key = table.insert(0, Place::Main, None, 2).unwrap();
    assert_eq!(deliver(&mut table, key, more(1)), "nothing");
    assert_eq!(deliver(&mut table, key, more(2)), "throttled");
    assert_eq!(deliver(&mut table, key, more(3)), "nothing");
    assert_eq!(deliver(&mut table, key, last(-libc::ECANCELED)), "nothing");
    for expected in [Some(more(1)), Some(more(2)), Some(more(3)), None] {
        assert_eq!(poll_next(&mut table, key), Poll::Ready(expected));
    }
}

#[test]
fn a_cancellation_that_missed_its_operation_is_repeated_and_not_for_ever() {
    let mut table = Table::new(8, Limits::default());
    let key = table.insert(0, Place::Main, None, 0).unwrap();
    assert_eq!(deliver(&mut table, key.cancellation(), last(0)), "nothing");
    for missed in [-libc::ENOENT, -libc::EALREADY].repeat(4) {
        assert_eq!(deliver(&mut table, key.cancellation(), last(missed)), "cancel again");
    }
    assert_eq!(deliver(&mut table, key.cancellation(), last(-libc::ENOENT)), "nothing");
    let other = table.insert(0, Place::Main, None, 0).unwrap();
    deliver(&mut table, other, last(1));
    assert_eq!(deliver(&mut table, other.cancellation(), last(-libc::ENOENT)), "nothing", "it is over");
    assert!(poll_single(&mut table, other).is_ready() && poll_single(&mut table, key).is_pending());
    assert_eq!(deliver(&mut table, other.cancellation(), last(-libc::ENOENT)), "nothing", "it is forgotten");
}

#[test]
fn a_cancellation_that_nobody_asked_for_is_a_result() {
    let mut table = Table::new(8, Limits::default());
    let key = table.insert(0, Place::Main, None, 2).unwrap();
    deliver(&mut table, key, last(-libc::ECANCELED));
    assert_eq!(poll_next(&mut table, key), Poll::Ready(Some(last(-libc::ECANCELED))));
}

#[test]
fn a_full_table_takes_no_more_until_something_ends() {
    let mut table = Table::new(2, Limits::default());
    let first = table.insert(0, Place::Main, None, 0).unwrap();
    let _second = table.insert_close(5).unwrap();
    assert!(table.insert(0, Place::Main, None, 0).is_none() && table.insert_close(6).is_none());
    deliver(&mut table, first, last(0));
    assert!(poll_single(&mut table, first).is_ready());
    assert!(table.insert(0, Place::Main, None, 0).is_some());
}

#[test]
fn a_close_that_was_cancelled_is_made_up_for() {
    let mut table = Table::new(2, Limits::default());
    let close = table.insert_close(5).unwrap();
    assert_eq!(deliver(&mut table, close, last(-libc::ECANCELED)), "close again");
    let close = table.insert_close(5).unwrap();
    assert_eq!(deliver(&mut table, close, last(-libc::EIO)), "nothing");
    assert_eq!(table.in_flight(), 0);
}
