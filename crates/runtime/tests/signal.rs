//! Signals, each in a process of its own.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annulus_rt::signal::{SignalKind, Signals, ctrl_c, terminate};
use annulus_rt::time::{sleep, timeout};
use annulus_rt::{Shards, run, spawn, yield_now};
use common::alone;
use rustix::process::{Signal, getpid, kill_process};

fn send(signal: Signal) {
    kill_process(getpid(), signal).unwrap();
}

#[test]
fn ctrl_c_ends_a_program_in_order() {
    alone("ctrl_c_ends_a_program_in_order", || {
        let told = run(async {
            let waiting = spawn(ctrl_c());
            // It has to be listening before the signal comes.
            sleep(Duration::from_millis(10)).await;
            send(Signal::INT);
            timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap()
        });
        told.unwrap().unwrap();
    });
}

#[test]
fn every_shard_hears_of_it_even_a_busy_one() {
    alone("every_shard_hears_of_it_even_a_busy_one", || {
        static LISTENING: AtomicUsize = AtomicUsize::new(0);
        let heard = Shards::new(3).run(|shard| async move {
            let mut signals = Signals::new(&[SignalKind::interrupt(), SignalKind::terminate()]).unwrap();
            LISTENING.fetch_add(1, Ordering::SeqCst);
            if shard == 1 {
                spawn(async {
                    loop {
                        yield_now().await;
                    }
                });
            }
            if shard == 0 {
                spawn(async {
                    while LISTENING.load(Ordering::SeqCst) < 3 {
                        sleep(Duration::from_millis(1)).await;
                    }
                    send(Signal::TERM);
                });
            }
            timeout(Duration::from_secs(20), signals.next()).await.unwrap().unwrap()
        });
        assert_eq!(heard.unwrap(), [SignalKind::terminate(); 3]);
    });
}

#[test]
fn signals_are_caught_from_the_start_and_none_is_lost_with_a_dropped_future() {
    alone("signals_are_caught_from_the_start_and_none_is_lost_with_a_dropped_future", || {
        run(async {
            let mut signals = Signals::new(&[
                SignalKind::user_defined1(),
                SignalKind::user_defined2(),
                SignalKind::hangup(),
            ])
            .unwrap();
            send(Signal::USR1);
            assert!(timeout(Duration::ZERO, signals.next()).await.is_err());
            assert_eq!(signals.next().await.unwrap(), SignalKind::user_defined1());
            send(Signal::HUP);
            assert_eq!(signals.next().await.unwrap(), SignalKind::hangup());
            send(Signal::USR2);
            send(Signal::USR1);
            let mut both = [signals.next().await.unwrap(), signals.next().await.unwrap()];
            both.sort_by_key(|kind| *kind == SignalKind::user_defined2());
            assert_eq!(both, [SignalKind::user_defined1(), SignalKind::user_defined2()]);
            assert!(timeout(Duration::from_millis(5), signals.next()).await.is_err());
        })
        .unwrap();
    });
}

#[test]
fn terminate_says_which_signal_it_was() {
    alone("terminate_says_which_signal_it_was", || {
        for (signal, kind) in
            [(Signal::TERM, SignalKind::terminate()), (Signal::INT, SignalKind::interrupt())]
        {
            let told = run(async {
                let waiting = spawn(terminate());
                sleep(Duration::from_millis(10)).await;
                send(signal);
                timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap()
            });
            assert_eq!(told.unwrap().unwrap(), kind);
        }
    });
}

#[test]
fn any_signal_can_be_waited_for_by_its_number() {
    alone("any_signal_can_be_waited_for_by_its_number", || {
        run(async {
            let numbers: Vec<_> = (1..=31)
                .filter(|number| ![libc::SIGKILL, libc::SIGSTOP].contains(number))
                .filter(|number| ![libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE].contains(number))
                .chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
                .collect();
            let kinds: Vec<_> = numbers.iter().copied().map(SignalKind::from_raw).collect();
            let mut signals = Signals::new(&kinds).unwrap();
            for (number, kind) in numbers.into_iter().zip(kinds) {
                // By its number: those for real time have no name.
                let sent = std::process::Command::new("kill")
                    .args([format!("-{number}"), std::process::id().to_string()])
                    .status()
                    .unwrap();
                assert!(sent.success());
                let mut came = signals.next().await.unwrap();
                // The end of `kill` is told by SIGCHLD.
                if came == SignalKind::child() && kind != came {
                    came = signals.next().await.unwrap();
                }
                assert_eq!((came, came.as_raw()), (kind, number));
                if kind != SignalKind::child() {
                    while timeout(Duration::ZERO, signals.next()).await.is_ok() {}
                }
            }
        })
        .unwrap();
    });
}

#[test]
fn signals_that_cannot_be_waited_for_are_refused_with_their_names() {
    run(async {
        let table = [
            (libc::SIGKILL, "SIGKILL cannot be caught"),
            (libc::SIGSTOP, "SIGSTOP cannot be caught"),
            (libc::SIGSEGV, "SIGSEGV says that an instruction"),
            (libc::SIGBUS, "SIGBUS says that an instruction"),
            (libc::SIGILL, "SIGILL says that an instruction"),
            (libc::SIGFPE, "SIGFPE says that an instruction"),
            (0, "signal 0 is not a signal"),
            (-1, "signal -1 is not a signal"),
            (32, "signal 32 belongs to the C library"),
            (65, "signal 65 is not a signal"),
        ];
        for (number, why) in table {
            let refused = Signals::new(&[SignalKind::terminate(), SignalKind::from_raw(number)]).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
            assert!(refused.to_string().starts_with(why), "{refused}");
        }
    })
    .unwrap();
}

#[test]
fn the_kinds_have_their_numbers_and_names() {
    let table = [
        (SignalKind::hangup(), 1, "SIGHUP"),
        (SignalKind::interrupt(), 2, "SIGINT"),
        (SignalKind::quit(), 3, "SIGQUIT"),
        (SignalKind::user_defined1(), 10, "SIGUSR1"),
        (SignalKind::user_defined2(), 12, "SIGUSR2"),
        (SignalKind::pipe(), 13, "SIGPIPE"),
        (SignalKind::alarm(), 14, "SIGALRM"),
        (SignalKind::terminate(), 15, "SIGTERM"),
        (SignalKind::child(), 17, "SIGCHLD"),
        (SignalKind::window_change(), 28, "SIGWINCH"),
        (SignalKind::io(), 29, "SIGIO"),
        (SignalKind::from_raw(40), 40, "signal 40"),
    ];
    for (kind, number, name) in table {
        assert_eq!((kind.as_raw(), kind.to_string().as_str()), (number, name));
    }
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
