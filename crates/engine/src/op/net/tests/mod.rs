//! Operations on sockets, attempt by attempt, over pairs of sockets and loopback.

mod connections;
mod messages;
mod receiving;
mod sending;

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use annulus_abi::{BufReg, CqeFlags, Sqe, SqeFlags};
use rustix::io::Errno;

use super::{DONTWAIT, FINAL, IN, OUT, RDHUP, WAITALL};
use crate::buffers::Batch;
use crate::op::testing::Stand;
use crate::op::{Op, Outcome, Step, Turn};
use crate::world::Vouched;

const GROUP: u16 = 7;
const PAGE: usize = 4096;

/// A page of the program's, for a ring of buffers and for the buffers.
#[repr(align(4096))]
#[expect(dead_code, reason = "read and written by its address")]
struct Page([u8; PAGE]);

/// Memory that a ring of buffers names: it stays for as long as the test program runs.
fn page() -> u64 {
    (&raw mut *Box::leak(Box::new(Page([0; PAGE])))) as u64
}

fn entry(opcode: u8, fd: &impl AsRawFd) -> Sqe {
    Sqe { fd: fd.as_raw_fd(), ..Sqe::new(opcode) }
}

fn addr<T>(place: &mut T) -> u64 {
    (&raw mut *place) as u64
}

/// An entry that picks its buffer.
fn selecting(sqe: Sqe) -> Sqe {
    Sqe { flags: SqeFlags::BUFFER_SELECT.bits(), buf_index: GROUP, ..sqe }
}

/// Provides a list of `count` buffers of `len` bytes, numbered from 10; says where they are.
fn provide(stand: &mut Stand, count: u32, len: u32) -> u64 {
    let addr = page();
    let batch = Batch { addr, len, count, first_id: 10 };
    stand.tables.groups.provide(Vouched::in_tests(), GROUP, batch).unwrap();
    addr
}

/// Registers a ring with `count` buffers of `len` bytes, numbered from 20; says where they are.
fn register(stand: &mut Stand, count: u16, len: u32) -> u64 {
    let (ring, addr, vouched) = (page(), page(), Vouched::in_tests());
    let reg = BufReg { ring_addr: ring, ring_entries: 8, bgid: GROUP, ..BufReg::default() };
    stand.tables.groups.register_ring(&*stand.world, vouched, &reg).unwrap();
    for index in 0..count {
        let at = addr + u64::from(index) * u64::from(len);
        let entry = [&at.to_ne_bytes()[..], &len.to_ne_bytes(), &(20 + index).to_ne_bytes()].concat();
        stand.world.store(vouched.span(ring + u64::from(index) * 16, 14), &entry).unwrap();
    }
    stand.world.store(vouched.span(ring + 14, 2), &count.to_ne_bytes()).unwrap();
    addr
}

fn load(stand: &Stand, addr: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stand.world.load(Vouched::in_tests().span(addr, len), &mut bytes).unwrap();
    bytes
}

/// The flags of a completion that names this buffer.
fn buffer(id: u32) -> CqeFlags {
    CqeFlags::BUFFER | CqeFlags::from_bits_retain(id << 16)
}

/// Attempts an operation on a descriptor.
fn attempt(stand: &mut Stand, op: &mut Op, fd: &impl AsRawFd, turn: Turn) -> Step {
    stand.attempt(op, fd.as_raw_fd(), turn)
}

/// The outcome of a step that ends.
fn done(step: Step) -> Outcome {
    match step {
        Step::Done(outcome) => outcome,
        other => panic!("not the end: {other:?}"),
    }
}

/// The outcome of a step that goes on.
fn more(step: Step) -> Outcome {
    match step {
        Step::More(outcome) => outcome,
        other => panic!("not one of several: {other:?}"),
    }
}

/// What a step waits for.
fn waits(step: &Step) -> u32 {
    match step {
        Step::Wait(interest) => interest.events,
        other => panic!("no wait: {other:?}"),
    }
}

fn failure(errno: Errno) -> Outcome {
    Outcome::failure(errno)
}

/// Both ends of a connection over loopback.
fn connection() -> (TcpStream, TcpStream) {
    let listener = listener();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}
