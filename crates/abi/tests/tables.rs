//! The two tables: complete, in order, and free of contradiction.

use std::collections::{BTreeMap, BTreeSet};

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

#[test]
fn a_form_is_not_older_than_its_oldest_opcode_and_fits_its_field() {
    for form in &FORMS {
        let of: Vec<&OpcodeInfo> = OPCODES.iter().filter(|info| form.is_of(info)).collect();
        assert!(!of.is_empty(), "nothing has the form {:?}", form.what);
        for info in of {
            let mut sqe = Sqe::new(info.number);
            let before = sqe;
            form.apply(&mut sqe);
            let asks = form.field != SqeFields::empty() && form.value != 0;
            assert_eq!(sqe != before, asks, "{} {}", info.name, form.what);
            assert!(
                info.reads.contains(form.field),
                "{} does not read the field of {}",
                info.name,
                form.what
            );
            assert!(form.since_with(info) >= info.since, "{} {}", info.name, form.what);
        }
    }
}

#[test]
fn no_opcode_has_the_same_form_twice() {
    for info in &OPCODES {
        let mut seen = BTreeSet::new();
        for form in FORMS.iter().filter(|form| form.is_of(info)) {
            assert!(seen.insert((form.name, form.what)), "{} {} {}", info.name, form.name, form.what);
        }
    }
}

#[test]
fn every_trait_that_shows_in_an_entry_is_a_form() {
    let has = |info: &OpcodeInfo, name: &str| FORMS.iter().any(|form| form.is_of(info) && form.name == name);
    // Only as multishot, only within it, or without a device to try it on.
    let without = [IORING_OP_READ_MULTISHOT, IORING_OP_URING_CMD, IORING_OP_RECV_ZC, IORING_OP_URING_CMD128];
    for info in OPCODES.iter().filter(|info| !without.contains(&info.number)) {
        let multishot = FORMS.iter().any(|form| form.is_of(info) && form.what == "multishot");
        assert_eq!(multishot, info.traits.contains(OpTraits::MULTISHOT), "{}", info.name);
        let selects = info.traits.contains(OpTraits::BUFFER_SELECT);
        assert_eq!(has(info, "IOSQE_BUFFER_SELECT"), selects, "{}", info.name);
        assert_eq!(has(info, "IOSQE_FIXED_FILE"), info.supports_fixed_file(), "{}", info.name);
    }
}

#[test]
fn flags_stand_in_the_table_with_their_bits() {
    let bits =
        |group| FLAGS.iter().filter(|flag| flag.group == group).fold(0, |bits, flag| bits | flag.value);
    assert_eq!(bits(FlagGroup::Setup), u64::from(SetupFlags::all().bits()));
    assert_eq!(bits(FlagGroup::Feature), (1 << 18) - 1);
    assert_eq!(bits(FlagGroup::Entry), u64::from(SqeFlags::all().bits()));
    assert_eq!(bits(FlagGroup::Enter), u64::from(EnterFlags::all().bits()));
    let until_6_18 = |group| FLAGS.iter().filter(|flag| flag.group == group && flag.since <= (6, 18)).count();
    // What QUERY of Linux 6.18 reports: so many setup flags, features, enter flags, entry flags.
    let groups = [FlagGroup::Setup, FlagGroup::Feature, FlagGroup::Enter, FlagGroup::Entry];
    assert_eq!(groups.map(until_6_18), [19, 18, 8, 7]);
}

#[test]
fn a_table_says_the_same_release_as_the_documentation_of_the_constant() {
    let documented = documented_releases();
    let opcodes = OPCODES.iter().map(|info| (format!("IORING_OP_{}", info.name), info.since));
    let registers = REGISTER_OPS.iter().map(|info| (format!("IORING_{}", info.name), info.since));
    let flags = FLAGS.iter().map(|flag| (flag.name.to_owned(), flag.since));
    // The RWF_* are documented with the release of preadv2(2), and some forms came to one opcode later than to others.
    let later = ["IORING_RECVSEND_FIXED_BUF", "IOSQE_BUFFER_SELECT", "IORING_SETUP_IOPOLL"];
    let forms = FORMS.iter().filter(|form| !form.name.starts_with("RWF_") && !later.contains(&form.name));
    let forms = forms.filter(|form| !form.name.is_empty()).map(|form| (form.name.to_owned(), form.since));
    for (name, since) in opcodes.chain(registers).chain(flags).chain(forms) {
        assert_eq!(documented.get(&name), Some(&since), "{name}");
    }
}

/// The constants of this crate with the release that their documentation names last.
fn documented_releases() -> BTreeMap<String, (u8, u8)> {
    let mut releases = BTreeMap::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut documentation = String::new();
            for line in std::fs::read_to_string(path).unwrap().lines().map(str::trim) {
                if let Some(text) = line.strip_prefix("///") {
                    documentation.push_str(text);
                    continue;
                }
                let flag = line.split_once(" as ").map(|(name, _)| name);
                let constant =
                    line.strip_prefix("pub const ").and_then(|rest| Some(rest.split_once(": ")?.0));
                if let (Some(name), Some(release)) = (constant.or(flag), last_release(&documentation)) {
                    releases.insert(name.to_owned(), release);
                }
                documentation.clear();
            }
        }
    }
    releases
}

/// The last `major.minor` of a text.
fn last_release(text: &str) -> Option<(u8, u8)> {
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.')).map(|word| word.trim_matches('.'));
    let mut releases = words.filter_map(|word| {
        let (major, minor) = word.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    releases.next_back()
}

/// The opcodes with this trait.
fn named(with: OpTraits) -> Vec<&'static str> {
    OPCODES.iter().filter(|info| info.traits.contains(with)).map(|info| info.name).collect()
}
