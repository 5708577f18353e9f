//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use lexopt::{Arg, Error, ValueExt};

pub(crate) const USAGE: &str = "usage: tcp_echo [--mode interrupt|sqpoll|iopoll|both] [--listen ADDRESS:PORT] \
                                [--greeting FILE] [--entries N]";

/// How submissions reach the kernel, and how completions of files are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// A kernel thread submits.
    pub(crate) sqpoll: bool,
    /// Completions of files are found by polling the device.
    pub(crate) iopoll: bool,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) listen: SocketAddr,
    pub(crate) greeting: Option<PathBuf>,
    /// Entries of the sockets' submission queue. More connections than that are served all the same.
    pub(crate) entries: u32,
}

impl Options {
    pub(crate) fn parse(mut arguments: lexopt::Parser) -> Result<Self, Error> {
        let mut options = Self {
            mode: Mode { sqpoll: false, iopoll: false },
            listen: SocketAddr::from(([127, 0, 0, 1], 3456)),
            greeting: None,
            entries: 256,
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Arg::Long("mode") => options.mode = arguments.value()?.parse_with(mode)?,
                Arg::Long("listen") => options.listen = arguments.value()?.parse()?,
                Arg::Long("greeting") => options.greeting = Some(arguments.value()?.into()),
                Arg::Long("entries") => options.entries = arguments.value()?.parse()?,
                other => return Err(other.unexpected()),
            }
        }
        Ok(options)
    }
}

fn mode(name: &str) -> Result<Mode, &'static str> {
    let (sqpoll, iopoll) = match name {
        "interrupt" => (false, false),
        "sqpoll" => (true, false),
        "iopoll" => (false, true),
        "both" => (true, true),
        _ => return Err("there are interrupt, sqpoll, iopoll and both"),
    };
    Ok(Mode { sqpoll, iopoll })
}
