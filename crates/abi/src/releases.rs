//! Which Linux brought each flag of a ring, of an entry and of a registration, as plain data.
//!
//! Deliberately not here: what a flag means, which stands where it is defined; and flags of single operations, which are
//! their forms (`opcode::forms`).

use crate::*;

/// A flag and the release that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagInfo {
    /// Where it is set.
    pub group: FlagGroup,
    /// The constant.
    pub name: &'static str,
    /// Its bit.
    pub value: u64,
    /// The first Linux that has it: major, minor.
    pub since: (u8, u8),
}

/// Where flags are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagGroup {
    /// [`SetupFlags`]: how a ring is set up.
    Setup,
    /// [`Features`]: what a ring says of itself.
    Feature,
    /// [`SqeFlags`]: how a request is issued and ordered.
    Entry,
    /// [`EnterFlags`]: what one enter does.
    Enter,
    /// Flags of arguments of io_uring_register(2).
    Register,
}

/// Every flag of these groups.
#[rustfmt::skip]
pub const FLAGS: [FlagInfo; 61] = [
    row(FlagGroup::Setup, "IORING_SETUP_IOPOLL", IORING_SETUP_IOPOLL as u64, (5, 1)),
    row(FlagGroup::Setup, "IORING_SETUP_SQPOLL", IORING_SETUP_SQPOLL as u64, (5, 1)),
    row(FlagGroup::Setup, "IORING_SETUP_SQ_AFF", IORING_SETUP_SQ_AFF as u64, (5, 1)),
    row(FlagGroup::Setup, "IORING_SETUP_CQSIZE", IORING_SETUP_CQSIZE as u64, (5, 5)),
    row(FlagGroup::Setup, "IORING_SETUP_CLAMP", IORING_SETUP_CLAMP as u64, (5, 6)),
    row(FlagGroup::Setup, "IORING_SETUP_ATTACH_WQ", IORING_SETUP_ATTACH_WQ as u64, (5, 6)),
    row(FlagGroup::Setup, "IORING_SETUP_R_DISABLED", IORING_SETUP_R_DISABLED as u64, (5, 10)),
    row(FlagGroup::Setup, "IORING_SETUP_SUBMIT_ALL", IORING_SETUP_SUBMIT_ALL as u64, (5, 18)),
    row(FlagGroup::Setup, "IORING_SETUP_COOP_TASKRUN", IORING_SETUP_COOP_TASKRUN as u64, (5, 19)),
    row(FlagGroup::Setup, "IORING_SETUP_TASKRUN_FLAG", IORING_SETUP_TASKRUN_FLAG as u64, (5, 19)),
    row(FlagGroup::Setup, "IORING_SETUP_SQE128", IORING_SETUP_SQE128 as u64, (5, 19)),
    row(FlagGroup::Setup, "IORING_SETUP_CQE32", IORING_SETUP_CQE32 as u64, (5, 19)),
    row(FlagGroup::Setup, "IORING_SETUP_SINGLE_ISSUER", IORING_SETUP_SINGLE_ISSUER as u64, (6, 0)),
    row(FlagGroup::Setup, "IORING_SETUP_DEFER_TASKRUN", IORING_SETUP_DEFER_TASKRUN as u64, (6, 1)),
    row(FlagGroup::Setup, "IORING_SETUP_NO_MMAP", IORING_SETUP_NO_MMAP as u64, (6, 5)),
    row(FlagGroup::Setup, "IORING_SETUP_REGISTERED_FD_ONLY", IORING_SETUP_REGISTERED_FD_ONLY as u64, (6, 5)),
    row(FlagGroup::Setup, "IORING_SETUP_NO_SQARRAY", IORING_SETUP_NO_SQARRAY as u64, (6, 6)),
    row(FlagGroup::Setup, "IORING_SETUP_HYBRID_IOPOLL", IORING_SETUP_HYBRID_IOPOLL as u64, (6, 13)),
    row(FlagGroup::Setup, "IORING_SETUP_CQE_MIXED", IORING_SETUP_CQE_MIXED as u64, (6, 18)),
    row(FlagGroup::Setup, "IORING_SETUP_SQE_MIXED", IORING_SETUP_SQE_MIXED as u64, (6, 19)),
    row(FlagGroup::Setup, "IORING_SETUP_SQ_REWIND", IORING_SETUP_SQ_REWIND as u64, (7, 0)),
    row(FlagGroup::Feature, "IORING_FEAT_SINGLE_MMAP", IORING_FEAT_SINGLE_MMAP as u64, (5, 4)),
    row(FlagGroup::Feature, "IORING_FEAT_NODROP", IORING_FEAT_NODROP as u64, (5, 5)),
    row(FlagGroup::Feature, "IORING_FEAT_SUBMIT_STABLE", IORING_FEAT_SUBMIT_STABLE as u64, (5, 5)),
    row(FlagGroup::Feature, "IORING_FEAT_RW_CUR_POS", IORING_FEAT_RW_CUR_POS as u64, (5, 6)),
    row(FlagGroup::Feature, "IORING_FEAT_CUR_PERSONALITY", IORING_FEAT_CUR_PERSONALITY as u64, (5, 6)),
    row(FlagGroup::Feature, "IORING_FEAT_FAST_POLL", IORING_FEAT_FAST_POLL as u64, (5, 7)),
    row(FlagGroup::Feature, "IORING_FEAT_POLL_32BITS", IORING_FEAT_POLL_32BITS as u64, (5, 9)),
    row(FlagGroup::Feature, "IORING_FEAT_SQPOLL_NONFIXED", IORING_FEAT_SQPOLL_NONFIXED as u64, (5, 11)),
    row(FlagGroup::Feature, "IORING_FEAT_EXT_ARG", IORING_FEAT_EXT_ARG as u64, (5, 11)),
    row(FlagGroup::Feature, "IORING_FEAT_NATIVE_WORKERS", IORING_FEAT_NATIVE_WORKERS as u64, (5, 12)),
    row(FlagGroup::Feature, "IORING_FEAT_RSRC_TAGS", IORING_FEAT_RSRC_TAGS as u64, (5, 13)),
    row(FlagGroup::Feature, "IORING_FEAT_CQE_SKIP", IORING_FEAT_CQE_SKIP as u64, (5, 17)),
    row(FlagGroup::Feature, "IORING_FEAT_LINKED_FILE", IORING_FEAT_LINKED_FILE as u64, (5, 17)),
    row(FlagGroup::Feature, "IORING_FEAT_REG_REG_RING", IORING_FEAT_REG_REG_RING as u64, (6, 3)),
    row(FlagGroup::Feature, "IORING_FEAT_RECVSEND_BUNDLE", IORING_FEAT_RECVSEND_BUNDLE as u64, (6, 10)),
    row(FlagGroup::Feature, "IORING_FEAT_MIN_TIMEOUT", IORING_FEAT_MIN_TIMEOUT as u64, (6, 12)),
    row(FlagGroup::Feature, "IORING_FEAT_RW_ATTR", IORING_FEAT_RW_ATTR as u64, (6, 14)),
    row(FlagGroup::Feature, "IORING_FEAT_NO_IOWAIT", IORING_FEAT_NO_IOWAIT as u64, (6, 15)),
    row(FlagGroup::Entry, "IOSQE_FIXED_FILE", IOSQE_FIXED_FILE as u64, (5, 1)),
    row(FlagGroup::Entry, "IOSQE_IO_DRAIN", IOSQE_IO_DRAIN as u64, (5, 2)),
    row(FlagGroup::Entry, "IOSQE_IO_LINK", IOSQE_IO_LINK as u64, (5, 3)),
    row(FlagGroup::Entry, "IOSQE_IO_HARDLINK", IOSQE_IO_HARDLINK as u64, (5, 5)),
    row(FlagGroup::Entry, "IOSQE_ASYNC", IOSQE_ASYNC as u64, (5, 6)),
    row(FlagGroup::Entry, "IOSQE_BUFFER_SELECT", IOSQE_BUFFER_SELECT as u64, (5, 7)),
    row(FlagGroup::Entry, "IOSQE_CQE_SKIP_SUCCESS", IOSQE_CQE_SKIP_SUCCESS as u64, (5, 17)),
    row(FlagGroup::Enter, "IORING_ENTER_GETEVENTS", IORING_ENTER_GETEVENTS as u64, (5, 1)),
    row(FlagGroup::Enter, "IORING_ENTER_SQ_WAKEUP", IORING_ENTER_SQ_WAKEUP as u64, (5, 1)),
    row(FlagGroup::Enter, "IORING_ENTER_SQ_WAIT", IORING_ENTER_SQ_WAIT as u64, (5, 10)),
    row(FlagGroup::Enter, "IORING_ENTER_EXT_ARG", IORING_ENTER_EXT_ARG as u64, (5, 11)),
    row(FlagGroup::Enter, "IORING_ENTER_REGISTERED_RING", IORING_ENTER_REGISTERED_RING as u64, (5, 18)),
    row(FlagGroup::Enter, "IORING_ENTER_ABS_TIMER", IORING_ENTER_ABS_TIMER as u64, (6, 12)),
    row(FlagGroup::Enter, "IORING_ENTER_EXT_ARG_REG", IORING_ENTER_EXT_ARG_REG as u64, (6, 13)),
    row(FlagGroup::Enter, "IORING_ENTER_NO_IOWAIT", IORING_ENTER_NO_IOWAIT as u64, (6, 15)),
    row(FlagGroup::Register, "IORING_RSRC_REGISTER_SPARSE", IORING_RSRC_REGISTER_SPARSE as u64, (5, 19)),
    row(FlagGroup::Register, "IORING_REGISTER_SRC_REGISTERED", IORING_REGISTER_SRC_REGISTERED as u64, (6, 12)),
    row(FlagGroup::Register, "IORING_REGISTER_DST_REPLACE", IORING_REGISTER_DST_REPLACE as u64, (6, 13)),
    row(FlagGroup::Register, "IOU_PBUF_RING_MMAP", IOU_PBUF_RING_MMAP as u64, (6, 4)),
    row(FlagGroup::Register, "IOU_PBUF_RING_INC", IOU_PBUF_RING_INC as u64, (6, 12)),
    row(FlagGroup::Register, "IORING_MEM_REGION_TYPE_USER", IORING_MEM_REGION_TYPE_USER as u64, (6, 13)),
    row(FlagGroup::Register, "IORING_MEM_REGION_REG_WAIT_ARG", IORING_MEM_REGION_REG_WAIT_ARG, (6, 13)),
];

const fn row(group: FlagGroup, name: &'static str, value: u64, since: (u8, u8)) -> FlagInfo {
    FlagInfo { group, name, value, since }
}
