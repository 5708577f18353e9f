//! What the kernel does to operations after the program gave them up: nothing to memory that was freed, no
//! descriptor left open.
//!
//! No sanitizer sees what the kernel writes. So a buffer of these tests, when it is freed, is filled with a
//! pattern and kept; if any of it changes later, it was freed too early.
#![allow(unsafe_code, reason = "a buffer that stays readable after it was freed")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test; one that is skipped says so")]

mod again;

use std::cell::UnsafeCell;
use std::fs::File;
use std::io::{IoSlice, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annulus::IoUring;
use annulus::owned::{AcceptMulti, BufferMut, Handle, OwnedRing, Read, RecvMsg};
use annulus::squeue::Flags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

const SIZE: usize = 32 * 1024;
const READS: usize = 32;
const PATTERN: u8 = 0xa5;

/// Memory that is never freed, aligned as `O_DIRECT` wants it.
#[repr(align(4096))]
struct Memory {
    bytes: UnsafeCell<[u8; SIZE]>,
    freed: AtomicBool,
}

// SAFETY: the tests write and read the bytes on one thread; other writers are what they look for.
unsafe impl Sync for Memory {}

/// A buffer whose memory stays when it is dropped.
struct Canary(&'static Memory);

impl Canary {
    fn hatch(flock: &mut Vec<&'static Memory>) -> Self {
        let memory = Memory { bytes: UnsafeCell::new([0; SIZE]), freed: AtomicBool::new(false) };
        let memory: &'static Memory = Box::leak(Box::new(memory));
        flock.push(memory);
        Self(memory)
    }
}

// SAFETY: the memory is static, and that of one buffer alone.
unsafe impl BufferMut for Canary {
    fn space(&mut self) -> (NonNull<u8>, usize) {
        (NonNull::new(self.0.bytes.get()).unwrap().cast(), SIZE)
    }

    unsafe fn filled(&mut self, _len: usize) {}
}

impl Drop for Canary {
    fn drop(&mut self) {
        // SAFETY: the buffer is being dropped, and it is the only one with this memory.
        unsafe { self.0.bytes.get().cast::<u8>().write_bytes(PATTERN, SIZE) };
        self.0.freed.store(true, Ordering::SeqCst);
    }
}

/// How many were freed; none of those may have changed since.
fn unharmed(flock: &[&'static Memory]) -> usize {
    let freed = flock.iter().filter(|memory| memory.freed.load(Ordering::SeqCst));
    let unharmed = freed.enumerate().map(|(index, memory)| {
        // SAFETY: static memory; volatile, as somebody else may be writing.
        let now = unsafe { memory.bytes.get().cast_const().read_volatile() };
        let changed = now.iter().position(|byte| *byte != PATTERN);
        assert_eq!(changed, None, "canary {index} was written after it was freed, from this byte on");
    });
    unharmed.count()
}

/// Submits reads of a file around the page cache, so that the disk writes to their memory, and drops the ring.
fn drop_amid_reads(ring: impl Fn() -> OwnedRing, flags: Flags) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    std::fs::write(&path, vec![0x11; READS * SIZE]).unwrap();
    File::open(&path).unwrap().sync_all().unwrap();
    let file = match File::options().read(true).custom_flags(libc::O_DIRECT).open(&path) {
        Ok(file) => Handle::from(file),
        Err(error) => return println!("SKIP: no O_DIRECT in {}: {error}", folder.path().display()),
    };
    let mut flock = Vec::new();
    for round in 1..=10 {
        let mut ring = ring();
        for index in 0..READS {
            let read = Read::new(&file, Canary::hatch(&mut flock)).offset((index * SIZE) as u64);
            let ticket = ring.push_with(read, flags).unwrap();
            if index % 3 == 0 {
                ring.cancel(ticket.key()).unwrap();
            }
            if index % 3 == 1 {
                ring.detach(ticket.key());
            }
        }
        ring.submit().unwrap();
        drop(ring);
        assert_eq!(unharmed(&flock), round * READS, "all of them came back");
    }
    std::thread::sleep(Duration::from_millis(50));
    unharmed(&flock);
}

#[test]
fn a_dropped_ring_waits_for_the_disk_before_it_frees() {
    drop_amid_reads(|| OwnedRing::new(64).unwrap(), Flags::empty());
}

#[test]
fn a_dropped_ring_waits_for_its_workers_before_it_frees() {
    drop_amid_reads(|| OwnedRing::new(64).unwrap(), Flags::ASYNC);
}

#[test]
fn a_dropped_ring_of_a_single_issuer_waits_for_the_disk_before_it_frees() {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun();
    drop_amid_reads(|| OwnedRing::from_builder(&builder, 64).unwrap(), Flags::empty());
}

#[test]
fn a_dropped_ring_with_a_polling_thread_waits_for_the_disk_before_it_frees() {
    let mut builder = IoUring::builder();
    builder.setup_sqpoll(50);
    drop_amid_reads(|| OwnedRing::from_builder(&builder, 64).unwrap(), Flags::empty());
}

/// Sends a descriptor over a socket.
fn send_descriptor(socket: &UnixStream, descriptor: &OwnedFd) {
    let mut space = [std::mem::MaybeUninit::uninit(); 64];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(socket, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap();
}

#[test]
fn a_received_descriptor_belongs_to_the_message_and_is_not_inherited() {
    let mut ring = OwnedRing::new(8).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let (mut read, write) = std::io::pipe().unwrap();
    let write = OwnedFd::from(write);
    send_descriptor(&near, &write);
    drop(write);
    let (received, _) = ring.run(RecvMsg::new(far, vec![vec![0; 8]]).control(64)).unwrap();
    let mut received = received.unwrap();
    assert_eq!((received.len, received.flags, received.descriptors.len()), (1, 0, 1));
    let number = received.control_messages().next().unwrap().data.to_vec();
    let write = received.descriptors.pop().unwrap();
    assert_eq!(number, write.as_raw_fd().to_ne_bytes());
    assert!(rustix::io::fcntl_getfd(&write).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    drop(write);
    assert_eq!(read.read(&mut [0; 8]).unwrap(), 0, "that was the last one");
}

#[test]
fn a_descriptor_in_a_message_that_nobody_wants_is_closed() {
    let mut ring = OwnedRing::new(8).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let (mut read, write) = std::io::pipe().unwrap();
    let write = OwnedFd::from(write);
    let unwanted = ring.push(RecvMsg::new(far, vec![vec![0; 8]]).control(64)).unwrap();
    ring.detach(unwanted.key());
    ring.submit().unwrap();
    send_descriptor(&near, &write);
    drop(write);
    while ring.in_flight() > 0 {
        ring.submit_and_wait(1).unwrap();
    }
    assert_eq!(read.read(&mut [0; 8]).unwrap(), 0, "nobody has the other end any more");
}

/// A client that does not wait for ever.
fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client
}

#[test]
fn connections_that_nobody_wants_are_closed_as_they_come() {
    let mut ring = OwnedRing::new(8).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accept = ring.push(AcceptMulti::new(listener)).unwrap();
    let mut before = connect(address);
    ring.submit_and_wait(1).unwrap();
    ring.detach(accept.key());
    assert_eq!(before.read(&mut [0; 8]).unwrap(), 0, "accepted, not taken, given up");
    let mut after = connect(address);
    ring.submit_and_wait(1).unwrap();
    assert_eq!(after.read(&mut [0; 8]).unwrap(), 0, "accepted when nobody wanted it");
    assert_eq!(ring.in_flight(), 1);
}

#[test]
fn all_of_this_holds_on_the_engine_too() {
    again::on_the_engine("all_of_this_holds_on_the_engine_too", &[]);
}
