//! `annulus serve`: files and photographs over HTTP, until it is told to stop.
//!
//! It turns the command line into an `annulus_serve::Config` and says where the server listens. `--demo` paints its own album first;
//! that folder is gone when the program is.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use annulus_serve::demo::{AlbumOptions, write_album};
use annulus_serve::http::MinRate;
use annulus_serve::rt::signal::{SignalKind, Signals};
use annulus_serve::rt::{self, BackendChoice, BackendKind, Either};
use annulus_serve::{Config, LogTarget, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

/// Serve files and photographs over HTTP.
///
/// Symbolic links and names that begin with a dot do not exist unless you say so. Ctrl-C or SIGTERM lets running
/// downloads finish; a second one ends at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory to serve.
    #[arg(value_name = "DIR", required_unless_present = "demo", conflicts_with = "demo")]
    directory: Option<PathBuf>,

    /// Where to listen. Port 0 takes any that is free.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Paint an album of photographs into a temporary directory and serve that.
    #[arg(long)]
    demo: bool,

    /// Divide the widths and heights of the demo's pictures: for tests, as painting takes a minute without optimisation.
    #[arg(long, value_name = "N", default_value = "1", hide = true, requires = "demo")]
    demo_shrink: NonZeroUsize,

    /// Follow symbolic links as long as they stay beneath the directory.
    #[arg(long)]
    follow_symlinks: bool,

    /// Serve names that begin with a dot.
    #[arg(long)]
    hidden: bool,

    /// Threads, each with a ring of its own. Default: one for each core that may be used.
    #[arg(long, value_name = "N")]
    shards: Option<NonZeroUsize>,

    /// What executes the operations: the kernel's io_uring, the engine in this process, or the first of them that is to be
    /// had. For `auto`, the variable ANNULUS_BACKEND decides if it is set.
    #[arg(long, value_name = "BACKEND", default_value = "auto", value_parser = crate::backend())]
    backend: BackendChoice,

    /// Where the line about each response goes: `stdout`, `stderr`, `off`, or a file, to whose end it is written.
    #[arg(long, value_name = "TARGET", default_value = "stdout", value_parser = log_target)]
    log: LogTarget,

    /// Connections in all. Others wait.
    #[arg(long, value_name = "N", default_value = "4096", help_heading = "Limits")]
    max_connections: NonZeroUsize,

    /// Connections from one address. Others are answered with 503.
    #[arg(long, value_name = "N", default_value = "256", help_heading = "Limits")]
    max_per_address: NonZeroUsize,

    /// Time for a request's head, from its first byte: `10s`, `500ms`, `2m`.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "Limits")]
    head_timeout: Duration,

    /// Time between two requests of a connection.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, help_heading = "Limits")]
    idle_timeout: Duration,

    /// Time in which a client that is being answered must take something.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, help_heading = "Limits")]
    stall_timeout: Duration,

    /// Bytes per second that a client must take on average, after the first ten seconds. Default: any.
    #[arg(long, value_name = "BYTES", help_heading = "Limits")]
    min_rate: Option<NonZeroU32>,

    /// Time for running responses to finish once told to stop.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "Limits")]
    grace: Duration,

    /// Leave the inode out of entity tags: for several machines that serve copies of the same files.
    #[arg(long)]
    no_inode_etag: bool,
}

/// For how long `--min-rate` asks for nothing.
const MIN_RATE_GRACE: Duration = Duration::from_secs(10);

/// Serves until told to stop.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    raise_descriptor_limit();
    let outcome = rt::Builder::new().backend(arguments.backend).run(async {
        match &arguments.directory {
            Some(directory) => {
                let mut signals = Signals::new(&[SignalKind::interrupt(), SignalKind::terminate()])?;
                serve(arguments, directory, &mut signals).await
            }
            None => {
                // A terminal that is closed must not leave the album behind. Otherwise SIGHUP keeps its meaning, so that
                // nohup(1) works.
                let mut signals =
                    Signals::new(&[SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()])?;
                demo(arguments, &mut signals).await
            }
        }
    });
    match outcome.map_err(|error| Box::new(error).into()).and_then(|outcome: Outcome| outcome) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "annulus serve: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Paints the album, serves it, and removes it.
async fn demo(arguments: &Arguments, signals: &mut Signals) -> Outcome {
    let album = tempfile::Builder::new().prefix("annulus-demo-").tempdir()?;
    say(format_args!("annulus paints a demo album in {} ...", album.path().display()));
    let folder = album.path().to_owned();
    let options = AlbumOptions { shrink: arguments.demo_shrink.get(), ..AlbumOptions::default() };
    let mut painting = Box::pin(rt::spawn_blocking(move || write_album(&folder, &options)));
    let outcome = match rt::select(&mut painting, signals.next()).await {
        Either::Left(painted) => {
            painted??;
            serve(arguments, album.path(), signals).await
        }
        Either::Right(told) => {
            // Without its folder the painting fails at the next picture, and then nobody writes there any more.
            let _ = std::fs::remove_dir_all(album.path());
            let _ = painting.await;
            told.map(drop).map_err(Into::into)
        }
    };
    remove(album)?;
    outcome
}

/// Removes the album. It may be gone already.
fn remove(album: TempDir) -> io::Result<()> {
    let path = album.path().to_owned();
    match album.close() {
        Err(error) if path.exists() => Err(error),
        _ => Ok(()),
    }
}

async fn serve(arguments: &Arguments, directory: &Path, signals: &mut Signals) -> Outcome {
    let server = Server::start(config(arguments, directory))?;
    let chosen = rt::chosen();
    match chosen.refusal() {
        Some(why) => say(format_args!("annulus runs its rings on the {}: {why}", chosen.kind())),
        None if chosen.kind() == BackendKind::Engine => say("annulus runs its rings on the engine"),
        None => {}
    }
    say(format_args!("annulus serves {} on http://{}/", directory.display(), server.address()));
    Ok(server.run_until_told(signals).await?)
}

/// Takes as many descriptors as this process may have: the limit that most systems begin with is below what connections and
/// their files need, for the sake of programs that use select(2).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If it is refused, the server goes on with fewer, and says 503 when they have run out.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn config(arguments: &Arguments, directory: &Path) -> Config {
    let mut config = Config::new(directory);
    config.listen = arguments.listen;
    config.shards = arguments.shards;
    config.backend = arguments.backend;
    config.follow_symlinks = arguments.follow_symlinks;
    config.policy.serve_hidden = arguments.hidden;
    config.policy.inode_in_etag = !arguments.no_inode_etag;
    config.log = arguments.log.clone();
    config.admission.connections = arguments.max_connections.get();
    config.admission.per_address = arguments.max_per_address.get();
    config.patience.head = arguments.head_timeout;
    config.patience.idle = arguments.idle_timeout;
    config.patience.stall = arguments.stall_timeout;
    config.patience.min_rate =
        arguments.min_rate.map(|rate| MinRate { bytes_per_s: rate.get(), grace: MIN_RATE_GRACE });
    config.grace = arguments.grace;
    config
}

/// Tells something on standard output. Nobody may be listening, and that is no reason not to serve.
fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[expect(clippy::unnecessary_wraps, reason = "what clap asks of a parser")]
fn log_target(text: &str) -> Result<LogTarget, String> {
    Ok(match text {
        "stdout" | "-" => LogTarget::Stdout,
        "stderr" => LogTarget::Stderr,
        "off" => LogTarget::Off,
        path => LogTarget::File(path.into()),
    })
}

/// A time with its unit; without one it is in seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let number_ends = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(number_ends);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` does not begin with a number"))?;
    let seconds = |in_one: u64| number.checked_mul(in_one).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => seconds(1),
        "m" | "min" => seconds(60),
        "h" => seconds(3600),
        _ => return Err(format!("`{unit}` is no unit; say ms, s, m or h")),
    }
    .ok_or_else(|| format!("`{text}` is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_seconds_are_the_default() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("s"), Err("`s` does not begin with a number".to_owned()));
        assert_eq!(duration("5 days"), Err("` days` is no unit; say ms, s, m or h".to_owned()));
        assert_eq!(duration("99999999999999999h"), Err("`99999999999999999h` is too long".to_owned()));
    }
}
