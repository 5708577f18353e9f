//! The server on tokio: its reactor on one thread, a task for each connection.

use std::convert::Infallible;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

use super::BUFFER;
use crate::report::Fault;

/// Serves until something fails.
pub(super) fn serve(
    listener: std::net::TcpListener,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Infallible, Fault> {
    listener.set_nonblocking(true)?;
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let outcome: io::Result<Infallible> = runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        ready()?;
        loop {
            let (stream, _) = listener.accept().await?;
            // What becomes of a connection concerns its client alone.
            drop(tokio::spawn(echo(stream)));
        }
    });
    Ok(outcome?)
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER as usize];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            received => stream.write_all(&buffer[..received]).await?,
        }
    }
}
