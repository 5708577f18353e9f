//! Asking what the kernel has: `IORING_REGISTER_QUERY`.
#![allow(unsafe_code, reason = "passes the address of an answer for the duration of a call")]

use std::ffi::c_void;
use std::io;
use std::mem::size_of;

use annulus_abi::{
    IO_URING_QUERY_OPCODES, IO_URING_QUERY_SCQ, IO_URING_QUERY_ZCRX, IO_URING_QUERY_ZCRX_EVENT, QueryHdr,
    QueryOpcode, QueryScq, QueryZcrx, QueryZcrxEvent,
};
use rustix::io::Errno;

/// What can be asked, by the structure of the answer. A kernel that knows less of a structure leaves the
/// rest zero.
///
/// # Safety
///
/// Implementers are `repr(C)`, have a value for every pattern of bits, and are what the kernel writes for
/// [`OP`](Self::OP).
pub unsafe trait Query: Copy + Default {
    /// The number of the query.
    const OP: u32;
}

// SAFETY: integers only, the structure of this query.
unsafe impl Query for QueryOpcode {
    const OP: u32 = IO_URING_QUERY_OPCODES;
}

// SAFETY: integers only, the structure of this query.
unsafe impl Query for QueryZcrx {
    const OP: u32 = IO_URING_QUERY_ZCRX;
}

// SAFETY: integers only, the structure of this query.
unsafe impl Query for QueryScq {
    const OP: u32 = IO_URING_QUERY_SCQ;
}

// SAFETY: integers only, the structure of this query.
unsafe impl Query for QueryZcrxEvent {
    const OP: u32 = IO_URING_QUERY_ZCRX_EVENT;
}

/// Asks by a call that takes the address of an `io_uring_query_hdr`.
///
/// # Errors
///
/// Those of the call, and that of the query itself.
pub(crate) fn ask<Q: Query>(call: impl FnOnce(*mut c_void) -> Result<u32, Errno>) -> io::Result<Q> {
    let mut answer = Q::default();
    let mut header = QueryHdr {
        query_data: (&raw mut answer).expose_provenance() as u64,
        query_op: Q::OP,
        size: u32::try_from(size_of::<Q>()).unwrap_or(u32::MAX),
        ..QueryHdr::default()
    };
    call((&raw mut header).cast())?;
    if header.result < 0 {
        return Err(io::Error::from_raw_os_error(-header.result));
    }
    // SAFETY: a live local of this type, which the kernel may have written: read through the pointer.
    Ok(unsafe { (&raw const answer).read_volatile() })
}
