//! Lists of files and buffers, and copies of them.

use std::os::fd::AsRawFd;

use annulus_abi as abi;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::*;

#[test]
fn lists_are_refused_by_their_shape_before_they_are_read() {
    let engine = engine(SetupFlags::empty());
    let mut zeros = [0_u64; 4];
    for op in [abi::IORING_REGISTER_FILES, abi::IORING_REGISTER_BUFFERS] {
        assert_eq!(plain(&engine, op, 1), Err(Errno::FAULT));
        assert_eq!(call(&engine, op, &mut zeros, 0), Err(Errno::INVAL));
    }
    for op in [abi::IORING_REGISTER_FILES2, abi::IORING_REGISTER_BUFFERS2] {
        assert_eq!(call(&engine, op, &mut zeros, 31), Err(Errno::INVAL), "the size of the argument");
        assert_eq!(call(&engine, op, &mut zeros, 32), Err(Errno::INVAL), "no slots");
        assert_eq!(
            call(&engine, op, &mut [1 | 1 << 32, 0, 5, 0_u64], 32),
            Err(Errno::INVAL),
            "sparse, and a list"
        );
        assert_eq!(
            call(&engine, op, &mut [1 | 2 << 32, 0, 0, 0_u64], 32),
            Err(Errno::INVAL),
            "an unknown flag"
        );
        assert_eq!(call(&engine, op, &mut [1, 1, 0, 0_u64], 32), Err(Errno::INVAL), "a reserved field");
        assert_eq!(plain(&engine, op, 32), Err(Errno::FAULT));
    }
    assert_eq!(call(&engine, abi::IORING_REGISTER_FILES_UPDATE, &mut zeros, 0), Err(Errno::INVAL));
    assert_eq!(plain(&engine, abi::IORING_REGISTER_FILES_UPDATE, 1), Err(Errno::FAULT));
    assert_eq!(call(&engine, abi::IORING_REGISTER_FILES_UPDATE, &mut zeros, 1), Err(Errno::NXIO));
    for op in [abi::IORING_REGISTER_FILES_UPDATE2, abi::IORING_REGISTER_BUFFERS_UPDATE] {
        assert_eq!(call(&engine, op, &mut zeros, 32), Err(Errno::INVAL), "nothing to update");
        assert_eq!(call(&engine, op, &mut [0, 0, 0, 1_u64], 32), Err(Errno::NXIO));
        assert_eq!(call(&engine, op, &mut [0xffff_ffff, 0, 0, 1_u64], 32), Err(Errno::OVERFLOW));
        assert_eq!(
            call(&engine, op, &mut [0, 0, 0, 1 | 1_u64 << 32], 32),
            Err(Errno::INVAL),
            "a reserved field"
        );
    }
    for op in [abi::IORING_UNREGISTER_FILES, abi::IORING_UNREGISTER_BUFFERS] {
        assert_eq!(plain(&engine, op, 0), Err(Errno::NXIO));
        assert_eq!(call(&engine, op, &mut zeros, 0), Err(Errno::INVAL));
    }
}

#[test]
fn files_are_registered_updated_tagged_and_given_up() {
    let engine = engine(SetupFlags::empty());
    let file = eventfd(0, EventfdFlags::empty()).unwrap();
    let own = file.as_raw_fd();
    assert_eq!(call(&engine, abi::IORING_REGISTER_FILES, &mut [own, -1, own], 3), Ok(0));
    let has = |slot| engine.ring().lock().tables.files.get(slot).is_ok();
    assert_eq!([0, 1, 2].map(has), [true, false, true]);
    let mut list = [-1, own];
    let mut update = [0, address(&mut list)];
    assert_eq!(call(&engine, abi::IORING_REGISTER_FILES_UPDATE, &mut update, 2), Ok(2));
    assert_eq!([0, 1, 2].map(has), [false, true, true]);

    let mut tags = [77_u64];
    let mut tagged = [0_u64, address(&mut list[1..]), address(&mut tags), 1];
    assert_eq!(call(&engine, abi::IORING_REGISTER_FILES_UPDATE2, &mut tagged, 32), Ok(1));
    assert_eq!(engine.ring().lock().rings.cq.waiting(), 0);
    assert_eq!(plain(&engine, abi::IORING_UNREGISTER_FILES, 0), Ok(0));
    assert_eq!(engine.ring().lock().rings.cq.waiting(), 1, "the tag came back");
}

#[test]
fn slots_for_files_that_name_none_are_a_range_of_the_table() {
    let engine = engine(SetupFlags::empty());
    let op = abi::IORING_REGISTER_FILE_ALLOC_RANGE;
    assert_eq!(call(&engine, op, &mut [0_u64; 2], 0), Ok(0));
    assert_eq!(call(&engine, op, &mut [1_u64 << 32, 0], 0), Err(Errno::INVAL), "no table");
    assert_eq!(call(&engine, abi::IORING_REGISTER_FILES2, &mut [8 | 1 << 32, 0, 0, 0_u64], 32), Ok(0));
    assert_eq!(call(&engine, op, &mut [2 | 6_u64 << 32, 0], 0), Ok(0));
    assert_eq!(call(&engine, op, &mut [3 | 6_u64 << 32, 0], 0), Err(Errno::INVAL));
    assert_eq!(call(&engine, op, &mut [u64::MAX, 0], 0), Err(Errno::OVERFLOW));
    assert_eq!(call(&engine, op, &mut [0_u64, 1], 0), Err(Errno::INVAL));
    assert_eq!(call(&engine, op, &mut [0_u64, 0], 1), Err(Errno::INVAL));
}

/// An engine with one buffer in slot 1 of 2.
fn with_a_buffer(memory: &mut [u8]) -> Engine {
    let engine = engine(SetupFlags::empty());
    let len = memory.len() as u64;
    let mut list = [0, 0, address(memory), len];
    assert_eq!(call(&engine, abi::IORING_REGISTER_BUFFERS, &mut list, 2), Ok(0));
    engine
}

#[test]
fn buffers_are_copied_from_another_ring_by_descriptor_or_place() {
    let mut memory = [0_u8; 64];
    let from = with_a_buffer(&mut memory);
    let to = engine(SetupFlags::empty());
    let op = abi::IORING_REGISTER_CLONE_BUFFERS;
    assert_eq!(call(&to, op, &mut [fd(&from), 0, 0, 0, 0, 0, 0, 0], 1), Ok(0));
    let has = |engine: &Engine, index| engine.ring().lock().tables.buffers.has(index);
    assert_eq!([0, 1, 2].map(|index| has(&to, index)), [false, true, false]);
    let again = |flags| call(&to, op, &mut [fd(&from), flags, 1, 4, 1, 0, 0, 0], 1);
    assert_eq!(again(0), Err(Errno::BUSY), "there are buffers");
    assert_eq!(again(2), Ok(0), "which may be replaced");
    assert!(has(&to, 4));

    let mut place = [7_u64, u64::from(fd(&from))];
    assert_eq!(call(&to, abi::IORING_REGISTER_RING_FDS, &mut place, 1), Ok(1));
    let by_place = engine(SetupFlags::empty());
    assert_eq!(call(&by_place, op, &mut [7, 1, 0, 0, 0, 0, 0, 0], 1), Ok(0));
    assert!(has(&by_place, 1));
    drop(from);
    let refusals = [
        ([7, 1, 0], Errno::BADF),
        ([16, 1, 0], Errno::INVAL),
        ([9999, 0, 0], Errno::BADF),
        ([0, 0, 0], Errno::OPNOTSUPP),
        ([0, 4, 0], Errno::INVAL),
        ([fd(&to), 0, 1], Errno::INVAL),
    ];
    let third = engine(SetupFlags::empty());
    for ([fd, flags, pad], errno) in refusals {
        assert_eq!(
            call(&third, op, &mut [fd, flags, 0, 0, 0, pad, 0, 0], 1),
            Err(errno),
            "{fd} {flags} {pad}"
        );
    }
    assert_eq!(
        call(&third, op, &mut [fd(&third), 0, 0, 0, 0, 0, 0, 0], 1),
        Err(Errno::NXIO),
        "its own, none"
    );
}

#[test]
fn a_buffer_ring_of_the_engines_own_is_mapped_by_its_group() {
    let engine = engine(SetupFlags::empty());
    let group = 3_u32;
    // No address, 8 entries, the group, IOU_PBUF_RING_MMAP.
    let mut reg = [0, 8 | u64::from(group) << 32 | 1 << 48, 0, 0, 0];
    assert_eq!(call(&engine, abi::IORING_REGISTER_PBUF_RING, &mut reg, 1), Ok(0));
    let offset = abi::IORING_OFF_PBUF_RING | u64::from(group) << abi::IORING_OFF_PBUF_SHIFT;
    assert!(crate::register::mappable(engine.ring(), 4096, offset).is_ok());
    let refused = |len, offset| crate::register::mappable(engine.ring(), len, offset).map(drop);
    assert_eq!(refused(4096, offset + (1 << 16)), Err(Errno::NOMEM), "another group");
    assert_eq!(refused(100, offset), Err(Errno::FAULT), "not all of it");
    assert_eq!(refused(4096, 0x2000_0000), Err(Errno::NOMEM), "no region");

    let mut status = [group, 4711, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(call(&engine, abi::IORING_REGISTER_PBUF_STATUS, &mut status, 1), Ok(0));
    assert_eq!(status[..2], [group, 0]);
    let mut by_group = [0, u64::from(group) << 32, 0, 0, 0];
    assert_eq!(call(&engine, abi::IORING_UNREGISTER_PBUF_RING, &mut by_group, 1), Ok(0));
    assert_eq!(call(&engine, abi::IORING_UNREGISTER_PBUF_RING, &mut by_group, 1), Err(Errno::NOENT));
    assert_eq!(call(&engine, abi::IORING_REGISTER_PBUF_STATUS, &mut status, 1), Err(Errno::NOENT));
    assert_eq!(call(&engine, abi::IORING_REGISTER_PBUF_RING, &mut reg, 2), Err(Errno::INVAL));
}
