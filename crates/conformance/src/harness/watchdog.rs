//! The watchdog: a case that hangs ends the run with its name.
//!
//! Waits for completions have their own, shorter end (see `rig`); this one is for what hangs elsewhere,
//! in a system call of the case itself. It counts its own naps, so it needs no clock.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

/// Naps of a second that a case may last. Under an emulated processor the long ones take a minute.
const LIMIT: u32 = 240;

static RUNNING: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());
static START: Once = Once::new();

/// A case that is being watched, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    name: String,
}

impl Watch {
    /// Watches over the case of this name.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the watchdog outlives every case")]
    pub fn over(name: String) -> Self {
        START.call_once(|| drop(std::thread::spawn(watch)));
        running().insert(name.clone(), 0);
        Self { name }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        running().remove(&self.name);
    }
}

fn running() -> MutexGuard<'static, BTreeMap<String, u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        for (name, naps) in running().iter_mut() {
            *naps += 1;
            if *naps > LIMIT {
                // Nobody is left to tell if standard error is gone.
                let _ = writeln!(std::io::stderr(), "{name} hangs: no end after {LIMIT} s");
                std::process::exit(101);
            }
        }
    }
}
