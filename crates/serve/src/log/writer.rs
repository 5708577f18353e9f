//! The thread that writes the log, and the bounded queue in front of it.
//!
//! It formats nothing. What it keeps true: whoever logs never waits, also when the disk is full or nobody reads the
//! pipe; how many lines were lost is said as soon as there is room again.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::config::LogTarget;
use crate::error::ServeError;

/// Lines that may wait for the writer.
const QUEUE_LINES: usize = 4096;

/// Where shards put their lines. Clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    queue: Option<SyncSender<String>>,
    lost: Arc<AtomicU64>,
}

impl Log {
    /// Whether anybody wants lines.
    pub(crate) const fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Hands a line to the writer, or counts it as lost.
    pub(crate) fn put(&self, line: String) {
        if let Some(queue) = &self.queue
            && queue.try_send(line).is_err()
        {
            // Relaxed: a count that stands alone; the writer takes it with `swap` and orders nothing by it.
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The writing thread.
#[derive(Debug)]
pub(crate) struct Writer {
    ended: Option<Receiver<()>>,
}

impl Writer {
    /// Opens the target and starts the thread, unless the log is off.
    ///
    /// # Errors
    /// [`ServeError::Log`] if the file cannot be opened, [`ServeError::Runtime`] (`EAGAIN`) if there can be no thread.
    pub(crate) fn start(target: &LogTarget) -> Result<(Log, Self), ServeError> {
        let out: Box<dyn Write + Send> = match target {
            LogTarget::Off => {
                return Ok((Log { queue: None, lost: Arc::default() }, Self { ended: None }));
            }
            LogTarget::Stdout => Box::new(io::stdout()),
            LogTarget::Stderr => Box::new(io::stderr()),
            LogTarget::File(path) => Box::new(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)
                    .map_err(|source| ServeError::Log { path: path.clone(), source })?,
            ),
        };
        Self::over(out, QUEUE_LINES).map_err(ServeError::Runtime)
    }

    fn over(out: Box<dyn Write + Send>, lines: usize) -> io::Result<(Log, Self)> {
        let (queue, incoming) = sync_channel(lines);
        let (end, ended) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let log = Log { queue: Some(queue), lost: Arc::clone(&lost) };
        thread::Builder::new().name("annulus-log".to_owned()).spawn(move || {
            let mut out = BufWriter::new(out);
            // A log that cannot be written any more (a closed pipe, a full disk) is no reason to serve no longer: lines
            // then go nowhere until it works again.
            while write_batch(&mut out, &incoming, &lost) {}
            let _ = end.send(());
        })?;
        Ok((log, Self { ended: Some(ended) }))
    }

    /// Waits until everything is written that was put before the last [`Log`] was dropped, but not for ever: what stands
    /// behind the target may have stopped reading.
    pub(crate) fn finish(self, patience: Duration) {
        if let Some(ended) = self.ended {
            match ended.recv_timeout(patience) {
                Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }
}

/// Waits for a line, writes it and those behind it, and flushes. False once nobody can put lines any more.
fn write_batch(out: &mut impl Write, incoming: &Receiver<String>, lost: &AtomicU64) -> bool {
    let Ok(first) = incoming.recv() else { return false };
    let _ = out.write_all(first.as_bytes());
    let goes_on = loop {
        match incoming.try_recv() {
            Ok(line) => {
                let _ = out.write_all(line.as_bytes());
            }
            Err(TryRecvError::Empty) => break true,
            Err(TryRecvError::Disconnected) => break false,
        }
    };
    // Relaxed: see `Log::put`, its only partner.
    let missed = lost.swap(0, Ordering::Relaxed);
    if missed > 0 {
        let _ =
            writeln!(out, "{missed} lines of this log were lost: it is written slower than responses end");
    }
    let _ = out.flush();
    goes_on
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// A target that takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<Shut>);

    #[derive(Default)]
    struct Shut {
        state: Mutex<(bool, Vec<u8>)>,
        opened: Condvar,
    }

    impl Gate {
        fn open(&self) {
            self.0.state.lock().expect("no panic while held").0 = true;
            self.0.opened.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.state.lock().expect("no panic while held").1).into_owned()
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.state.lock().expect("no panic while held");
            let mut state = self.0.opened.wait_while(state, |state| !state.0).expect("no panic while held");
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_put_is_written_before_the_end() {
        let gate = Gate::default();
        gate.open();
        let (log, writer) = Writer::over(Box::new(gate.clone()), 8).expect("a thread");
        let other = log.clone();
        log.put("one\n".to_owned());
        drop(log);
        other.put("two\n".to_owned());
        drop(other);
        writer.finish(Duration::from_secs(60));
        assert_eq!(gate.text(), "one\ntwo\n");
    }

    #[test]
    fn a_target_that_takes_nothing_costs_lines_and_no_waiting() {
        let gate = Gate::default();
        let (log, writer) = Writer::over(Box::new(gate.clone()), 2).expect("a thread");
        for _ in 0..100 {
            log.put("line\n".to_owned());
        }
        gate.open();
        drop(log);
        writer.finish(Duration::from_secs(60));
        let text = gate.text();
        let written = text.lines().filter(|line| *line == "line").count();
        let lost: usize = text
            .lines()
            .filter_map(|line| {
                line.strip_suffix(" lines of this log were lost: it is written slower than responses end")
            })
            .map(|count| count.parse::<usize>().expect("a count"))
            .sum();
        assert!(lost > 0, "{text}");
        assert_eq!(written + lost, 100, "{text}");
    }

    #[test]
    fn finishing_does_not_wait_for_ever() {
        let gate = Gate::default();
        let (log, writer) = Writer::over(Box::new(gate.clone()), 2).expect("a thread");
        log.put("line\n".to_owned());
        drop(log);
        writer.finish(Duration::from_millis(20));
        assert_eq!(gate.text(), "");
        gate.open();
    }
}
