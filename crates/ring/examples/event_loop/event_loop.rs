//! The epoll set, and the ring in it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use annulus::owned::{Directory, Key, OwnedRing};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use slab::Slab;

use crate::client::{Client, Need};

const LISTENER: u64 = 0;
const TIMER: u64 = 1;
const SIGNALS: u64 = 2;
const RING: u64 = 3;
/// Clients have the numbers from here on.
const CLIENTS: u64 = 4;

/// Operations in flight: as many as the completion queue, which is twice this, takes.
const RING_ENTRIES: u32 = 64;

pub(crate) struct EventLoop {
    epoll: OwnedFd,
    listener: TcpListener,
    timer: OwnedFd,
    ring: OwnedRing,
    folder: Directory,
    clients: Slab<Client>,
    /// Which client waits for which operation.
    waiting: HashMap<Key, usize>,
    /// Clients that found the ring full.
    crowded: Vec<usize>,
    patience: u32,
    stopping: bool,
    served: u64,
    bytes: u64,
    /// Kept open: it stands in the epoll set.
    _signals: OwnedFd,
}

impl EventLoop {
    pub(crate) fn new(
        listener: TcpListener,
        signals: OwnedFd,
        folder: File,
        tick: Duration,
        patience: u32,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (timer, ring) = (ticking(tick)?, OwnedRing::new(RING_ENTRIES)?);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let sources = [
            (listener.as_fd(), LISTENER),
            (timer.as_fd(), TIMER),
            (signals.as_fd(), SIGNALS),
            (ring.as_fd(), RING),
        ];
        for (fd, number) in sources {
            epoll::add(&epoll, fd, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        }
        Ok(Self {
            epoll,
            listener,
            timer,
            ring,
            folder: folder.into(),
            clients: Slab::new(),
            waiting: HashMap::new(),
            crowded: Vec::new(),
            patience,
            stopping: false,
            served: 0,
            bytes: 0,
            _signals: signals,
        })
    }

    pub(crate) const fn clients(&self) -> u64 {
        self.served
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Runs until a signal comes.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        while !self.stopping {
            self.drive_ring()?;
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None::<&Timespec>) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    TIMER => self.tick()?,
                    SIGNALS => self.stopping = true,
                    // The next turn takes what has completed.
                    RING => {}
                    number => self.advance(usize::try_from(number - CLIENTS).expect("a client"))?,
                }
            }
        }
        Ok(())
    }

    /// Submits what the turn led to, and goes on with what has completed, until nothing more has.
    fn drive_ring(&mut self) -> io::Result<()> {
        loop {
            if let Err(error) = self.ring.submit() {
                match Errno::from_io_error(&error) {
                    Some(Errno::INTR | Errno::BUSY | Errno::AGAIN) => {}
                    _ => return Err(error),
                }
            }
            let mut ready = Vec::new();
            while let Some(key) = self.ring.next_finished() {
                ready.extend(self.waiting.remove(&key));
            }
            if self.ring.room() > 0 {
                ready.append(&mut self.crowded);
            }
            if ready.is_empty() {
                return Ok(());
            }
            for client in ready {
                self.advance(client)?;
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    let number = self.clients.insert(Client::new(stream));
                    let data = epoll::EventData::new_u64(CLIENTS + number as u64);
                    let stream = self.clients[number].stream();
                    epoll::add(&self.epoll, stream, data, epoll::EventFlags::IN)?;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        eprintln!("event_loop: accept: {error}; trying again with the next tick");
                        return self.listen(epoll::EventFlags::empty());
                    }
                },
            }
        }
    }

    /// Whether the loop hears of new clients.
    fn listen(&self, interest: epoll::EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, &self.listener, epoll::EventData::new_u64(LISTENER), interest)?)
    }

    /// Lets a client go as far as it can, and arranges to hear of what it then needs.
    fn advance(&mut self, number: usize) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(()) };
        let before = client.need;
        // Whatever went wrong with the socket is the client's end.
        let need = client.advance(&mut self.ring, &self.folder).unwrap_or(Need::Done);
        client.need = need;
        if before != need && need != Need::Done {
            let interest = match need {
                Need::Readable => epoll::EventFlags::IN,
                Need::Writable => epoll::EventFlags::OUT,
                // A client that hangs up is reported whatever is asked for: its end comes with the next send.
                Need::Operation(_) | Need::Room | Need::Done => epoll::EventFlags::ONESHOT,
            };
            let data = epoll::EventData::new_u64(CLIENTS + number as u64);
            epoll::modify(&self.epoll, client.stream(), data, interest)?;
        }
        match need {
            Need::Operation(key) => drop(self.waiting.insert(key, number)),
            Need::Room => self.crowded.push(number),
            Need::Done => self.close(number),
            Need::Readable | Need::Writable => {}
        }
        Ok(())
    }

    /// Closes a client; what is in flight for it is dropped when it ends.
    fn close(&mut self, number: usize) {
        let client = self.clients.remove(number);
        if let Need::Operation(key) = client.need {
            self.waiting.remove(&key);
            self.ring.detach(key);
        }
        self.crowded.retain(|crowded| *crowded != number);
        self.served += 1;
        self.bytes += client.sent;
    }

    /// Closes the clients whose patience was as long as ours.
    fn tick(&mut self) -> io::Result<()> {
        let mut ticks = [0; 8];
        rustix::io::read(&self.timer, &mut ticks)?;
        self.listen(epoll::EventFlags::IN)?;
        let ticks = u32::try_from(u64::from_ne_bytes(ticks)).unwrap_or(u32::MAX);
        let mut idle = Vec::new();
        for (number, client) in &mut self.clients {
            client.idle_ticks = client.idle_ticks.saturating_add(ticks);
            if client.idle_ticks > self.patience {
                idle.push(number);
            }
        }
        idle.into_iter().for_each(|number| self.close(number));
        Ok(())
    }
}

/// A timer that becomes readable again and again.
fn ticking(tick: Duration) -> io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let tick = Timespec::try_from(tick).map_err(|_| Errno::INVAL)?;
    let times = Itimerspec { it_interval: tick, it_value: tick };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
    Ok(timer)
}
