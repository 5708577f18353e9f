//! The server as a whole: what is opened before it starts, the threads it runs on, and how it ends.
//!
//! It serves no request itself. What it keeps true: whatever can be wrong with a configuration is said before `start`
//! returns; and after `join` no thread, no descriptor and no connection of the server is left.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use annulus_http::{Field, Policy};
use annulus_rt::fs::{OpenOptions, Resolve};
use annulus_rt::signal::{SignalKind, Signals};
use annulus_rt::sync::Shutdown;
use annulus_rt::{Builder, Either, Shards, select};
use rustix::fs::ResolveFlags;

use crate::config::Config;
use crate::error::ServeError;
use crate::folder::Visible;
use crate::gate::Gate;
use crate::listen::listen;
use crate::listing::CONTENT_SECURITY_POLICY;
use crate::log::Writer;
use crate::shard::{Parts, Place, Shard};

/// Operations that a connection may have in flight: a receive, a send, a read, their cancellations, a close.
const OPERATIONS_PER_CONNECTION: usize = 8;

/// How long the end waits for the last lines of the log to be written.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// A running server.
///
/// Dropping it ends it at once; [`stop`](Self::stop) and [`join`](Self::join) let running responses finish. The crate's
/// first example starts one and asks it for a file.
pub struct Server {
    address: SocketAddr,
    stop: Shutdown,
    abort: Shutdown,
    ended: Shutdown,
    running: Mutex<Option<JoinHandle<Result<(), ServeError>>>>,
}

impl Server {
    /// Opens the root, listens, and starts to serve on threads of its own.
    ///
    /// # Errors
    /// [`ServeError`], which says what to do: the root cannot be opened (`ENOENT`, `ENOTDIR`, `EACCES`), the address cannot be
    /// listened on (`EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`), the log cannot be written, or there is no ring to be had
    /// (`EPERM`, `ENOSYS`, `ENOMEM`, `EMFILE`).
    pub fn start(config: Config) -> Result<Self, ServeError> {
        let root = open_root(&config.root)?;
        let count =
            config.shards.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let (listeners, address) = listen(config.listen, count)
            .map_err(|source| ServeError::Listen { address: config.listen, source })?;
        let places = places(&root, listeners).map_err(ServeError::Runtime)?;
        let (log, writer) = Writer::start(&config.log)?;
        let (stop, abort, ended) = (Shutdown::new(), Shutdown::new(), Shutdown::new());

        let most = config.admission.connections;
        let builder = Builder::new().backend(config.backend);
        let builder = builder.operations(most.saturating_mul(OPERATIONS_PER_CONNECTION).saturating_add(1024));
        let shards = Shards::new(count).builder(builder.tasks(most.saturating_add(1024)));
        let parts = Arc::new(parts(config, root, log, &stop, &abort));
        let (ready, readiness) = channel();
        let run = Run { shards, parts, places, ready, ended: ended.clone(), writer };
        let running = thread::Builder::new()
            .name("annulus-serve".to_owned())
            .spawn(move || run.until_the_end())
            .map_err(ServeError::Runtime)?;

        let server = Self { address, stop, abort, ended, running: Mutex::new(Some(running)) };
        if readiness.recv().is_err() {
            // No shard came to serve, so the run has ended, and knows why.
            server.wait()?;
        }
        Ok(server)
    }

    /// Where it listens, with the port that it got.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins the end: nothing is accepted any more, idle connections are closed, running responses are finished within
    /// [`Config::grace`], each the last of its connection.
    pub fn stop(&self) {
        self.stop.request();
    }

    /// Ends at once: running responses are cut.
    pub fn abort(&self) {
        self.stop.request();
        self.abort.request();
    }

    /// Waits until the server has ended, which it does after [`stop`](Self::stop) or [`abort`](Self::abort), or if its runtime
    /// breaks.
    ///
    /// # Errors
    /// [`ServeError::Runtime`] if a shard did not end in order.
    pub fn join(self) -> Result<(), ServeError> {
        self.wait()
    }

    /// Waits, inside of a runtime, until the server has ended or a signal asks it to: `SIGINT` or `SIGTERM` once to stop, twice
    /// to end at once.
    ///
    /// # Errors
    /// As [`join`](Self::join); and what waiting for the signals said.
    pub async fn run_until_told(self, signals: &mut Signals) -> Result<(), ServeError> {
        loop {
            match select(self.ended.requested(), signals.next()).await {
                Either::Left(()) => return self.wait(),
                Either::Right(Ok(_)) if self.stop.is_requested() => self.abort(),
                Either::Right(Ok(_)) => self.stop(),
                Either::Right(Err(error)) => return Err(ServeError::Runtime(error)),
            }
        }
    }

    fn wait(&self) -> Result<(), ServeError> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return Ok(()) };
        running
            .join()
            .unwrap_or_else(|_| Err(ServeError::Runtime(io::Error::other("the server's thread panicked"))))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.abort();
        // Whoever wants to know how it ended calls `join`.
        let _ = self.wait();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Serves `config` until `SIGINT` or `SIGTERM`, on this thread and those of the server. `started` is called once it listens.
///
/// # Errors
/// As [`Server::start`] and [`Server::run_until_told`].
pub fn serve(config: Config, started: impl FnOnce(&Server)) -> Result<(), ServeError> {
    annulus_rt::run(async {
        let mut signals =
            Signals::new(&[SignalKind::interrupt(), SignalKind::terminate()]).map_err(ServeError::Runtime)?;
        let server = Server::start(config)?;
        started(&server);
        server.run_until_told(&mut signals).await
    })
    .map_err(|error| ServeError::Runtime(error.into()))?
}

/// What runs on the server's own thread.
struct Run {
    shards: Shards,
    parts: Arc<Parts>,
    places: Vec<Place>,
    ready: Sender<()>,
    ended: Shutdown,
    writer: Writer,
}

impl Run {
    fn until_the_end(self) -> Result<(), ServeError> {
        let Self { shards, parts, places, ready, ended, writer } = self;
        let places: Vec<Mutex<Option<Place>>> =
            places.into_iter().map(|place| Mutex::new(Some(place))).collect();
        let ready = Mutex::new(Some(ready));
        let outcome = shards.run(|index| {
            let place = places[index].lock().unwrap_or_else(PoisonError::into_inner).take();
            // All shards are set up before one of them runs: the first that does says so for all.
            if let Some(ready) = ready.lock().unwrap_or_else(PoisonError::into_inner).take() {
                let _ = ready.send(());
            }
            let parts = Arc::clone(&parts);
            async move {
                if let Some(place) = place {
                    Shard::run(parts, place).await;
                }
            }
        });
        // The last handles on the log go, so that its writer comes to the end.
        drop((ready, parts));
        writer.finish(LOG_PATIENCE);
        ended.request();
        outcome.map(drop).map_err(|error| ServeError::Runtime(error.into()))
    }
}

/// What each shard has for itself.
///
/// # Errors
/// `EMFILE` and `ENFILE`: there are too few descriptors.
fn places(root: &OwnedFd, listeners: Vec<OwnedFd>) -> io::Result<Vec<Place>> {
    listeners.into_iter().map(|listener| Ok(Place { listener, directory: root.try_clone()? })).collect()
}

/// What the shards share.
fn parts(config: Config, root: OwnedFd, log: crate::log::Log, stop: &Shutdown, abort: &Shutdown) -> Parts {
    let mut resolve = Resolve::BENEATH | Resolve::NO_MAGICLINKS;
    let mut beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if !config.follow_symlinks {
        resolve = resolve | Resolve::NO_SYMLINKS;
        beneath |= ResolveFlags::NO_SYMLINKS;
    }
    // Without O_NONBLOCK, opening a FIFO would wait for somebody to write into it.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let options = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).resolve(resolve);
    let visible = Visible { hidden: config.policy.serve_hidden, symlinks: config.follow_symlinks };
    let mut policy = config.policy;
    if policy.boundary_seed == 0 {
        policy.boundary_seed = random();
    }
    Parts {
        root: Arc::new(root),
        options,
        beneath,
        visible,
        listing_fields: listing_fields(&policy),
        policy,
        limits: config.limits,
        patience: config.patience,
        grace: config.grace,
        gate: Arc::new(Gate::new(config.admission)),
        log,
        stop: stop.clone(),
        abort: abort.clone(),
    }
}

/// The operator's headers, and what a listing is allowed to load.
fn listing_fields(policy: &Policy) -> Vec<Field> {
    let mut fields = policy.extra.clone();
    fields.extend(Field::new("Content-Security-Policy", CONTENT_SECURITY_POLICY).ok());
    fields
}

/// A number that nobody can guess who has not started this process.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

fn open_root(path: &Path) -> Result<OwnedFd, ServeError> {
    let failed = |source| ServeError::Root { path: path.to_owned(), source };
    let root = File::open(path).map_err(failed)?;
    if !root.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    Ok(root.into())
}
