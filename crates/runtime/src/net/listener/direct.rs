//! Accepting into the ring's own table of files: connections without a descriptor of the process.
//!
//! What it keeps true: a connection is never lost for want of a slot that was known to be missing. While few slots
//! are free, connections are accepted as ordinary descriptors, one by one, until there are more.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::rc::Rc;

use super::{
    Accept, AcceptMulti, Accepted as _, Armed, Arrival, Arrivals, Flow, Listener, MOST_WAITING, Ordinary,
    PhantomData, SharedFd, Single, next_of, next_single,
};
use crate::driver::{Completion, Driver, Slot};
use crate::executor::Context as Executor;

/// The connections of a listener, each in a slot of the ring's table of files; see
/// [`Listener::incoming_direct`]. Connections that were accepted and not taken when it is dropped are closed.
pub struct IncomingDirect<P> {
    fd: SharedFd,
    arrivals: Rc<Arrivals>,
    /// The operation for all, and, dropped before it, that it is in flight.
    flow: Option<(Armed, Flow<AcceptMulti>)>,
    /// It was asked to end.
    stopping: bool,
    /// The accept of one connection as an ordinary descriptor, if that is what is waited for.
    single: Option<Single<Accept>>,
    /// There is no such accept here (before Linux 5.19).
    missing: bool,
    protocol: PhantomData<P>,
}

impl<P: Ordinary> Listener<P> {
    /// The connections as they come, each in a slot of the ring's own table of files instead of a descriptor of the
    /// process: the kernel is spared the process's table when it accepts, closes, and looks the file up for each
    /// operation, which is for connections that are short.
    ///
    /// The methods of such a stream are those of an ordinary one, but what needs a descriptor: it is no
    /// [`AsFd`](std::os::fd::AsFd), its addresses and options are asked for and set through the ring, and it cannot leave
    /// its runtime. [`Stream::install`](crate::net::Stream::install) makes an ordinary stream of it. Options that are to hold for every
    /// connection are best set on the listener, from which connections have them
    /// ([`ListenOptions`](crate::net::ListenOptions)).
    ///
    /// The table has as many slots as [`Builder::direct_descriptors`](crate::Builder::direct_descriptors) says. When few
    /// are free, and where there is no such table (before Linux 6.8), connections are accepted as ordinary
    /// descriptors, with the same methods.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus_rt::net::{TcpListener, TcpStream};
    ///
    /// annulus_rt::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let mut incoming = listener.incoming_direct();
    ///     let direct = incoming.next().await?;
    ///     direct.send_all("hello").await.0?;
    ///     assert_eq!(direct.peer_addr().await?, client.local_addr()?);
    ///     let (received, _) = client.recv(vec![0; 5]).await;
    ///     assert_eq!(received?, 5);
    ///     direct.close().await
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn incoming_direct(&self) -> IncomingDirect<P> {
        IncomingDirect {
            fd: self.fd.clone(),
            arrivals: self.arrivals.clone(),
            flow: None,
            stopping: false,
            single: None,
            missing: false,
            protocol: PhantomData,
        }
    }
}

impl<P: Ordinary> IncomingDirect<P> {
    /// Waits for the next connection. May be dropped while it waits: no connection is lost.
    ///
    /// # Errors
    ///
    /// Those of [`Listener::accept`]; `ENFILE` if so many connections came at once that the table ran full: those that
    /// found no slot are gone. After an error it can be called again.
    pub async fn next(&mut self) -> io::Result<P::DirectConnection> {
        let executor = Executor::current();
        loop {
            if self.single.is_some() {
                return self.next_single().await;
            }
            let room = !self.missing && has_room(&executor);
            match &self.flow {
                None => {
                    if let Some(kept) = self.arrivals.next_kept(&self.fd).await {
                        return Ok(P::DirectConnection::accepted(kept));
                    }
                    if !room {
                        return self.next_single().await;
                    }
                    self.start(&executor.driver)?;
                }
                Some((_, flow)) if !room && !self.stopping => {
                    flow.stop();
                    self.stopping = true;
                }
                Some(_) => {}
            }
            let Some((_, flow)) = &mut self.flow else { continue };
            match next_of(flow, &self.arrivals).await {
                Arrival::Kept(kept) => {
                    self.arrivals.look(&self.fd);
                    return Ok(P::DirectConnection::accepted(kept));
                }
                Arrival::Own(None) => self.flow = None,
                Arrival::Own(Some(completion)) => {
                    if let Some(accepted) = self.taken(&executor.driver, completion) {
                        return accepted;
                    }
                }
            }
        }
    }

    async fn next_single(&mut self) -> io::Result<P::DirectConnection> {
        next_single(&mut self.single, &self.fd, &self.arrivals).await.map(P::DirectConnection::accepted)
    }

    fn start(&mut self, driver: &Rc<Driver>) -> io::Result<()> {
        let op = AcceptMulti::new(self.fd.clone(), self.arrivals.clone(), Some(driver.clone()));
        let flow = Flow::start(op, MOST_WAITING)?;
        self.flow = Some((Armed::new(&self.arrivals), flow));
        self.stopping = false;
        Ok(())
    }

    /// What a completion brought; nothing if it only says that there is no such accept, or that it was
    /// stopped.
    fn taken(
        &mut self,
        driver: &Rc<Driver>,
        completion: Completion,
    ) -> Option<io::Result<P::DirectConnection>> {
        match Slot::filled(driver, completion) {
            Ok(slot) => Some(Ok(P::DirectConnection::accepted(SharedFd::of_slot(slot)))),
            Err(errno) if errno == -libc::EINVAL => {
                self.missing = true;
                None
            }
            Err(errno) if errno == -libc::ECANCELED => {
                self.flow = None;
                None
            }
            Err(errno) => Some(Err(io::Error::from_raw_os_error(-errno))),
        }
    }
}

/// Whether a table is there that takes what one multishot accept may bring before it is seen.
fn has_room(executor: &Executor) -> bool {
    let slots = executor.driver.slots(executor.direct);
    slots.is_some_and(|slots| {
        let reserve = u32::try_from(2 * MOST_WAITING).unwrap_or(u32::MAX).min(slots.count() / 2);
        slots.free() > reserve
    })
}

impl<P> Debug for IncomingDirect<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingDirect").field("fd", &self.fd).finish_non_exhaustive()
    }
}
