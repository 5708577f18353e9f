//! `annulus bench echo`: TCP servers that send back what they receive, each on one core, and one client on another.
//!
//! The servers are as short as each kind can be written well: loops by hand on a ring and on epoll(7), and a task for
//! each connection on runtimes. Every connection has one request on its way at a time, or is for one request alone.

mod client;
mod epoll;
mod multishot;
mod one_shot;
mod peers;
mod queue;
mod reactor;
mod runtime;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use rustix::net::{listen, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::backend::Back;
use crate::launcher::PATIENCE;
use crate::pin::Pinned;
use crate::report::{Case, Fault, Metric, Sample};
use crate::run::{Contender, Runner};
use crate::worker::{self, Answer, Work};
use crate::{BenchError, within};
use client::{Client, Life};

/// How a server is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Server {
    /// On a ring: one accept for all connections, one receive for each, buffers from a ring of them, all sends of a turn
    /// in one call.
    Multishot(Back),
    /// On a ring: one entry for each accept, receive and send.
    OneShot(Back),
    /// On annulus-rt, a task for each connection.
    Async(Back),
    /// Likewise, with connections in the ring's own table of files.
    AsyncDirect(Back),
    /// epoll(7), recv(2) and send(2).
    Epoll,
    /// tokio on one thread, a task for each connection.
    Tokio,
    /// tokio-uring, likewise.
    TokioUring,
    /// monoio, likewise.
    Monoio,
    /// compio, likewise.
    Compio,
}

/// What a measuring process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) server: Server,
    /// How many clients will connect: what tables and queues are made for.
    pub(crate) connections: u32,
}

/// Which cases are measured: every number of connections with every size.
#[derive(Clone, Debug)]
pub struct EchoBench {
    /// Connections at a time, 1 to 10,000.
    pub connections: Vec<u32>,
    /// Bytes of a request and of its answer, 8 to 16,384.
    pub bytes: Vec<u32>,
    /// Whether each connection is for one request, after which another takes its place.
    pub short_lived: bool,
}

impl Default for EchoBench {
    fn default() -> Self {
        Self { connections: vec![1, 50, 500], bytes: vec![64, 1024], short_lived: false }
    }
}

/// Connections that wait to be accepted: as many as may come at once.
const BACKLOG: i32 = 4096;

/// Bytes that a server receives at once, at most: the largest request.
const BUFFER: u32 = client::MOST_BYTES;

/// The most buffers that a ring of them has.
const MOST_BUFFERS: u32 = 1 << 15;

/// How long a server that broke down has to say why.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs the bench.
pub(crate) fn run(bench: &EchoBench, runner: &mut Runner<'_>) -> Result<Vec<Case>, BenchError> {
    let contenders = runner.select(contenders())?;
    for connections in &bench.connections {
        within("connections", u64::from(*connections), 1, 10_000)?;
    }
    for bytes in &bench.bytes {
        within("bytes", u64::from(*bytes), client::LEAST_BYTES.into(), client::MOST_BYTES.into())?;
    }
    raise_descriptor_limit();
    if runner.cores.client == runner.cores.measured {
        runner.notes.push("there is one core: server and client share it".to_owned());
    }
    let _pinned = Pinned::to(runner.cores.client).map_err(BenchError::Machine)?;
    let life = if bench.short_lived { Life::Short } else { Life::Long };
    let mut cases = Vec::new();
    for bytes in &bench.bytes {
        for connections in &bench.connections {
            let plural = if *connections == 1 { "" } else { "s" };
            let short = if bench.short_lived { ", each for one request" } else { "" };
            let name = format!("echo, {bytes} bytes, {connections} connection{plural}{short}");
            let parameters = BTreeMap::from([
                ("bytes", u64::from(*bytes)),
                ("connections", u64::from(*connections)),
                ("short_lived", u64::from(bench.short_lived)),
            ]);
            cases.push(runner.case(name, parameters, Metric::Requests, &contenders, |runner, server| {
                measure(runner, &Task { server: *server, connections: *connections }, life, *bytes)
            }));
        }
    }
    Ok(cases)
}

fn contenders() -> Vec<Contender<Server>> {
    let on_rings = |kind: &str, server: fn(Back) -> Server| {
        Back::ALL.map(|back| Contender::new(format!("{} {kind}", back.name()), server(back)))
    };
    let peers = [
        Contender::new("epoll", Server::Epoll),
        Contender::new("tokio", Server::Tokio),
        Contender::new("tokio-uring", Server::TokioUring),
        Contender::new("monoio", Server::Monoio),
        Contender::new("compio", Server::Compio),
    ];
    let ours = [
        on_rings("async", Server::Async),
        on_rings("async direct", Server::AsyncDirect),
        on_rings("multishot", Server::Multishot),
        on_rings("one-shot", Server::OneShot),
    ];
    ours.into_iter().flatten().chain(peers).collect()
}

/// Starts a server and is its client.
fn measure(runner: &Runner<'_>, task: &Task, life: Life, bytes: u32) -> Result<Sample, Fault> {
    let work = Work { core: runner.cores.measured, task: worker::Task::Echo(task.clone()) };
    let mut server = runner.launcher.start(&work)?;
    let port = match server.answer(PATIENCE)? {
        Answer::Listening(port) => port,
        other => return Err(Fault::Failed(format!("not a server: {other:?}"))),
    };
    let measured = Client::connect(port, life, task.connections, bytes)
        .and_then(|mut client| client.run(runner.window(), server.id()));
    measured.map_err(|error| {
        // A server that broke down says why in its last answer; the client only sees what came of it.
        match server.answer(LAST_WORDS) {
            Err(fault @ Fault::Refused(_)) => fault,
            Err(Fault::Failed(reason)) => Fault::Failed(format!("{error} ({reason})")),
            Ok(_) => error.into(),
        }
    })
}

/// What a measuring process does: tells its port, and serves until it is killed.
pub(crate) fn serve(
    task: &Task,
    core: usize,
    ready: impl FnOnce(u16) -> io::Result<()>,
) -> Result<Infallible, Fault> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // The queue of the standard library is too short for clients that connect all at once.
    listen(&listener, BACKLOG).map_err(io::Error::from)?;
    // Accepted connections inherit this.
    sockopt::set_tcp_nodelay(&listener, true).map_err(io::Error::from)?;
    let port = listener.local_addr()?.port();
    let Task { server, connections } = *task;
    match server {
        Server::Multishot(back) => multishot::serve(back, core, connections, &listener, || ready(port)),
        Server::OneShot(back) => one_shot::serve(back, core, connections, &listener, || ready(port)),
        Server::Async(back) => runtime::serve(back, false, connections, listener, || ready(port)),
        Server::AsyncDirect(back) => runtime::serve(back, true, connections, listener, || ready(port)),
        Server::Epoll => epoll::serve(&listener, || ready(port)),
        Server::Tokio => reactor::serve(listener, || ready(port)),
        Server::TokioUring => peers::tokio_uring(connections, listener, || ready(port)),
        Server::Monoio => peers::monoio(connections, listener, || ready(port)),
        Server::Compio => peers::compio(connections, listener, || ready(port)),
    }
}

/// Buffers of a pool: two for each connection, as one is being sent while the next arrives.
fn pool_of(connections: u32) -> io::Result<u16> {
    let buffers = connections.saturating_mul(2).next_power_of_two().clamp(64, MOST_BUFFERS);
    u16::try_from(buffers).map_err(io::Error::other)
}

/// Takes as many descriptors as this process and its children may have.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If it is refused, cases with too many connections fail and say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::meter::Window;

    /// Runs a server on a thread of this process, which ends with the tests.
    fn start(server: Server, connections: u32) -> u16 {
        let (port, listening) = mpsc::channel();
        let task = Task { server, connections };
        thread::Builder::new()
            .spawn(move || {
                let core = crate::pin::allowed().unwrap()[0];
                let Err(fault) = serve(&task, core, |number| port.send(number).map_err(io::Error::other));
                panic!("{server:?}: {fault}");
            })
            .unwrap();
        listening.recv().unwrap()
    }

    #[test]
    fn every_server_echoes_every_size_to_every_connection() {
        for Contender { name, what } in contenders() {
            let port = start(what, 20);
            for bytes in [client::LEAST_BYTES, 1000, client::MOST_BYTES] {
                let mut client = Client::connect(port, Life::Long, 20, bytes).unwrap();
                let sample = client.run(Window::of(Duration::from_millis(20)), std::process::id()).unwrap();
                assert!(sample.units > 0 && sample.wall_ns >= 20_000_000, "{name}, {bytes}: {sample:?}");
            }
        }
    }

    #[test]
    fn every_server_echoes_to_connections_that_are_for_one_request() {
        for Contender { name, what } in contenders() {
            let port = start(what, 20);
            let mut client = Client::connect(port, Life::Short, 20, 1000).unwrap();
            let sample = client.run(Window::of(Duration::from_millis(20)), std::process::id()).unwrap();
            assert!(sample.units > 0, "{name}: {sample:?}");
        }
    }

    #[test]
    fn every_server_outlives_clients_that_come_and_go_and_those_it_has_no_buffers_for() {
        for Contender { name, what } in contenders() {
            let port = start(what, 2);
            for _ in 0..100 {
                drop(Client::connect(port, Life::Long, 3, 64).unwrap());
            }
            // More clients with more bytes than the server was made for: it runs out of buffers and goes on.
            let mut client = Client::connect(port, Life::Long, 40, client::MOST_BYTES).unwrap();
            let sample = client.run(Window::of(Duration::from_millis(30)), std::process::id()).unwrap();
            assert!(sample.units > 0, "{name}: {sample:?}");
        }
    }

    #[test]
    fn the_contenders_have_names_of_their_own() {
        let names: Vec<String> = contenders().into_iter().map(|contender| contender.name).collect();
        let ours = ["async", "async direct", "multishot", "one-shot"]
            .map(|kind| [format!("kernel {kind}"), format!("engine {kind}")]);
        let peers = ["epoll", "tokio", "tokio-uring", "monoio", "compio"].map(str::to_owned);
        assert_eq!(names, [&ours.concat()[..], &peers].concat());
    }
}
