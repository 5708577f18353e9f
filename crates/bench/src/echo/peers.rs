//! The server on other runtimes that work on io_uring, as their documentation writes it: a task for each connection,
//! which reads into a buffer of its own and writes that back. Each runtime has its own defaults, but for queues with
//! room for the connections.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use super::BUFFER;
use crate::backend::entries_for;
use crate::report::Fault;

/// Serves on tokio-uring until something fails.
pub(super) fn tokio_uring(
    connections: u32,
    listener: TcpListener,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Infallible, Fault> {
    use tokio_uring::buf::BoundedBuf;
    use tokio_uring::net::{TcpListener, TcpStream};

    async fn echo(stream: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER as usize];
        loop {
            let (received, filled) = stream.read(buffer).await;
            let received = received?;
            if received == 0 {
                return Ok(());
            }
            let (sent, part) = stream.write_all(filled.slice(..received)).await;
            sent?;
            buffer = part.into_inner();
        }
    }

    let outcome: io::Result<Infallible> =
        tokio_uring::builder().entries(entries_for(connections)).start(async {
            let listener = TcpListener::from_std(listener);
            ready()?;
            loop {
                let (stream, _) = listener.accept().await?;
                drop(tokio_uring::spawn(echo(stream)));
            }
        });
    Ok(outcome?)
}

/// Serves on monoio until something fails.
pub(super) fn monoio(
    connections: u32,
    listener: TcpListener,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Infallible, Fault> {
    use monoio::buf::IoBuf;
    use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
    use monoio::net::{TcpListener, TcpStream};
    use monoio::{IoUringDriver, RuntimeBuilder};

    async fn echo(mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER as usize];
        loop {
            let (received, filled) = stream.read(buffer).await;
            let received = received?;
            if received == 0 {
                return Ok(());
            }
            let (sent, part) = stream.write_all(filled.slice(..received)).await;
            sent?;
            buffer = part.into_inner();
        }
    }

    let mut runtime =
        RuntimeBuilder::<IoUringDriver>::new().with_entries(entries_for(connections)).build()?;
    let outcome: io::Result<Infallible> = runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        ready()?;
        loop {
            let (stream, _) = listener.accept().await?;
            drop(monoio::spawn(echo(stream)));
        }
    });
    Ok(outcome?)
}

/// Serves on compio until something fails.
pub(super) fn compio(
    connections: u32,
    listener: TcpListener,
    ready: impl FnOnce() -> io::Result<()>,
) -> Result<Infallible, Fault> {
    use compio::BufResult;
    use compio::buf::{IntoInner, IoBuf};
    use compio::driver::ProactorBuilder;
    use compio::io::{AsyncRead, AsyncWriteExt};
    use compio::net::{TcpListener, TcpStream};
    use compio::runtime::RuntimeBuilder;

    async fn echo(mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER as usize];
        loop {
            let BufResult(received, filled) = stream.read(buffer).await;
            let received = received?;
            if received == 0 {
                return Ok(());
            }
            let BufResult(sent, part) = stream.write_all(filled.slice(..received)).await;
            sent?;
            buffer = part.into_inner();
        }
    }

    let mut proactor = ProactorBuilder::new();
    proactor.capacity(entries_for(connections));
    let runtime = RuntimeBuilder::new().with_proactor(proactor).build()?;
    let outcome: io::Result<Infallible> = runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        ready()?;
        loop {
            let (stream, _) = listener.accept().await?;
            compio::runtime::spawn(echo(stream)).detach();
        }
    });
    Ok(outcome?)
}
