//! Messages that do not arrive: the eventfd makes up for them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use annulus::BackendKind;

use crate::executor::inbox::Address;
use crate::shard::Handle;
use crate::sync::channel;
use crate::time::timeout;
use crate::{Builder, counters, executor};

/// More than an answer takes on any machine.
const LONG: Duration = Duration::from_secs(30);

/// An executor that sends messages to a runtime of another thread, whose address is `wrong`. How many messages it sent for
/// `rounds` questions, all of which were answered. `None` where there are no messages.
fn ask_by(wrong: impl FnOnce(BackendKind) -> Address, rounds: u64) -> Option<u64> {
    let target = Builder::new().build().unwrap();
    let kind = target.context().driver.message_kind()?;
    target.context().inbox().publish(wrong(kind));
    let (handle, (stop, stopped)) = (target.handle(), channel::<()>(1));
    // A runtime stays on its thread: the one that asks is the other.
    thread::scope(|scope| {
        let asking = scope.spawn(move || {
            let builder = Builder::new();
            let pool = builder.pool();
            let context = builder.context(&pool).unwrap();
            let places: Arc<[Handle]> = [context.handle_as(0), handle.clone()].into();
            context.join(0, places, true);
            let sent = executor::run(&context, LONG, async {
                for round in 0..rounds {
                    let answer = crate::shard::spawn_on(1, move || async move { round + 1 });
                    assert_eq!(
                        timeout(LONG, answer).await.expect("it is called all the same").unwrap(),
                        round + 1
                    );
                }
                counters().messages
            });
            pool.close();
            drop(stop);
            sent.unwrap()
        });
        target.run(async { stopped.recv().await }).unwrap();
        Some(asking.join().unwrap())
    })
}

fn to(file: OwnedFd, kind: BackendKind) -> Address {
    Address { ring: Arc::new(file), user_data: 0, kind }
}

#[test]
fn a_message_to_what_is_no_ring_is_made_up_for() {
    let sent = ask_by(|kind| to(File::open("/dev/null").unwrap().into(), kind), 50);
    let Some(sent) = sent else { return skip() };
    assert!(sent > 0, "it tried");
}

#[test]
fn a_ring_of_another_kind_is_sent_nothing() {
    let sent = ask_by(|_| to(File::open("/dev/null").unwrap().into(), BackendKind::Custom), 50);
    let Some(sent) = sent else { return skip() };
    assert_eq!(sent, 0);
}

#[expect(clippy::print_stdout, reason = "what is left out is said")]
fn skip() {
    println!("SKIP: no MSG_RING (Linux 5.18)");
}
