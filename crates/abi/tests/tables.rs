//! The two tables: complete, in order, and free of contradiction.

use std::collections::BTreeSet;

use annulus_abi::*;

#[test]
fn opcodes_are_numbered_from_zero_to_sixty_four() {
    let numbers: Vec<u8> = OPCODES.iter().map(|info| info.number).collect();
    assert_eq!(numbers, (0..65).collect::<Vec<u8>>());
    assert_eq!(OpcodeInfo::of(IORING_OP_PIPE).map(|info| info.name), Some("PIPE"));
    assert_eq!(OpcodeInfo::of(IORING_OP_URING_CMD128).map(|info| info.number), Some(64));
    assert_eq!(OpcodeInfo::of(IORING_OP_LAST), None);
    assert_eq!(OpcodeInfo::of(255), None);
}

#[test]
fn no_two_opcodes_share_a_name() {
    let names: BTreeSet<&str> = OPCODES.iter().map(|info| info.name).collect();
    assert_eq!(names.len(), 65);
}

#[test]
fn opcodes_came_in_the_order_of_their_numbers() {
    assert!(OPCODES.is_sorted_by_key(|info| info.since));
    let count = |since| OPCODES.iter().filter(|info| info.since <= since).count();
    // What a kernel's PROBE reports as its last opcode, plus one; 6.18 was measured.
    assert_eq!([(5, 1), (5, 6), (6, 1), (6, 12), (6, 18), (6, 19)].map(count), [8, 30, 49, 58, 63, 65]);
}

#[test]
fn no_field_is_both_read_and_refused() {
    for info in &OPCODES {
        assert_eq!(info.reads & info.zero, SqeFields::empty(), "{}", info.name);
        let always = SqeFields::OPCODE | SqeFields::FLAGS | SqeFields::USER_DATA;
        assert!(info.reads.contains(always), "{}", info.name);
    }
}

#[test]
fn what_works_on_a_file_reads_its_descriptor() {
    for info in OPCODES.iter().filter(|info| info.supports_fixed_file()) {
        assert!(info.reads.contains(SqeFields::FD), "{}", info.name);
    }
}

#[test]
fn what_selects_buffers_reads_the_group() {
    for info in OPCODES.iter().filter(|info| info.traits.contains(OpTraits::BUFFER_SELECT)) {
        assert!(info.reads.contains(SqeFields::BUF_INDEX), "{}", info.name);
    }
}

#[test]
fn what_makes_files_reads_the_slot() {
    let direct: Vec<&str> = named(OpTraits::DIRECT);
    assert_eq!(direct, ["ACCEPT", "OPENAT", "OPENAT2", "SOCKET", "PIPE"]);
    for info in OPCODES.iter().filter(|info| info.traits.contains(OpTraits::DIRECT)) {
        assert!(info.reads.contains(SqeFields::FILE_INDEX), "{}", info.name);
    }
}

#[test]
fn what_waits_for_readiness_works_on_a_file_and_is_not_given_to_a_worker() {
    for info in OPCODES.iter().filter(|info| info.traits.intersects(OpTraits::POLL_IN | OpTraits::POLL_OUT)) {
        assert!(info.supports_fixed_file(), "{}", info.name);
        assert!(!info.traits.contains(OpTraits::ALWAYS_ASYNC), "{}", info.name);
    }
}

#[test]
fn a_polled_ring_takes_reads_writes_and_what_needs_no_device() {
    assert_eq!(
        named(OpTraits::IOPOLL),
        [
            "NOP",
            "READV",
            "WRITEV",
            "READ_FIXED",
            "WRITE_FIXED",
            "FILES_UPDATE",
            "READ",
            "WRITE",
            "PROVIDE_BUFFERS",
            "REMOVE_BUFFERS",
            "MSG_RING",
            "URING_CMD",
            "READV_FIXED",
            "WRITEV_FIXED",
            "NOP128",
            "URING_CMD128",
        ]
    );
}

#[test]
fn only_the_last_two_opcodes_need_a_long_entry() {
    assert_eq!(named(OpTraits::SQE128), ["NOP128", "URING_CMD128"]);
}

#[test]
fn an_empty_entry_of_any_opcode_has_no_refused_field() {
    for info in &OPCODES {
        assert_eq!(info.refused_fields(&Sqe::new(info.number)), SqeFields::empty(), "{}", info.name);
    }
}

#[test]
fn every_field_that_is_set_is_seen() {
    let sqe = Sqe {
        opcode: 1,
        flags: 1,
        ioprio: 1,
        fd: -1,
        off: 1 << 63,
        addr: 1 << 63,
        len: 1 << 31,
        op_flags: 1 << 31,
        user_data: 1 << 63,
        buf_index: 1 << 15,
        personality: 1 << 15,
        file_index: 1 << 31,
        addr3: 1 << 63,
        pad2: 1 << 63,
    };
    assert_eq!(SqeFields::nonzero(&sqe), SqeFields::all() - SqeFields::EXTRA);
    assert_eq!(SqeFields::nonzero(&Sqe::default()), SqeFields::empty());
}

#[test]
fn register_operations_are_numbered_from_zero_to_thirty_seven() {
    let numbers: Vec<u32> = REGISTER_OPS.iter().map(|info| info.op.raw()).collect();
    assert_eq!(numbers, (0..38).collect::<Vec<u32>>());
    let names: BTreeSet<&str> = REGISTER_OPS.iter().map(|info| info.name).collect();
    assert_eq!(names.len(), 38);
    assert_eq!(RegisterOp::from_raw(IORING_REGISTER_LAST).info(), None);
}

#[test]
fn register_operations_came_in_the_order_of_their_numbers_but_for_one() {
    let early: Vec<&str> = REGISTER_OPS
        .windows(2)
        .filter(|pair| pair[1].since < pair[0].since)
        .map(|pair| pair[1].name)
        .collect();
    assert_eq!(early, ["REGISTER_RESIZE_RINGS"]);
    let count = |since| REGISTER_OPS.iter().filter(|info| info.since <= since).count();
    assert_eq!([(5, 1), (5, 10), (6, 1), (6, 18), (6, 19), (7, 0)].map(count), [4, 13, 26, 36, 37, 38]);
}

#[test]
fn a_name_is_found_with_and_without_a_registered_ring() {
    for info in &REGISTER_OPS {
        let op = info.op.with_registered_ring();
        assert!(op.uses_registered_ring() && !info.op.uses_registered_ring());
        assert_eq!(op.info(), Some(info));
        assert_eq!(op.to_string(), info.name);
    }
    assert_eq!(RegisterOp::from_raw(38).to_string(), "register operation 38");
    let op = RegisterOp::REGISTER_FILES.with_registered_ring();
    assert_eq!(format!("{op:?}"), "RegisterOp(REGISTER_FILES | USE_REGISTERED_RING)");
}

#[test]
fn sizes_of_register_arguments_are_those_of_the_kernel() {
    let size = |op: RegisterOp, nr| op.info().and_then(|info| info.layout.size(nr));
    let word = usize::BITS as usize / 8;
    assert_eq!(size(RegisterOp::REGISTER_BUFFERS, 3), Some(3 * 2 * word));
    assert_eq!(size(RegisterOp::REGISTER_FILES, 3), Some(12));
    assert_eq!(size(RegisterOp::REGISTER_FILES_UPDATE, 3), Some(16));
    assert_eq!(size(RegisterOp::REGISTER_PROBE, 256), Some(16 + 256 * 8));
    assert_eq!(size(RegisterOp::REGISTER_RESTRICTIONS, 5), Some(80));
    assert_eq!(size(RegisterOp::REGISTER_BUFFERS2, 32), Some(32));
    assert_eq!(size(RegisterOp::REGISTER_IOWQ_AFF, 8), Some(8));
    assert_eq!(size(RegisterOp::REGISTER_IOWQ_MAX_WORKERS, 2), Some(8));
    assert_eq!(size(RegisterOp::REGISTER_RING_FDS, 2), Some(32));
    assert_eq!(size(RegisterOp::REGISTER_PBUF_RING, 1), Some(40));
    assert_eq!(size(RegisterOp::REGISTER_SYNC_CANCEL, 1), Some(64));
    assert_eq!(size(RegisterOp::REGISTER_SEND_MSG_RING, 1), Some(64));
    assert_eq!(size(RegisterOp::REGISTER_RESIZE_RINGS, 1), Some(120));
    assert_eq!(size(RegisterOp::REGISTER_QUERY, 0), Some(40));
    assert_eq!(size(RegisterOp::UNREGISTER_PERSONALITY, 7), Some(0));
}

#[test]
fn a_count_that_the_kernel_refuses_has_no_size() {
    let size = |op: RegisterOp, nr| op.info().and_then(|info| info.layout.size(nr));
    assert_eq!(size(RegisterOp::REGISTER_EVENTFD, 2), None);
    assert_eq!(size(RegisterOp::UNREGISTER_FILES, 1), None);
    assert_eq!(size(RegisterOp::REGISTER_FILES2, 31), None);
    assert_eq!(size(RegisterOp::REGISTER_IOWQ_MAX_WORKERS, 1), None);
    assert_eq!(size(RegisterOp::REGISTER_CLOCK, 1), None);
}

#[test]
fn an_operation_has_a_direction_if_and_only_if_it_has_an_argument() {
    for info in &REGISTER_OPS {
        let bare = matches!(info.layout, ArgLayout::None | ArgLayout::Number);
        assert_eq!(bare, info.direction == ArgDirection::None, "{}", info.name);
        assert!(!(bare && info.has_pointers), "{}", info.name);
    }
}

/// The opcodes with this trait.
fn named(with: OpTraits) -> Vec<&'static str> {
    OPCODES.iter().filter(|info| info.traits.contains(with)).map(|info| info.name).collect()
}
