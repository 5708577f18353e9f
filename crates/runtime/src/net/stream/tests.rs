//! A call of several receives that is dropped while it waits for another receive's last word: made to be so here.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use crate::net::UnixStream;
use crate::{counters, yield_now};

#[test]
fn a_call_that_is_dropped_between_two_receives_gives_back_what_it_had() {
    crate::run(async {
        let (near, far) = UnixStream::pair().unwrap();
        near.send_all("ab").await.0.unwrap();
        {
            let mut exact = pin!(far.recv_exact(vec![0; 9]));
            // In flight for the second time, and with one byte more.
            let before = counters().submitted;
            while counters().submitted < before + 2 {
                assert!(poll_fn(|cx| Poll::Ready(exact.as_mut().poll(cx).is_pending())).await);
                yield_now().await;
            }
            near.send_all("c").await.0.unwrap();
            // Somebody else's receive is dropped, and may have taken something. The call waits for the end of it.
            far.inbound.doubt();
            while counters().in_flight > 0 {
                yield_now().await;
            }
            let before = counters().submitted;
            assert!(poll_fn(|cx| Poll::Ready(exact.as_mut().poll(cx).is_pending())).await);
            yield_now().await;
            assert_eq!(counters().submitted, before, "it does not receive");
        }
        far.inbound.keep(b"d");
        far.inbound.settle();
        let (received, bytes) = far.recv(Vec::with_capacity(9)).await;
        assert_eq!((received.unwrap(), &bytes[..]), (4, &b"abcd"[..]));
    })
    .unwrap();
}
