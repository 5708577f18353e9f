//! A runtime seen from outside: counters, times of polls, the dump of tasks, spans.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annulus_rt::task::{self, TaskState};
use annulus_rt::time::sleep;
use annulus_rt::{Builder, counters, run, spawn, yield_now};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[test]
fn operations_that_many_tasks_queue_in_a_turn_go_over_in_one_call() {
    const COUNT: u64 = 100;
    let folder = common::folder();
    run(async {
        let file = Rc::new(annulus_rt::fs::open(folder.path().join("file")).await.unwrap());
        let queued = Rc::new(Cell::new(0));
        let reads: Vec<_> = (0..COUNT)
            .map(|_| {
                let (file, queued) = (file.clone(), queued.clone());
                spawn(async move {
                    queued.set(queued.get() + 1);
                    file.read_at(vec![0; 1], 0).await.0.unwrap()
                })
            })
            .collect();
        let before = counters();
        // All of them are polled in this turn, and this task once more after them.
        yield_now().await;
        assert_eq!(queued.get(), COUNT);
        assert_eq!(counters().submitted, before.submitted, "the turn is not over");
        // Until the next turn this one polls its task again and again.
        while counters().turns == before.turns {
            yield_now().await;
        }
        let after = counters();
        assert_eq!(after.submitted - before.submitted, COUNT);
        assert_eq!(after.enters - before.enters, 1);
        for read in reads {
            assert_eq!(read.await.unwrap(), 1);
        }
    })
    .unwrap();
}

#[test]
fn counters_tell_tasks_timers_and_what_dropped_operations_left() {
    run(async {
        let before = counters();
        let task = spawn(sleep(Duration::from_secs(3600)));
        let (read_end, write_end) = std::io::pipe().unwrap();
        let pipe = annulus_rt::fs::File::from(std::os::fd::OwnedFd::from(read_end));
        let reading = spawn(async move { pipe.read(vec![0; 1]).await.0 });
        assert_eq!(counters().ready, 2);
        yield_now().await;
        let now = counters();
        assert_eq!(now.spawned - before.spawned, 2);
        assert_eq!((now.tasks, now.timers, now.in_flight, now.parked), (2, 1, 1, 0));
        assert!(now.longest_ready >= 2 && now.polls > before.polls, "{now:?}");
        reading.abort();
        let now = counters();
        assert_eq!((now.tasks, now.in_flight, now.parked), (1, 1, 1), "it is kept until its completion");
        while counters().in_flight > 0 {
            yield_now().await;
        }
        assert_eq!(counters().parked, 0);
        task.abort();
        assert_eq!(counters().timers, 0);
        assert_eq!(counters().poll_times, None);
        drop(write_end);
    })
    .unwrap();
}

#[test]
fn entries_that_found_the_queue_full_are_counted_as_backlog() {
    let folder = common::folder();
    Builder::new()
        .entries(4)
        .run(async {
            let file = Rc::new(annulus_rt::fs::open(folder.path().join("file")).await.unwrap());
            let reads: Vec<_> = (0..10)
                .map(|_| {
                    let file = file.clone();
                    spawn(async move { file.read_at(vec![0; 1], 0).await.0.unwrap() })
                })
                .collect();
            yield_now().await;
            assert_eq!(counters().backlog, 6);
            for read in reads {
                read.await.unwrap();
            }
            assert_eq!(counters().backlog, 0);
        })
        .unwrap();
}

#[test]
fn poll_times_count_every_poll_in_its_range() {
    let times = Builder::new().poll_times(true).run(async {
        let polls = counters().polls;
        spawn(async {
            let start = annulus_rt::time::now();
            while start.elapsed() < Duration::from_millis(3) {}
        })
        .await
        .unwrap();
        let now = counters();
        // Those that are over: not this one.
        assert_eq!(now.poll_times.unwrap().count(), now.polls - 1);
        assert!(now.polls > polls);
        now.poll_times.unwrap()
    });
    // Others may have taken as long on a machine that has more to do.
    let slow = Duration::from_nanos(1 << 21);
    assert!(times.unwrap().ranges().any(|(from, polls)| from >= slow && polls > 0));
}

#[test]
fn a_dump_tells_of_each_task_where_it_came_from_and_what_it_waits_for() {
    run(async {
        let (read_end, _write_end) = std::io::pipe().unwrap();
        let pipe = annulus_rt::fs::File::from(std::os::fd::OwnedFd::from(read_end));
        let line = line!() + 1;
        let reading = task::Builder::new().name("reader").spawn(async move { pipe.read(vec![0; 1]).await.0 });
        let idle = spawn(pending::<()>());
        yield_now().await;
        let ready = spawn(async {});
        let (looking, dump) = {
            let looking = spawn(async { task::dump() });
            (looking.id(), looking.await.unwrap())
        };
        let of = |id| dump.tasks.iter().find(|task| task.id == id);
        let reader = of(reading.id()).unwrap();
        assert_eq!(reader.name.as_deref(), Some("reader"));
        assert_eq!((reader.spawned_at.file(), reader.spawned_at.line()), (file!(), line));
        assert_eq!((reader.state, reader.polls), (TaskState::Waiting, 1));
        assert_eq!(reader.operations, [(22, 1)], "IORING_OP_READ");
        assert_eq!(of(looking).unwrap().state, TaskState::Running);
        assert_eq!(of(idle.id()).unwrap().name, None);
        assert!(of(ready.id()).is_none(), "it has ended");
        let text = dump.to_string();
        let expected = format!("\"reader\" spawned at {}:{line}:", file!());
        assert!(text.contains(&expected) && text.contains("waiting, 1 polls, 1 READ"), "{text}");
        assert_eq!(text.lines().count(), dump.tasks.len());
    })
    .unwrap();
}

/// Writes down the spans of tasks: made, entered, left.
#[derive(Clone, Default)]
struct Listener {
    made: Arc<AtomicU64>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "annulus_rt::task"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() != "id" {
                    self.0 += &format!(" {}={value:?}", field.name());
                }
            }
        }
        let mut fields = Fields(String::new());
        attributes.record(&mut fields);
        let id = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        self.log.lock().unwrap().push(format!("new {id}{}", fields.0));
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        self.log.lock().unwrap().push(format!("enter {}", id.into_u64()));
    }

    fn exit(&self, id: &Id) {
        self.log.lock().unwrap().push(format!("exit {}", id.into_u64()));
    }

    fn try_close(&self, id: Id) -> bool {
        self.log.lock().unwrap().push(format!("close {}", id.into_u64()));
        true
    }
}

#[test]
fn each_poll_of_a_task_is_in_the_span_of_the_task() {
    // Whether spans are wanted is noted for the whole process, by whoever comes to a place first.
    common::alone("each_poll_of_a_task_is_in_the_span_of_the_task", || {
        let listener = Listener::default();
        let log = listener.log.clone();
        let line = line!() + 4;
        tracing::subscriber::with_default(listener, || {
            run(async {
                log.lock().unwrap().clear();
                let task = task::Builder::new().name("spanned").spawn(async {
                    yield_now().await;
                });
                task.await.unwrap();
                let log = std::mem::take(&mut *log.lock().unwrap());
                assert!(log[0].starts_with("new ") && log[0].contains("name=\"spanned\""), "{log:?}");
                assert!(log[0].contains(&format!("spawned_at={}:{line}:", file!())), "{log:?}");
                let span = log[0].split(' ').nth(1).unwrap();
                let (enter, exit) = (format!("enter {span}"), format!("exit {span}"));
                assert_eq!(log[1..5], [enter.clone(), exit.clone(), enter, exit], "{log:?}");
            })
            .unwrap();
        });
        assert!(log.lock().unwrap().iter().any(|line| line.starts_with("close ")));
    });
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    common::again_on_the_engine("all_of_this_holds_on_the_engine_too");
}
