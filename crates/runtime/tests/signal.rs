//! Signals, each in a process of its own.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annulus_rt::signal::{Kind, Signals, ctrl_c, terminate};
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
            let mut signals = Signals::new(&[Kind::Interrupt, Kind::Terminate]).unwrap();
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
        assert_eq!(heard.unwrap(), [Kind::Terminate; 3]);
    });
}

#[test]
fn signals_are_caught_from_the_start_and_none_is_lost_with_a_dropped_future() {
    alone("signals_are_caught_from_the_start_and_none_is_lost_with_a_dropped_future", || {
        run(async {
            let mut signals = Signals::new(&[Kind::User1, Kind::User2, Kind::Hangup]).unwrap();
            send(Signal::USR1);
            assert!(timeout(Duration::ZERO, signals.next()).await.is_err());
            assert_eq!(signals.next().await.unwrap(), Kind::User1);
            send(Signal::HUP);
            assert_eq!(signals.next().await.unwrap(), Kind::Hangup);
            send(Signal::USR2);
            send(Signal::USR1);
            let mut both = [signals.next().await.unwrap(), signals.next().await.unwrap()];
            both.sort_by_key(|kind| *kind == Kind::User2);
            assert_eq!(both, [Kind::User1, Kind::User2]);
            assert!(timeout(Duration::from_millis(5), signals.next()).await.is_err());
        })
        .unwrap();
    });
}

#[test]
fn terminate_says_which_signal_it_was() {
    alone("terminate_says_which_signal_it_was", || {
        for (signal, kind) in [(Signal::TERM, Kind::Terminate), (Signal::INT, Kind::Interrupt)] {
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
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
