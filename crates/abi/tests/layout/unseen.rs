//! What the oracle has not: its numbers, written out.

use core::mem::{offset_of, size_of};

use annulus_abi::*;

/// A constant: its name, its value, and the value it must have.
pub(crate) struct Constant {
    pub(crate) name: &'static str,
    value: u64,
    expected: u64,
}

/// A structure: its name, its size, the size it must have, and its fields.
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    size: usize,
    expected: usize,
    pub(crate) fields: &'static [Field],
}

/// A field: its name, its offset, and the offset it must have.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    offset: usize,
    expected: usize,
}

/// The flexible array as C has it: empty.
type TaskRestriction = annulus_abi::TaskRestriction<0>;

macro_rules! constants {
    ($( $name:ident = $expected:literal, )*) => {
        &[$( Constant { name: stringify!($name), value: $name as u64, expected: $expected } ),*]
    };
}

macro_rules! structures {
    ($( $Ours:ident [$size:literal] { $( $field:ident: $offset:literal ),* } )*) => {
        &[$( Structure {
            name: stringify!($Ours),
            size: size_of::<$Ours>(),
            expected: $size,
            fields: &[$( Field {
                name: stringify!($field),
                offset: offset_of!($Ours, $field),
                expected: $offset,
            } ),*],
        } ),*]
    };
}

#[rustfmt::skip]
pub(crate) const CONSTANTS: &[Constant] = constants! {
    // Linux 6.18
    IORING_SETUP_CQE_MIXED = 0x40000,
    IORING_CQE_F_SKIP = 32,
    IORING_CQE_F_32 = 0x8000,
    IORING_NOP_CQE32 = 32,
    IORING_URING_CMD_MULTISHOT = 2,
    IORING_REGISTER_QUERY = 35,
    IO_URING_QUERY_OPCODES = 0,
    RWF_NOSIGNAL = 0x100,
    // Linux 6.19
    IORING_SETUP_SQE_MIXED = 0x80000,
    IORING_OP_NOP128 = 63,
    IORING_OP_URING_CMD128 = 64,
    IORING_REGISTER_ZCRX_CTRL = 36,
    SOCKET_URING_OP_GETSOCKNAME = 5,
    ZCRX_REG_IMPORT = 1,
    ZCRX_CTRL_FLUSH_RQ = 0,
    ZCRX_CTRL_EXPORT = 1,
    IO_URING_QUERY_ZCRX = 1,
    IO_URING_QUERY_SCQ = 2,
    // Linux 7.0
    IORING_SETUP_SQ_REWIND = 0x100000,
    IORING_REGISTER_BPF_FILTER = 37,
    IO_URING_BPF_CMD_FILTER = 1,
    IO_URING_BPF_FILTER_DENY_REST = 1,
    IO_URING_BPF_FILTER_SZ_STRICT = 2,
    ZCRX_FEATURE_RX_PAGE_SIZE = 1,
    // Linux 7.1 to 7.3
    IORING_TIMEOUT_IMMEDIATE_ARG = 128,
    BLOCK_URING_CMD_ZONE_RESET_ALL = 0x1201,
    ZCRX_REG_NODEV = 2,
    ZCRX_FEATURE_EVENT = 2,
    ZCRX_EVENT_ALLOC_FAIL = 0,
    ZCRX_EVENT_COPY = 1,
    ZCRX_EVENT_DESC_FLAG_STATS = 1,
    ZCRX_CTRL_ARM_EVENT = 2,
    ZCRX_CTRL_ADD_AREA = 3,
    IO_URING_QUERY_ZCRX_EVENT = 3,
    // counts and masks that grew since Linux 6.17
    IORING_OP_LAST = 65,
    IORING_REGISTER_LAST = 38,
    IORING_URING_CMD_MASK = 3,
    // in Linux 6.17, but beyond the generator
    IORING_CQE_F_TSTAMP_HW = 0x10000,
    IORING_ZCRX_AREA_MASK = 0xffff000000000000,
    BLOCK_URING_CMD_DISCARD = 0x1200,
    RWF_NOAPPEND = 32,
    RWF_ATOMIC = 64,
    RWF_DONTCACHE = 128,
};

/// With the fields that the oracle lacks, or has under a name that is not theirs.
#[rustfmt::skip]
pub(crate) const STRUCTURES: &[Structure] = structures! {
    Sqe [64] { pad2: 56 }
    Sqe128 [128] { base: 0, extra: 64 }
    Cqe32 [32] { base: 0, extra: 16 }
    BufReg [40] { resv: 20 }
    ZcrxIfqReg [96] { __resv: 80 }
    ZcrxEventDesc [96] { user_data: 0, type_mask: 8, flags: 12, stats_offset: 16, __resv2: 24 }
    ZcrxStats [16] { copy_count: 0, copy_bytes: 8 }
    ZcrxCtrl [72] { zcrx_id: 0, op: 4, __resv: 8, arg: 24 }
    BpfCtx [40] { user_data: 0, opcode: 8, sqe_flags: 9, pdu_size: 10, pad: 11, pdu: 16 }
    BpfCtxSocket [12] { family: 0, r#type: 4, protocol: 8 }
    BpfCtxOpen [24] { flags: 0, mode: 8, resolve: 16 }
    BpfCtxConnect [24] { family: 0, port: 4, pad: 6, v6_addr: 8 }
    BpfFilter [64] { opcode: 0, flags: 4, filter_len: 8, pdu_size: 12, resv: 13, filter_ptr: 16,
        resv2: 24 }
    Bpf [72] { cmd_type: 0, cmd_flags: 2, resv: 4, filter: 8 }
    QueryHdr [40] { next_entry: 0, query_data: 8, query_op: 16, size: 20, result: 24, __resv: 28
        }
    QueryOpcode [48] { nr_request_opcodes: 0, nr_register_opcodes: 4, feature_flags: 8,
        ring_setup_flags: 16, enter_flags: 24, sqe_flags: 32, nr_query_opcodes: 40, __pad: 44 }
    QueryZcrx [40] { register_flags: 0, area_flags: 8, nr_ctrl_opcodes: 16, features: 20,
        rq_hdr_size: 24, rq_hdr_alignment: 28, __resv2: 32 }
    QueryZcrxEvent [48] { event_flags: 0, stats_size: 4, stats_off_alignment: 8, __resv1: 12,
        __resv2: 16 }
    QueryScq [16] { hdr_size: 0, hdr_alignment: 8 }
    TaskRestriction [16] { flags: 0, nr_res: 2, resv: 4, restrictions: 16 }
};

#[test]
fn every_constant_that_the_oracle_lacks_has_its_value() {
    for constant in CONSTANTS {
        assert_eq!(constant.value, constant.expected, "{}", constant.name);
    }
}

#[test]
fn every_structure_that_the_oracle_lacks_has_its_size_and_offsets() {
    for structure in STRUCTURES {
        assert_eq!(structure.size, structure.expected, "size of {}", structure.name);
        for field in structure.fields {
            assert_eq!(field.offset, field.expected, "{}.{}", structure.name, field.name);
        }
    }
}
