//! The server as a program on annulus-rt has it: a task for each connection, connections and bytes as they come, each
//! by one multishot operation.

use std::convert::Infallible;
use std::io;

use annulus_rt::net::{Protocol, Stream, TcpListener};

use super::pool_of;
use crate::backend::{Back, not_running};
use crate::report::Fault;

/// Bytes of a buffer, as in the loop on the ring itself. A longer request comes in several.
const BUFFER: u32 = super::multishot::BUFFER;

/// Serves until something fails. `direct` says that connections lie in the ring's own table of files.
pub(super) fn serve(
    back: Back,
    direct: bool,
    connections: u32,
    listener: std::net::TcpListener,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Infallible, Fault> {
    let runtime = back.runtime(connections).receive_buffers(pool_of(connections)?, BUFFER);
    let served: Result<io::Result<Infallible>, _> = runtime.run(async {
        ready()?;
        let listener = TcpListener::from(listener);
        // What becomes of a connection concerns its client alone: nobody waits for the tasks.
        if direct {
            let mut incoming = listener.incoming_direct();
            loop {
                drop(annulus_rt::spawn(echo(incoming.next().await?)));
            }
        }
        let mut incoming = listener.incoming();
        loop {
            drop(annulus_rt::spawn(echo(incoming.next().await?)));
        }
    });
    Ok(served.map_err(not_running)??)
}

async fn echo<P: Protocol>(stream: Stream<P>) -> io::Result<()> {
    let mut receiver = stream.receiver();
    while let Some(bytes) = receiver.next().await? {
        stream.send_all(bytes).await.0?;
    }
    stream.close().await
}
