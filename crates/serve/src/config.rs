//! What the operator decides, in one value.
//!
//! It opens nothing and checks nothing: [`Server::start`](crate::Server::start) does, and says what does not work.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use annulus_http::{AdmissionLimits, Limits, Patience, Policy};
use annulus_rt::BackendChoice;

/// How a directory is served.
///
/// ```
/// use annulus_serve::Config;
/// use std::time::Duration;
///
/// let mut config = Config::new("/srv/photos");
/// config.listen = "[::1]:0".parse().unwrap();
/// config.patience.idle = Duration::from_secs(15);
/// assert!(!config.follow_symlinks && !config.policy.serve_hidden);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory that is served. Nothing outside of it is ever opened.
    pub root: PathBuf,
    /// Where to listen. Port 0 takes any that is free; [`Server::address`](crate::Server::address) tells which.
    pub listen: SocketAddr,
    /// Threads, each with its own ring and its own listener; `None` for one per core that this process may use.
    pub shards: Option<NonZeroUsize>,
    /// What executes the operations: the kernel, the engine in this process, or the first of them that is to be had.
    pub backend: BackendChoice,
    /// Whether symbolic links are followed, as long as they stay beneath the root. Otherwise they do not exist.
    pub follow_symlinks: bool,
    /// Hidden names, caching, entity tags.
    pub policy: Policy,
    /// How much of a request is read before it is refused.
    pub limits: Limits,
    /// How long a client may keep the server waiting.
    pub patience: Patience,
    /// How many connections there may be, over all shards.
    pub admission: AdmissionLimits,
    /// How long running responses may still take once the server is told to stop.
    pub grace: Duration,
    /// Where the line about each response goes.
    pub log: LogTarget,
}

impl Config {
    /// Serves `root` on 127.0.0.1 at port 8080, refuses symbolic links and hidden names, waits 10 s at the end, and logs
    /// nothing.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            shards: None,
            backend: BackendChoice::Auto,
            follow_symlinks: false,
            policy: Policy::default(),
            limits: Limits::default(),
            patience: Patience::default(),
            admission: AdmissionLimits::default(),
            grace: Duration::from_secs(10),
            log: LogTarget::Off,
        }
    }
}

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// To the end of this file, which is created if it does not exist.
    File(PathBuf),
}
