//! The server as a program on annulus-rt has it: a task for each connection, connections and bytes as they come, each
//! by one multishot operation.

use std::convert::Infallible;
use std::io;

use annulus_rt::net::{TcpListener, TcpStream};

use super::pool_of;
use crate::backend::{Back, not_running};
use crate::report::Fault;

/// Bytes of a buffer, as in the loop on the ring itself. A longer request comes in several.
const BUFFER: u32 = super::multishot::BUFFER;

/// Serves until something fails.
pub(super) fn serve(
    back: Back,
    connections: u32,
    listener: std::net::TcpListener,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Infallible, Fault> {
    let runtime = back.runtime(connections).receive_buffers(pool_of(connections)?, BUFFER);
    let served: Result<io::Result<Infallible>, _> = runtime.run(async {
        ready()?;
        let mut incoming = TcpListener::from(listener).incoming();
        loop {
            let stream = incoming.next().await?;
            // What becomes of a connection concerns its client alone.
            drop(annulus_rt::spawn(echo(stream)));
        }
    });
    Ok(served.map_err(not_running)??)
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut receiver = stream.receiver();
    while let Some(bytes) = receiver.next().await? {
        stream.send_all(bytes).await.0?;
    }
    stream.close().await
}
