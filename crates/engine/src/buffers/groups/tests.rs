//! Lists and rings of buffers, with memory of the tests' own.
#![allow(unsafe_code, reason = "vouches for memory of the tests, and maps pages as programs do")]

use std::sync::atomic::Ordering;

use annulus_abi::{Buf, BufReg, BufStatus, CqeFlags, PbufRingFlags};
use rustix::io::Errno;

use super::memory::Slot;
use super::{Batch, Groups, Picked};
use crate::world::{Host, Vouched};

const GROUP: u16 = 7;

fn vouched() -> Vouched {
    // SAFETY: the rings below outlive their registration; other addresses are never followed.
    unsafe { Vouched::new() }
}

/// The program's side of a ring: one page.
#[repr(C, align(4096))]
struct Page([Slot; 256]);

struct Program {
    page: Box<Page>,
    tail: u16,
    mask: u16,
}

impl Program {
    /// A registered ring with these lengths; buffer `i` lies at `(i + 1) << 12` and has the number `i + 100`.
    fn new(groups: &mut Groups, entries: u32, flags: PbufRingFlags, lengths: &[u32]) -> Self {
        let page = Box::new(Page(std::array::from_fn(|_| Slot::default())));
        let reg = reg((&raw const *page) as u64, entries, flags);
        groups.register_ring(&Host::new().unwrap(), vouched(), &reg).unwrap();
        let mut program = Self { page, tail: 0, mask: u16::try_from(entries).unwrap() - 1 };
        for (index, len) in (0..).zip(lengths) {
            program.give((u64::from(index) + 1) << 12, *len, index + 100);
        }
        program
    }

    fn give(&mut self, addr: u64, len: u32, bid: u16) {
        let slot = &self.page.0[usize::from(self.tail & self.mask)];
        slot.addr.store(addr, Ordering::Relaxed);
        slot.len.store(len, Ordering::Relaxed);
        slot.bid.store(bid, Ordering::Relaxed);
        self.set_tail(self.tail.wrapping_add(1));
    }

    fn set_tail(&mut self, tail: u16) {
        self.tail = tail;
        self.page.0[0].tail.store(tail, Ordering::Release);
    }
}

fn reg(addr: u64, entries: u32, flags: PbufRingFlags) -> BufReg {
    BufReg { ring_addr: addr, ring_entries: entries, bgid: GROUP, flags: flags.bits(), ..BufReg::default() }
}

fn batch(count: u32) -> Batch {
    Batch { addr: 0x1000, len: 16, count, first_id: 5 }
}

fn place(picked: &Picked) -> (u64, usize) {
    (picked.span.addr(), picked.span.len())
}

fn buffer_flags(id: u32) -> CqeFlags {
    CqeFlags::BUFFER | CqeFlags::from_bits_retain(id << 16)
}

#[test]
fn provided_buffers_are_taken_in_their_order_and_used_up() {
    let mut groups = Groups::default();
    groups.provide(vouched(), GROUP, batch(2)).unwrap();
    let first = groups.pick(GROUP, 0).unwrap();
    assert_eq!(place(&first), (0x1000, 16));
    assert_eq!(groups.commit(first, 3), buffer_flags(5));
    let second = groups.pick(GROUP, 4).unwrap();
    assert_eq!(place(&second), (0x1010, 4), "cut to what was wanted");
    assert_eq!(groups.commit(second, 4), buffer_flags(6));
    assert_eq!(groups.pick(GROUP, 0).map(drop), Err(Errno::NOBUFS));
}

#[test]
fn a_provided_buffer_that_was_not_used_is_the_next_again() {
    let mut groups = Groups::default();
    groups.provide(vouched(), GROUP, batch(2)).unwrap();
    let first = groups.pick(GROUP, 4).unwrap();
    groups.put_back(first);
    assert_eq!(place(&groups.pick(GROUP, 0).unwrap()), (0x1000, 16), "whole again");
}

#[test]
fn removing_tells_how_many_there_were() {
    let mut groups = Groups::default();
    assert_eq!(groups.remove(GROUP, 1), Err(Errno::NOENT));
    groups.provide(vouched(), GROUP, batch(4)).unwrap();
    assert_eq!(
        (groups.remove(GROUP, 3), groups.remove(GROUP, 3), groups.remove(GROUP, 3)),
        (Ok(3), Ok(1), Ok(0))
    );
}

#[test]
fn a_list_holds_no_more_buffers_than_there_are_numbers() {
    let mut groups = Groups::default();
    groups.provide(vouched(), GROUP, batch(65_536)).unwrap();
    assert_eq!(groups.provide(vouched(), GROUP, batch(1)), Err(Errno::OVERFLOW));
    assert_eq!(groups.remove(GROUP, 65_536), Ok(65_535));
}

#[test]
fn a_ring_moves_on_only_when_a_buffer_is_committed() {
    let mut groups = Groups::default();
    let _program = Program::new(&mut groups, 4, PbufRingFlags::empty(), &[16, 16]);
    let picked = groups.pick(GROUP, 0).unwrap();
    groups.put_back(picked);
    let picked = groups.pick(GROUP, 0).unwrap();
    assert_eq!(place(&picked), (0x1000, 16));
    assert_eq!(groups.commit(picked, 1), buffer_flags(100));
    assert_eq!(place(&groups.pick(GROUP, 0).unwrap()), (0x2000, 16));
}

#[test]
fn the_head_of_a_ring_is_told_and_goes_round() {
    let mut groups = Groups::default();
    let mut program = Program::new(&mut groups, 2, PbufRingFlags::empty(), &[]);
    program.set_tail(0);
    for round in 0..70_000_u32 {
        program.give(0x5000, 8, 1);
        let picked = groups.pick(GROUP, 0).unwrap();
        assert_eq!(groups.commit(picked, 8), buffer_flags(1), "round {round}");
    }
    let asked = BufStatus { buf_group: GROUP.into(), ..BufStatus::default() };
    assert_eq!(groups.status(&asked).unwrap().head, 70_000 % 65_536);
    assert!(groups.is_empty(GROUP));
}

#[test]
fn a_taken_buffer_is_gone_from_its_ring() {
    let mut groups = Groups::default();
    let _program = Program::new(&mut groups, 4, PbufRingFlags::empty(), &[16, 16]);
    let picked = groups.pick(GROUP, 0).unwrap();
    let taken = groups.keep(picked);
    assert_eq!(place(&groups.pick(GROUP, 0).unwrap()), (0x2000, 16));
    assert_eq!(groups.commit(taken, 3), buffer_flags(100));
    assert_eq!(place(&groups.pick(GROUP, 0).unwrap()), (0x2000, 16), "committed once");
}

#[test]
fn an_incremental_buffer_is_used_piece_by_piece() {
    let mut groups = Groups::default();
    let _program = Program::new(&mut groups, 4, PbufRingFlags::INC, &[16, 16]);
    let first = groups.pick(GROUP, 0).unwrap();
    assert_eq!(groups.commit(first, 6), buffer_flags(100) | CqeFlags::BUF_MORE);
    let rest = groups.pick(GROUP, 0).unwrap();
    assert_eq!(place(&rest), (0x1006, 10));
    assert_eq!(groups.commit(rest, 10), buffer_flags(100), "used up");
    assert_eq!(place(&groups.pick(GROUP, 0).unwrap()), (0x2000, 16));
}

#[test]
fn a_bundle_takes_as_many_buffers_as_it_needs() {
    let mut groups = Groups::default();
    let _program = Program::new(&mut groups, 8, PbufRingFlags::empty(), &[16, 16, 16, 16]);
    let places = |picked: &[Picked]| picked.iter().map(place).collect::<Vec<_>>();
    let picked = groups.pick_many(GROUP, 40, 64).unwrap();
    assert_eq!(places(&picked), [(0x1000, 16), (0x2000, 16)], "the third would have to be cut");
    let picked_whole = groups.pick_many(GROUP, 48, 64).unwrap();
    assert_eq!(places(&picked_whole), [(0x1000, 16), (0x2000, 16), (0x3000, 16)]);
    assert_eq!(places(&groups.pick_many(GROUP, 10, 64).unwrap()), [(0x1000, 10)], "the first may be");
    assert_eq!(groups.commit_many(picked, 17), buffer_flags(100), "the first is named");
    let picked = groups.pick_many(GROUP, 0, 64).unwrap();
    assert_eq!(places(&picked), [(0x3000, 16), (0x4000, 16)], "two were touched");
    assert_eq!(groups.commit_many(picked, 0), CqeFlags::empty());
    let taken = groups.take_many(GROUP, 0, 1).unwrap();
    assert_eq!(places(&taken), [(0x3000, 16)]);
    assert_eq!(groups.commit_many(taken, 0), buffer_flags(102));
    assert_eq!(groups.pick_many(9, 0, 1).map(drop), Err(Errno::NOENT));
}

#[test]
fn an_incremental_bundle_ends_in_the_middle_of_a_buffer() {
    let mut groups = Groups::default();
    let _program = Program::new(&mut groups, 8, PbufRingFlags::INC, &[16, 16]);
    let cut = groups.pick_many(GROUP, 20, 64).unwrap();
    assert_eq!(cut.iter().map(place).collect::<Vec<_>>(), [(0x1000, 16), (0x2000, 4)]);
    let picked = groups.pick_many(GROUP, 0, 64).unwrap();
    assert_eq!(groups.commit_many(picked, 20), buffer_flags(100) | CqeFlags::BUF_MORE);
    assert_eq!(place(&groups.pick(GROUP, 0).unwrap()), (0x2004, 12));
}

#[test]
fn nonsense_in_a_ring_does_no_harm() {
    let mut groups = Groups::default();
    let mut program = Program::new(&mut groups, 4, PbufRingFlags::INC, &[0]);
    let empty = groups.pick(GROUP, 0).unwrap();
    assert_eq!(
        groups.commit(empty, 100),
        buffer_flags(100) | CqeFlags::BUF_MORE,
        "an empty buffer takes nothing"
    );
    program.set_tail(40_000);
    let far = groups.pick_many(GROUP, 0, 1024).map(|picked| picked.len());
    assert_eq!(far, Err(Errno::NOBUFS), "the first is empty");
    assert!(!groups.is_empty(GROUP));
}

#[test]
fn a_ring_is_refused_for_the_reasons_of_the_kernel() {
    let (host, mut groups) = (Host::new().unwrap(), Groups::default());
    let page = Box::new(Page(std::array::from_fn(|_| Slot::default())));
    let addr = (&raw const *page) as u64;
    let none = PbufRingFlags::empty();
    let mut register = |reg: BufReg| groups.register_ring(&host, vouched(), &reg);
    assert_eq!(register(reg(addr, 3, none)), Err(Errno::INVAL), "no power of two");
    assert_eq!(register(reg(addr, 0, none)), Err(Errno::INVAL));
    assert_eq!(register(reg(addr, 65_536, none)), Err(Errno::INVAL));
    assert_eq!(register(reg(addr + 16, 4, none)), Err(Errno::INVAL), "inside a page");
    assert_eq!(register(reg(0, 4, none)), Err(Errno::FAULT));
    assert_eq!(register(reg(0x1000, 4, none)), Err(Errno::FAULT), "nothing is there");
    assert_eq!(register(BufReg { flags: 4, ..reg(addr, 4, none) }), Err(Errno::INVAL));
    assert_eq!(register(BufReg { min_left: 1, ..reg(addr, 4, PbufRingFlags::INC) }), Err(Errno::INVAL));
    assert_eq!(register(BufReg { resv: [0, 0, 0, 0, 1], ..reg(addr, 4, none) }), Err(Errno::INVAL));
    assert_eq!(register(reg(addr, 4, none)), Ok(()));
    assert_eq!(register(reg(addr, 4, none)), Err(Errno::EXIST));
}

#[test]
fn a_group_is_a_list_or_a_ring_but_never_both() {
    let (host, mut groups) = (Host::new().unwrap(), Groups::default());
    let mmap = reg(0, 4, PbufRingFlags::MMAP);
    groups.provide(vouched(), GROUP, batch(1)).unwrap();
    assert_eq!(groups.register_ring(&host, vouched(), &mmap), Err(Errno::EXIST));
    assert_eq!(groups.unregister_ring(&reg(0, 0, PbufRingFlags::empty())), Err(Errno::INVAL));
    assert_eq!(groups.remove(GROUP, 1), Ok(1));
    assert_eq!(groups.register_ring(&host, vouched(), &mmap), Ok(()), "an empty list gives way");
    assert_eq!(groups.provide(vouched(), GROUP, batch(1)), Err(Errno::INVAL));
    assert_eq!(groups.remove(GROUP, 1), Err(Errno::INVAL));
    assert_eq!(groups.unregister_ring(&reg(0, 0, PbufRingFlags::empty())), Ok(()));
    assert_eq!(groups.unregister_ring(&reg(0, 0, PbufRingFlags::empty())), Err(Errno::NOENT));
}

#[test]
fn allocated_pages_are_shared_with_whoever_maps_them() {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    let (host, mut groups) = (Host::new().unwrap(), Groups::default());
    groups.register_ring(&host, vouched(), &reg(0, 512, PbufRingFlags::MMAP)).unwrap();
    let (memory, len) = groups.mapping(GROUP).unwrap();
    assert_eq!(len, 8192);
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping where the system likes.
    let start = unsafe { mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, memory, 0) }.unwrap();
    // SAFETY: an entry of the mapping, which is aligned to pages.
    unsafe { start.cast::<Buf>().write(Buf { addr: 0x9000, len: 12, bid: 3, resv: 1 }) };
    assert_eq!(place(&groups.pick(GROUP, 0).unwrap()), (0x9000, 12));
    groups.unregister_ring(&reg(0, 0, PbufRingFlags::empty())).unwrap();
    // SAFETY: the program's mapping outlives the registration.
    assert_eq!(unsafe { start.cast::<Buf>().read() }.len, 12);
    // SAFETY: the mapping made above, to which nothing refers.
    unsafe { munmap(start, len) }.unwrap();
}
