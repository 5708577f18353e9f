//! Happy eyeballs (RFC 8305): which address is tried when, so that one that does not answer costs a quarter of a
//! second and not a minute.
//!
//! It knows nothing of sockets: an attempt is a future. What it keeps true: attempts that are no longer wanted are
//! dropped, which cancels them and closes what they made.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::time::{self, Sleep};

/// How long an attempt is alone before the next begins beside it (RFC 8305, section 5).
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The order in which to try: families by turns, beginning with that of the first (RFC 8305, section 4).
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return VecDeque::new() };
    let (mut preferred, mut others): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut order = VecDeque::new();
    while !preferred.is_empty() || !others.is_empty() {
        order.extend(preferred.pop_front());
        order.extend(others.pop_front());
    }
    order
}

/// Tries the addresses in order, each `delay` after the one before or as soon as that has failed, and takes the
/// first that succeeds. If none does, the error of the last that failed.
pub(super) async fn race<T, F: Future<Output = io::Result<T>>>(
    addresses: VecDeque<SocketAddr>,
    delay: Duration,
    attempt: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut race = Race { addresses, delay, attempt, running: Vec::new() };
    let mut next_start = pin!(time::sleep(delay));
    let mut failed = race.begin().then_some(None).ok_or_else(nothing_to_try)?;
    poll_fn(move |cx| race.poll(cx, next_start.as_mut(), &mut failed)).await
}

struct Race<F, A> {
    /// Those that were not tried yet.
    addresses: VecDeque<SocketAddr>,
    delay: Duration,
    attempt: A,
    running: Vec<Pin<Box<F>>>,
}

impl<T, F: Future<Output = io::Result<T>>, A: Fn(SocketAddr) -> F> Race<F, A> {
    /// Begins with the next address. Says whether there was one.
    fn begin(&mut self) -> bool {
        let Some(address) = self.addresses.pop_front() else { return false };
        self.running.push(Box::pin((self.attempt)(address)));
        true
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut next_start: Pin<&mut Sleep>,
        failed: &mut Option<io::Error>,
    ) -> Poll<io::Result<T>> {
        loop {
            let mut index = 0;
            let mut began = false;
            while let Some(running) = self.running.get_mut(index) {
                match running.as_mut().poll(cx) {
                    Poll::Ready(Ok(won)) => return Poll::Ready(Ok(won)),
                    Poll::Ready(Err(error)) => {
                        *failed = Some(error);
                        drop(self.running.swap_remove(index));
                        began |= self.begin();
                    }
                    Poll::Pending => index += 1,
                }
            }
            if !began && !self.addresses.is_empty() && next_start.as_mut().poll(cx).is_ready() {
                began = self.begin();
            }
            if !began {
                break;
            }
            next_start.reset(time::now() + self.delay);
        }
        if self.running.is_empty() {
            return Poll::Ready(Err(failed.take().unwrap_or_else(nothing_to_try)));
        }
        Poll::Pending
    }
}

fn nothing_to_try() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the name has no address that could be tried")
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::pending;
    use std::rc::Rc;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_first_decides_which_begins() {
        let mixed = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(interleave(mixed), expected);
        let mixed = addresses(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"]);
        assert_eq!(interleave(mixed), addresses(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]));
        assert!(interleave(Vec::new()).is_empty());
    }

    /// Tells when it is dropped.
    struct Told(Rc<Cell<usize>>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn one_that_never_answers_is_overtaken_and_dropped() {
        crate::run(async {
            let dropped = Rc::new(Cell::new(0));
            let order = interleave(addresses(&["[::1]:1", "1.1.1.1:1"]));
            let won = race(order, Duration::from_millis(1), |address| {
                let told = Told(dropped.clone());
                async move {
                    let _told = told;
                    if address.is_ipv6() {
                        pending::<()>().await;
                    }
                    Ok(address)
                }
            });
            assert_eq!(won.await.unwrap().to_string(), "1.1.1.1:1");
            assert_eq!(dropped.get(), 2);
        })
        .unwrap();
    }

    #[test]
    fn a_failure_begins_the_next_at_once_and_the_last_error_is_told() {
        crate::run(async {
            let tried = RefCell::new(Vec::new());
            let order = interleave(addresses(&["1.1.1.1:1", "2.2.2.2:2", "3.3.3.3:3"]));
            // Were the delay waited for, this would not end.
            let lost = race(order, Duration::from_secs(86_400), |address| {
                tried.borrow_mut().push(address.port());
                async move { Err::<(), _>(io::Error::from_raw_os_error(i32::from(address.port()))) }
            });
            assert_eq!(lost.await.unwrap_err().raw_os_error(), Some(3));
            assert_eq!(*tried.borrow(), [1, 2, 3]);
        })
        .unwrap();
    }

    #[test]
    fn an_early_one_may_win_while_later_ones_run() {
        crate::run(async {
            let begun = Rc::new(Cell::new(0));
            let order = interleave(addresses(&["1.1.1.1:1", "2.2.2.2:2"]));
            let won = race(order, Duration::from_millis(1), |address| {
                let begun = begun.clone();
                begun.set(begun.get() + 1);
                async move {
                    if address.port() == 2 {
                        pending::<()>().await;
                    }
                    while begun.get() < 2 {
                        crate::yield_now().await;
                    }
                    Ok(address.port())
                }
            });
            assert_eq!(won.await.unwrap(), 1);
        })
        .unwrap();
    }

    #[test]
    fn without_an_address_there_is_nothing_to_try() {
        crate::run(async {
            let lost = race(VecDeque::new(), ATTEMPT_DELAY, |_| async { Ok(()) }).await;
            assert_eq!(lost.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        })
        .unwrap();
    }
}
